"""triggers.yaml: what it says, and how it is refused when it cannot work."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from roadie.errors import TriggerError
from roadie.triggers import secrets
from roadie.triggers.config import NAMES, Config, Secret
from roadie.triggers.loading import load
from roadie.triggers.senders import alertmanager
from roadie.triggers.senders.reading import decode
from tests.unit.docs.pages import Block, blocks
from tests.unit.runs.small import YAML_WITH_STEP_IMAGE

SECRET = "hunter2-and-some-more"
ROOT = Path(__file__).resolve().parents[3]
LEAST = """
hooks:
  alertmanager: {secret: {env: ALERTS_SECRET}}
models:
  jukebox: {}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ALERTS_SECRET", SECRET)
    return tmp_path


def read(folder: Path, text: str) -> Config:
    path = folder / "triggers.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(TriggerError) as caught:
        read(folder, text)
    message = str(caught.value)
    assert SECRET not in message
    assert all(line.startswith(("triggers.yaml", str(folder))) for line in message.splitlines())
    return message


def test_little_has_to_be_said(here: Path) -> None:
    config = read(here, LEAST)
    assert config.listen.host == "127.0.0.1"
    assert config.listen.max_body_bytes == 8 << 20
    assert config.models["jukebox"].pipeline == "training"
    assert config.models["jukebox"].cool_down == timedelta(0)


def test_all_can_be_said(here: Path) -> None:
    (here / "secret").write_text(SECRET + "\n")
    config = read(
        here,
        f"""
journal: {here}/journal.db
keep: 30d
listen:
  host: "::"
  port: 0
  max_body_bytes: 4000000
  max_connections: 10
  seconds_to_send: 5
hooks:
  alertmanager: {{secret: {{file: {here}/secret}}}}
  github: {{secret: {{env: ALERTS_SECRET}}}}
page:
  password: {{file: {here}/secret}}
alertmanager:
  url: https://alertmanager.example.com/prefix/
  token: {{file: {here}/secret}}
  silence: PT1H
runs: {{where: cluster, endpoint: "https://kfp.example.com", namespace: team, seconds_between_looks: 30,
       step_image: "registry.example.com/steps@sha256:0"}}
notify: [{{url: {{file: {here}/secret}}, format: slack}}]
gitops: {{repository: "https://git.example.com/band/mlops-gitops.git"}}
models:
  jukebox:
    pipeline: training
    parameters:
      model_name: "{{model}}"
      image: registry.example.com/models/jukebox
      gitops_repo: https://git.example.com/band/mlops-gitops.git
      charts: s3://charts/{{labels.region}}/{{window_end}}
      hyperparameters: {{epochs: 10, note: "because of {{alertname}}, {{{{literally}}}}"}}
      gate: {{metric: log_loss}}
      seed: 7
      split: {{share: 1}}
      gitops: {{review: true}}
    alerts: {{model: jukebox, severity: critical}}
    pushes: [{{repository: "git@github.com:band/jukebox.git", branches: [main, release/*], paths: [roadie/*]}}]
    cool_down: 6h
    max_active: 2
    when_active: supersede
    min_new_rows: 1000
    window: 90d
""",
    )
    model = config.models["jukebox"]
    assert (config.keep, model.cool_down, model.window) == (timedelta(30), timedelta(hours=6), timedelta(90))
    assert config.alertmanager
    assert (config.alertmanager.url, config.alertmanager.silence) == (
        "https://alertmanager.example.com/prefix",
        timedelta(hours=1),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("6h", 21600),
        ("90d", 90 * 86400),
        ("1w", 7 * 86400),
        ("45s", 45),
        ("1d12h30m", 131400),
        ("PT6H", 21600),
        ("P90D", 90 * 86400),
        ("P1DT30M", 88200),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_durations_are_written_as_people_do_or_as_iso_8601_says(here: Path, text: str, seconds: float) -> None:
    config = read(here, LEAST.replace("{}", f"{{cool_down: {text}}}"))
    assert config.models["jukebox"].cool_down.total_seconds() == seconds


# The last two are what YAML makes of 6:30:00 and of nothing.
@pytest.mark.parametrize(
    "text", ["6", "6.5", "6 hours", "-6h", "h", "''", "PT", "-PT6H", "P1X", "6h P1D", "9999w", "6:30:00", ""]
)
def test_what_is_no_duration_is_refused_with_an_example(here: Path, text: str) -> None:
    said = complaint(here, LEAST.replace("{}", f"{{cool_down: {text}}}"))
    assert said == "triggers.yaml: models.jukebox.cool_down: is not a duration; write it like 30m, 6h, 90d or PT6H"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{cooldown: 6h}", ".cooldown: is no key that Roadie knows; did you mean cool_down?"),
        ("{alerts: {retrain: true}}", ".alerts.retrain: must be text; put it in quotes"),
        ("{alerts: {}}", ".alerts: must not be empty; leave it out for the default"),
        ("{max_active: 0}", ".max_active: should be greater than or equal to 1"),
        ("{when_active: wait}", ".when_active: should be 'skip', 'queue' or 'supersede'"),
        ("{pushes: [{branches: []}]}", ".pushes[0].repository: is missing"),
        ("", ": must be a mapping"),
    ],
)
def test_an_error_in_a_model_names_the_key_and_says_what_to_do(here: Path, model: str, said: str) -> None:
    assert f"triggers.yaml: models.jukebox{said}" in complaint(here, LEAST.replace("{}", model))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("listen: {port: 80000}", "listen.port: should be less than or equal to 65535"),
        ("listen: {max_body_bytes: 100}", "listen.max_body_bytes: should be greater than or equal to 2097152"),
        ("alertmanager: {url: 'am:9093'}", "alertmanager.url: is not an address"),
        (f"alertmanager: {{url: 'http://me:{SECRET}@am'}}", "alertmanager.url: holds a user or password"),
        (f"gitops: {{repository: 'https://me:{SECRET}@git/x'}}", "gitops.repository: holds a password"),
        (f"gitops: {{repository: 'https://{SECRET}@git/x'}}", "gitops.repository: holds a password"),
        (f"page: {{password: {SECRET}}}", "page.password: must say where the secret is"),
        ("page: {password: {}}", "page.password: needs either file or env"),
        ("page: {password: {env: A, file: b}}", "page.password: needs either file or env"),
        ("keep: 12h", "keep: must be a day at least"),
        ("listen: {seconds_to_send: .inf}", "listen.seconds_to_send: should be less than or equal to 86400"),
        ("listen: {seconds_to_send: .nan}", "listen.seconds_to_send: should be"),
        ("pages: {}", "pages: is no key that Roadie knows; did you mean page?"),
    ],
)
def test_an_error_elsewhere_names_the_key_and_no_secret(here: Path, more: str, said: str) -> None:
    assert f"triggers.yaml: {said}" in complaint(here, LEAST + more)


def test_a_model_s_name_is_fit_for_the_name_of_a_run(here: Path) -> None:
    said = complaint(here, LEAST.replace("jukebox", "juke box"))
    assert said == "triggers.yaml: models.juke box: is not a model's name; use at most 63 of A-Z a-z 0-9 . _ -"


def test_all_errors_are_told_at_once_a_line_each(here: Path) -> None:
    lines = complaint(here, LEAST.replace("{}", "{cool_down: 6, max_active: 0, colour: red}")).splitlines()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "is not YAML in line 1"),
        ("a: 1\na: 2\n", "is not YAML in line 2: a is there twice"),
        ("models: {jukebox: {}, jukebox: {}}", "jukebox is there twice"),
        ("- a list", "must be a mapping"),
        ("", "must be a mapping"),
        ("[]: {}: x", "is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_is_refused(here: Path, text: str, said: str) -> None:
    assert said in complaint(here, text)


def test_a_file_that_is_not_there_is_named(here: Path) -> None:
    with pytest.raises(TriggerError, match="nowhere.yaml cannot be read"):
        load(here / "nowhere.yaml")


def test_it_does_not_start_without_a_hook(here: Path) -> None:
    assert "triggers.yaml: hooks: no sender is configured" in complaint(here, "models: {jukebox: {}}")


@pytest.mark.parametrize("content", [None, "", " \n\t", b"\xff\xfe"])
def test_it_does_not_start_with_a_secret_that_is_missing_or_empty(here: Path, content: str | bytes | None) -> None:
    path = here / "secret"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = complaint(here, LEAST.replace("env: ALERTS_SECRET", f"file: {path}"))
    assert said.startswith(f"triggers.yaml: hooks.alertmanager.secret: the file {path} is")


@pytest.mark.parametrize(
    ("more", "key", "least"),
    [("", "hooks.alertmanager.secret", 16), ("page: {password: {env: WEAK}}", "page.password", 8)],
)
def test_it_does_not_start_with_a_secret_that_can_be_guessed(
    here: Path, monkeypatch: pytest.MonkeyPatch, more: str, key: str, least: int
) -> None:
    text = LEAST + more if more else LEAST.replace("ALERTS_SECRET", "WEAK")
    monkeypatch.setenv("WEAK", "x" * (least - 1))
    assert f"triggers.yaml: {key}: is shorter than {least} letters" in complaint(here, text)
    monkeypatch.setenv("WEAK", "x" * least)
    path = here / "triggers.yaml"
    path.write_text(text)
    load(path)


def test_what_a_value_may_be_is_said_for_names_that_there_are(here: Path) -> None:
    said = complaint(here, LEAST.replace("{}", "{values: {labels.region: '[a-z]+', colour: x}}"))
    assert said.startswith("triggers.yaml: models.jukebox.values.colour: is no name; there are")
    assert "models.jukebox.values.labels.region: " in complaint(
        here, LEAST.replace("{}", "{values: {labels.region: '['}}")
    )


def test_it_does_not_start_with_a_variable_that_is_not_set(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERTS_SECRET")
    assert "hooks.alertmanager.secret: the environment variable ALERTS_SECRET is empty" in complaint(here, LEAST)


def test_every_secret_has_to_be_there_at_the_start(here: Path) -> None:
    more = "page: {password: {env: NO_1}}\nalertmanager: {url: http://am, token: {env: NO_2}}\n"
    more += "runs: {token: {env: NO_3}}\nnotify: [{url: {env: NO_4}}]\n"
    lines = complaint(here, LEAST + more).splitlines()
    keys = [line.split(": ")[1] for line in lines]
    assert keys == ["page.password", "alertmanager.token", "runs.token", "notify[0].url"]


def test_a_secret_is_read_anew_at_each_use_so_that_it_can_be_rotated(here: Path) -> None:
    path = here / "secret"
    path.write_text("first\n")
    secret = Secret(file=path)
    assert secrets.read(secret) == "first"
    path.write_text("second\n")
    assert secrets.read(secret) == "second"


@pytest.mark.parametrize(
    ("hook", "model", "said"),
    [
        ("github", "{}", "models.jukebox: nothing can ever start it"),
        ("github", "{pushes: [{repository: 'https://github.com/band/jukebox'}]}", ""),
        (
            "alertmanager",
            "{pushes: [{repository: 'https://github.com/band/jukebox'}]}",
            "models.jukebox.pushes: nobody",
        ),
    ],
)
def test_what_nothing_can_start_is_refused(here: Path, hook: str, model: str, said: str) -> None:
    text = LEAST.replace("alertmanager", hook).replace("jukebox: {}", f"jukebox: {model}")
    if said:
        assert f"triggers.yaml: {said}" in complaint(here, text)
    else:
        read(here, text)


def test_a_configuration_without_models_is_refused(here: Path) -> None:
    assert "triggers.yaml: models: there is none" in complaint(here, LEAST.replace("jukebox: {}", "{}"))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("{chart: x}", "chart: the pipeline training has no such parameter; did you mean charts?"),
        ("{seed: '7'}", "seed: must be a whole number"),
        ("{seed: true}", "seed: must be a whole number"),
        ("{seed: 1.5}", "seed: must be a whole number"),
        ("{version: 1.2}", "version: must be text; put it in quotes"),
        ("{charts_since: 2026-01-01}", "charts_since: must be text; put it in quotes"),
        ("{split: 0.2}", "split: must be a mapping"),
        (f"{{charts: 'https://ada:{SECRET}@store/x'}}", "charts: holds a password, token or signature; parameters"),
        (f"{{charts: 'https://store/x?X-Amz-Signature={SECRET}'}}", "charts: holds a password, token or signature"),
        (f"{{gate: {{note: ['https://{SECRET}@git/x']}}}}", "gate: holds a password, token or signature"),
        (f"{{hyperparameters: {{password: {SECRET}}}}}", "hyperparameters: password is a secret; parameters"),
        ("{git_secret: '{labels.team}-git'}", "git_secret: uses {labels.team}, but no event may choose a secret"),
        ("{gitops: {git_secret: '{labels.team}-git'}}", "gitops: uses {labels.team}, but no event may choose a secret"),
        ("{gitops_repo: 'https://git.{labels.region}/x.git'}", "gitops_repo: lets an event end the name of a host"),
        ("{gate: '{}'}", "gate: must be a mapping"),
        ("{hyperparameters: {since: 2026-01-01}}", "hyperparameters: must be a mapping"),
        ("{sweep: {}}", "sweep: must be a list"),
        ("{charts: '{label.x}'}", "charts: uses {label.x}, which is no name; there are model, reason"),
        ("{charts: '{labels.a-b}'}", "charts: uses {labels.a-b}, which is no name"),
        ("{charts: '{}'}", "charts: uses {}, which is no name"),
        ("{charts: '{sha!r:>10}'}", "charts: uses {sha!r:>10}, which is no name"),
        ("{charts: 'a{b'}", "charts: has a { without its partner"),
        ("{hyperparameters: {deep: [{er: '{nothing}'}]}}", "hyperparameters: uses {nothing}, which is no name"),
        ("{charts: 's3://x/{window_start}'}", "charts: uses {window_start}, but the model has no window"),
    ],
)
def test_a_parameter_that_the_pipeline_would_refuse_is_refused_at_the_start(
    here: Path, parameters: str, said: str
) -> None:
    text = LEAST.replace("{}", f"{{parameters: {parameters}}}")
    assert f"triggers.yaml: models.jukebox.parameters.{said}" in complaint(here, text)


def test_a_cluster_has_no_stand_in_for_a_registry(here: Path) -> None:
    said = complaint(here, LEAST + "runs: {where: cluster, endpoint: 'https://kfp.example.com'}")
    assert said.startswith("triggers.yaml: models.jukebox.parameters: image and gitops_repo are empty")


def test_on_a_cluster_the_steps_image_is_asked_for_and_no_event_chooses_it(here: Path) -> None:
    (here / "small.yaml").write_text(YAML_WITH_STEP_IMAGE)
    parameters = f"pipeline: {here / 'small.yaml'}, parameters: {{image: registry.example/models/jukebox"
    text = LEAST.replace("{}", f"{{{parameters}}}}}") + "runs: {where: cluster, endpoint: 'https://kfp.example.com'"
    said = complaint(here, text + "}")
    assert said.startswith(
        "triggers.yaml: models.jukebox.parameters: no image is named for the steps of small: make one"
    )
    image = "registry.example/steps@sha256:" + "a" * 64
    assert read(here, f"{text}, step_image: '{image}'}}").runs.step_image == image
    chosen = LEAST.replace("{}", f"{{{parameters}, step_image: 'r.example/{{labels.x}}@sha256:1'}}}}")
    assert "parameters.step_image: uses {labels.x}, but no event may choose the code" in complaint(here, chosen)


def test_a_pipeline_that_is_not_there_is_refused_at_the_start(here: Path) -> None:
    said = complaint(here, LEAST.replace("{}", "{pipeline: polishing}"))
    assert said.startswith("triggers.yaml: models.jukebox.pipeline: there is no pipeline named 'polishing'")


def test_a_parameter_that_the_pipeline_needs_is_asked_for(here: Path) -> None:
    pipeline = here / "greeting.yaml"
    pipeline.write_text(
        "pipelineInfo: {name: greeting}\ncomponents: {}\nroot: {dag: {tasks: {}}, inputDefinitions: {parameters: "
        "{name: {parameterType: STRING}, trigger: {parameterType: STRING}, model_name: {parameterType: STRING}}}}\n"
    )
    said = complaint(here, LEAST.replace("{}", f"{{pipeline: {pipeline}}}"))
    assert (
        said == "triggers.yaml: models.jukebox.parameters.name: is missing; the pipeline greeting cannot run without it"
    )
    read(here, LEAST.replace("{}", f"{{pipeline: {pipeline}, parameters: {{name: '{{model}}'}}}}"))


def test_reading_it_takes_no_kfp_and_no_kubernetes(here: Path) -> None:
    (here / "triggers.yaml").write_text(LEAST)
    code = (
        "import sys, pathlib; from roadie.triggers.loading import load; load(pathlib.Path(sys.argv[1]));"
        "print({'kfp', 'kfp_server_api', 'kubernetes'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, str(here / "triggers.yaml")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "set()"


PAGE = ROOT / "docs" / "how-to" / "triggers.md"
SHOWN = [block for block in blocks("yaml") if block.page == PAGE]


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_what_the_documentation_shows_is_a_configuration(block: Block) -> None:
    document = yaml.safe_load(block.text)
    if "route" not in document:
        Config.model_validate(document)


def test_the_documentation_s_first_configuration_can_start(here: Path) -> None:
    assert read(here, SHOWN[0].text).hooks.alertmanager


def test_the_documentation_names_all_that_a_parameter_may_use() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{{{name}}}`" not in page] == []


def test_the_documentation_s_alert_is_understood() -> None:
    shell = next(block.text for block in blocks("sh") if block.page == PAGE and "curl" in block.text)
    (event,) = alertmanager.parse(decode(shell.partition("--json '")[2].rpartition("'")[0].encode())).events
    assert event.labels == {"alertname": "ByHand", "model": "jukebox", "retrain": "true"}
