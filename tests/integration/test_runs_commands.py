"""``roadie run --cluster``, ``roadie schedule`` and ``roadie runs``, as people and programs call them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import roadie as installed
from roadie import modelcar
from tests.servers.kfp_api import KfpApi, serving, task
from tests.servers.registry import RegistryServer
from tests.unit.runs.recorded import growth, replay
from tests.unit.runs.small import YAML, YAML_WITH_STEP_IMAGE

IMAGE = ("-p", "image=registry.example/models/jukebox")


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with serving() as api:
        yield api


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(YAML)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "roadie", *arguments]


def roadie(api: KfpApi, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KF_PIPELINES_ENDPOINT": api.url, "KF_PIPELINES_SA_TOKEN_PATH": ""}
    environment["KUBECONFIG"] = "/nowhere"
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=60
    )


def test_a_run_is_submitted_and_its_id_and_address_are_printed(api: KfpApi, folder: Path) -> None:
    done = roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "-p", "rows=5", "--no-cache")
    assert done.returncode == 0, done.stderr
    (run,) = api.runs.values()
    assert run["run_id"] in done.stdout
    assert f"{api.url}/#/runs/details/{run['run_id']}" in done.stdout
    assert run["display_name"].startswith("jukebox-manual-20")
    assert run["runtime_config"]["parameters"] == {"image": "registry.example/models/jukebox", "rows": 5}
    assert "enableCache" not in json.dumps(run["pipeline_spec"])
    assert roadie(api, folder, "runs", "--cluster").stdout.count(run["display_name"]) == 1


def test_a_submitted_run_is_told_as_json(api: KfpApi, folder: Path) -> None:
    options = ("--name", "mine", "--experiment", "retraining", "--service-account", "trainer", "--json")
    told = json.loads(roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, *options).stdout)
    assert (told["name"], told["state"]) == ("mine", "pending")
    assert api.runs[told["id"]]["service_account"] == "trainer"
    assert api.experiments[api.runs[told["id"]]["experiment_id"]]["display_name"] == "retraining"


def test_a_lost_answer_doubles_no_run(api: KfpApi, folder: Path) -> None:
    api.fault("lose", method="POST")
    done = roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "--json")
    assert done.returncode == 0, done.stderr
    assert list(api.runs) == [json.loads(done.stdout)["id"]]


def test_without_a_stand_in_an_empty_image_is_refused(api: KfpApi, folder: Path) -> None:
    for arguments in (
        ("run", "small.yaml", "--cluster"),
        ("schedule", "small.yaml", "--name", "nightly", "--cron", "0 3 * * *"),
    ):
        done = roadie(api, folder, *arguments)
        assert done.returncode == 2
        assert "image is empty, and a cluster has nothing that stands in for it" in done.stderr
    done = roadie(api, Path(__file__).parents[2], "run", "training", "--cluster")
    assert "image and gitops_repo are empty" in done.stderr
    assert "-p image=... and the address of the GitOps repository with -p gitops_repo=..." in done.stderr
    assert not api.runs
    assert not api.recurring


def test_cluster_options_without_cluster_are_refused(api: KfpApi, folder: Path) -> None:
    for arguments in (("run", "small.yaml", "--wait", "--namespace", "music"), ("runs", "--endpoint", api.url)):
        done = roadie(api, folder, *arguments)
        assert done.returncode == 2
        assert "without --cluster: add it" in done.stderr


def order_as_soon_as_it_is_there(api: KfpApi, *states: str, **details: object) -> threading.Thread:
    """Let the first run go through `states` once somebody looks at it."""

    def order() -> None:
        while not any("GET /apis/v2beta1/runs/" in each for each in list(api.asked)):
            time.sleep(0.005)
        for state in states:
            api.order(next(iter(api.runs)), state, **details)  # type: ignore[arg-type]

    thread = threading.Thread(target=order, daemon=True)
    thread.start()
    return thread


def test_waiting_tells_each_step_and_ends_well(api: KfpApi, folder: Path) -> None:
    order_as_soon_as_it_is_there(api, "SUCCEEDED", tasks=[task("train", "SUCCEEDED", started=1e9, ended=1e9 + 2)])
    done = roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "--wait", "--json")
    assert done.returncode == 0, done.stderr
    assert "  train ...\n  train done in 2.0 s\n" in done.stderr
    told = json.loads(done.stdout)
    assert told["state"] == "succeeded"
    assert [(step["name"], step["state"]) for step in told["steps"]] == [("train", "succeeded")]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (["FAILED"], "failed: the step train failed: there are no rows (http"),
        (["CANCELING", "FAILED"], "was canceled (http"),
    ],
)
def test_waiting_for_a_run_that_ends_badly_exits_with_1(
    api: KfpApi, folder: Path, states: list[str], said: str
) -> None:
    log = "Traceback (most recent call last):\nroadie.errors.DataError: there are no rows"
    order_as_soon_as_it_is_there(api, *states, tasks=[task("train", "FAILED", log, 1e9)])
    done = roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "--wait", "--name", "mine")
    assert done.returncode == 1
    assert f"roadie: the run mine {said}" in done.stderr


def test_waiting_for_a_run_that_vanishes_exits_with_1(api: KfpApi, folder: Path) -> None:
    def forget(run_id: str, *_: object, **__: object) -> None:
        KfpApi.forget(api, run_id)

    api.order = forget  # type: ignore[method-assign]
    order_as_soon_as_it_is_there(api, "")
    done = roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "--wait", "--name", "mine")
    assert done.returncode == 1
    assert "roadie: the run mine (" in done.stderr
    assert "is gone: somebody deleted it" in done.stderr


def test_an_interrupt_leaves_the_run_going_and_says_so(api: KfpApi, folder: Path) -> None:
    arguments = command("run", "small.yaml", "--cluster", *IMAGE, "--wait", "--endpoint", api.url)
    with subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert "was created" in waiting.stderr.readline()
        (run_id,) = api.runs
        while f"GET /apis/v2beta1/runs/{run_id}" not in api.asked:
            time.sleep(0.005)
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read()
    assert waiting.returncode == 130
    assert f"the run goes on: {api.url}/#/runs/details/{run_id}" in said
    assert "Traceback" not in said
    assert api.runs[run_id]["state"] == "PENDING"


def test_a_bad_token_is_one_sentence_at_once_without_the_token(api: KfpApi, folder: Path) -> None:
    api.set(token="the right one")
    (folder / "token").write_text("a-secret")
    for arguments in (
        ("run", "small.yaml", "--cluster", *IMAGE),
        ("runs", "--cluster"),
        ("schedule", "--name", "x", "--delete"),
    ):
        done = roadie(api, folder, *arguments, "--token-file", "token")
        assert done.returncode == 1
        assert "answered 401" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "a-secret" not in done.stderr


def test_a_schedule_is_created_left_alone_replaced_disabled_and_deleted(api: KfpApi, folder: Path) -> None:
    nightly = ("schedule", "small.yaml", "--name", "nightly", *IMAGE, "--json", "--cron")

    def action(*arguments: str) -> str:
        done = roadie(api, folder, *arguments)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["action"])

    assert action(*nightly, "0 3 * * MON") == "created"
    assert action(*nightly, "0 3 * * MON") == "unchanged"
    (made,) = api.recurring.values()
    assert made["runtime_config"]["parameters"]["trigger"] == "schedule nightly"
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * MON"
    assert action(*nightly, "0 4 1 1 *") == "replaced"
    assert action("schedule", "--name", "nightly", "--disable", "--json") == "disabled"
    done = roadie(api, folder, "schedule", "--name", "nightly", "--delete")
    assert done.stdout == "the schedule nightly was deleted\n"
    assert not api.recurring


def test_a_schedule_whose_run_goes_on_is_replaced_but_not_deleted(api: KfpApi, folder: Path) -> None:
    nightly = ("schedule", "small.yaml", "--name", "nightly", *IMAGE, "--cron")
    assert roadie(api, folder, *nightly, "0 3 * * *").returncode == 0
    (old,) = api.recurring
    run = api.fire(old)["display_name"]
    done = roadie(api, folder, *nightly, "0 4 * * *")
    assert "the schedule nightly took the place of another one" in done.stdout
    assert f"the one before stays, disabled, while its run {run} goes on: http" in done.stderr
    done = roadie(api, folder, "schedule", "--name", "nightly", "--delete")
    assert done.returncode == 1
    assert f"is not deleted yet, because its run {run} goes on" in done.stderr
    assert not api.ghosts


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--cron", "0 3 * *", *IMAGE), "the time '0 3 * *' has 4 fields, but takes five: minute, hour"),
        ((), "there is no --cron to tell when to run"),
        (("--delete", "--disable"), "--delete needs no --cron, -p or --disable"),
        (("--disable", "-p", "rows=3"), "there is no --cron to tell when to run"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(api: KfpApi, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = roadie(api, folder, "schedule", "small.yaml", "--name", "nightly", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_runs_here_are_listed(api: KfpApi, folder: Path) -> None:
    assert roadie(api, folder, "runs").stderr == "there are no runs in .roadie\n"
    run = folder / ".roadie" / "started" / "jukebox-alert-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"created": "2026-01-01T10:00:00+00:00"}')
    outcome = {"state": "succeeded", "ended": "2026-01-01T10:01:05+00:00", "error": "", "outcome": {}}
    (run / "outcome.json").write_text(json.dumps(outcome))
    words = roadie(api, folder, "runs").stdout.splitlines()[1].split()
    assert words == ["jukebox-alert-1", "succeeded", "2026-01-01", "10:00:00Z", "1", "min", "05", "s"]
    assert json.loads(roadie(api, folder, "runs", "--model", "other", "--json").stdout) == []


def test_a_failed_run_of_the_recording_is_listed_with_its_step(api: KfpApi, folder: Path) -> None:
    replay(api, growth("a-step-fails")[-1])
    (run,) = json.loads(roadie(api, folder, "runs", "--cluster", "--json").stdout)
    assert (run["state"], run["error"]) == ("failed", "the step load-charts failed")


def test_the_steps_image_is_named_with_each_command(api: KfpApi, folder: Path) -> None:
    pinned = "registry.example/steps@sha256:" + "a" * 64
    (folder / "small.yaml").write_text(YAML_WITH_STEP_IMAGE)
    run = ("run", "small.yaml", "--cluster", *IMAGE)
    schedule = ("schedule", "small.yaml", "--name", "nightly", "--cron", "0 3 * * *", *IMAGE)
    for command in (run, schedule):
        done = roadie(api, folder, *command)
        assert done.returncode == 2
        assert "make one with `roadie image push REGISTRY/REPOSITORY`, and name it with --image" in done.stderr
        assert roadie(api, folder, *command, "--image", pinned).returncode == 0
    for made in (*api.runs.values(), *api.recurring.values()):
        assert made["runtime_config"]["parameters"]["step_image"] == pinned


def test_an_image_for_a_pipeline_that_takes_none_is_refused(api: KfpApi, folder: Path) -> None:
    image = ("--image", "registry.example/steps@sha256:" + "a" * 64)
    for command in (("run", "--cluster"), ("schedule", "--name", "nightly", "--cron", "0 3 * * *")):
        done = roadie(api, folder, command[0], "small.yaml", *command[1:], *IMAGE, *image)
        assert done.returncode == 2
        assert "the pipeline small has no parameter step_image: leave --image out" in done.stderr
    assert "--image means nothing without --cluster" in roadie(api, folder, "run", "small.yaml", *image).stderr


@pytest.mark.parametrize(
    ("annotations", "ok", "said"),
    [
        ({"version": installed.__version__, modelcar.CODE: modelcar.code_digest()}, True, "as here"),
        ({"version": installed.__version__, modelcar.CODE: "sha256:0"}, False, "with other code than here"),
        ({"version": "0.0.1", modelcar.CODE: "sha256:0"}, False, "holds Roadie 0.0.1, and here is"),
        ({}, False, "does not say what it holds"),
        (None, False, "does not exist"),
    ],
)
def test_doctor_tells_whether_the_steps_image_holds_this_roadie(
    api: KfpApi,
    folder: Path,
    registry: RegistryServer,
    annotations: dict[str, str] | None,
    ok: bool,
    said: str,
) -> None:
    reference = registry.reference("doctor", f"v{len(annotations or ())}{said.split(maxsplit=1)[0]}")
    if annotations is not None:
        (folder / "content").mkdir()
        (folder / "content" / "file").write_text("anything")
        modelcar.push(folder / "content", reference, base="none", annotations=annotations)
    else:
        reference = registry.reference("doctor-nothing")
    found = json.loads(roadie(api, folder, "doctor", "--cluster", "--json", "--image", reference).stdout)
    assert (found[-1]["name"], found[-1]["ok"]) == ("step image", ok)
    assert said in found[-1]["found"]
    assert ok or "`roadie image push REGISTRY/REPOSITORY`" in found[-1]["remedy"]


def test_doctor_tells_whether_the_cluster_answers(api: KfpApi, folder: Path) -> None:
    roadie(api, folder, "run", "small.yaml", "--cluster", *IMAGE, "--name", "mine")
    found = json.loads(roadie(api, folder, "doctor", "--cluster", "--json").stdout)
    assert (found[-2]["name"], found[-2]["ok"]) == ("kubeflow", True)
    assert (found[-1]["name"], found[-1]["ok"], found[-1]["needed"]) == ("step image", False, False)
    assert found[-2]["found"] == f"answers at {api.url}, the last mine (pending)"
    api.set(token="wanted")
    done = roadie(api, folder, "doctor", "--cluster")
    assert done.returncode == 1
    assert "lacking kubeflow" in done.stderr
    [told] = [line for line in done.stdout.splitlines() if line.startswith("LACK  kubeflow")]
    assert told.split(maxsplit=2)[2].startswith(f"Kubeflow Pipelines at {api.url}")
