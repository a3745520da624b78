"""Running pipelines here: small ones, compiled by kfp and run by kfp.local."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from kfp import compiler, dsl

from roadie.errors import RunError
from roadie.runs import Outcome, Pipeline, StepRun, load_pipeline, run_here
from roadie.runs.local import error_in


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def greet(name: str) -> str:
    print(f"greeting {name}")
    return f"hello {name}"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def refuse(text: str) -> str:
    from roadie.errors import DataError

    raise DataError(f"{text}: this cannot be read; send another")


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def vanish(text: str) -> str:
    import os
    import signal

    print("about to go", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return text


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def slowly(number: int) -> str:
    import time

    print(f"turn of {number}", flush=True)
    time.sleep(0.5 / number)
    return f"number {number}"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def gather(texts: list) -> str:
    return ", ".join(texts)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def take_all_along(text: str) -> str:
    import os
    import signal

    print(f"{text}: out of memory", flush=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)
    return text


def compiled(pipeline: object, folder: Path) -> Pipeline:
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))  # type: ignore[arg-type]
    return load_pipeline(str(path))


@pytest.fixture(scope="module")
def greeting(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    @dsl.pipeline(name="greeting")
    def pipeline(name: str = "you", polite: bool = True) -> None:
        first = greet(name=name)
        with dsl.If(first.output == "hello nobody"):
            greet(name="again").set_display_name("greet-again")

    return compiled(pipeline, tmp_path_factory.mktemp("greeting"))


@dataclass(frozen=True)
class Greeted:
    """What a run came to, and what was told meanwhile."""

    outcome: Outcome
    told: list[StepRun]


@pytest.fixture(scope="module")
def greeted(greeting: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Greeted:
    """One run for all who look at it; its path has a space and goes beyond ASCII, as paths may."""
    told: list[StepRun] = []
    return Greeted(run_here(greeting, {"name": "wörld"}, tmp_path_factory.mktemp("stä te"), told.append), told)


@pytest.fixture
def refusing(tmp_path: Path) -> Pipeline:
    @dsl.pipeline(name="refusing")
    def pipeline() -> None:
        greet(name=refuse(text=greet(name="a").output).output).set_display_name("never")

    return compiled(pipeline, tmp_path)


def test_each_step_is_told_as_it_starts_and_as_it_ends(greeted: Greeted) -> None:
    assert greeted.outcome.state == "succeeded"
    assert [(step.name, step.state) for step in greeted.told] == [("greet", "running"), ("greet", "succeeded")]
    assert greeted.told[1].outputs == {"Output": "hello wörld"}
    assert greeted.told[1].seconds > 0


def test_a_step_that_a_condition_left_out_counts_as_skipped(greeted: Greeted) -> None:
    assert [(step.name, step.state) for step in greeted.outcome.steps] == [
        ("greet", "succeeded"),
        ("greet-again", "skipped"),
    ]


def test_each_step_has_a_log_of_its_own(greeted: Greeted) -> None:
    assert "greeting wörld" in Path(greeted.outcome.steps[0].log).read_text()


def test_a_failing_step_is_named_with_its_own_sentence(refusing: Pipeline, tmp_path: Path) -> None:
    outcome = run_here(refusing, {}, tmp_path)
    assert outcome.state == "failed"
    assert outcome.failed is not None
    assert outcome.failed.name == "refuse"
    assert outcome.failed.error == "hello a: this cannot be read; send another"
    assert [step.state for step in outcome.steps] == ["succeeded", "failed", "skipped"]


def test_a_run_leaves_nothing_where_temporary_files_are(
    greeting: Pipeline, refusing: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    for pipeline in (greeting, refusing):
        run_here(pipeline, {}, tmp_path)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_killed_step_is_told_as_killed(tmp_path: Path) -> None:
    @dsl.pipeline(name="vanishing")
    def pipeline() -> None:
        vanish(text="x")

    outcome = run_here(compiled(pipeline, tmp_path), {}, tmp_path)
    assert outcome.failed is not None
    assert outcome.failed.error == "Killed"


@dsl.component(base_image="python:3.11", packages_to_install=["no-such-package-anywhere==1.2"])
def elsewhere() -> str:
    return "never"


def test_a_step_that_wants_a_package_is_told_that_runs_here_install_nothing(tmp_path: Path) -> None:
    @dsl.pipeline(name="wanting")
    def pipeline() -> None:
        elsewhere()

    outcome = run_here(compiled(pipeline, tmp_path), {}, tmp_path)
    assert outcome.failed is not None
    assert outcome.failed.error.startswith(
        "it wants no-such-package-anywhere==1.2, which is not installed here, and runs here install nothing: "
    )


def test_two_runs_in_one_second_have_folders_of_their_own(greeting: Pipeline, tmp_path: Path) -> None:
    folders = {run_here(greeting, {}, tmp_path).folder for _ in range(2)}
    assert len(folders) == 2


def test_a_run_that_cannot_start_says_why(greeting: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the pipeline greeting could not be run: .*worker.log"):
        run_here(greeting, {"unknown": 1}, tmp_path)


def test_a_state_folder_that_cannot_be_made_is_named(greeting: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot make the run's folder .*choose another with --state"):
        run_here(greeting, {}, tmp_path / "file")


KFP_LOG = """\
10:00:00.000 - INFO - Executing task \x1b[96m'train'\x1b[0m
10:00:00.001 - INFO - Streamed logs:

    Traceback (most recent call last):
      File "x.py", line 1, in <module>
    {first}

    The above exception was the direct cause of the following exception:

    Traceback (most recent call last):
      File "y.py", line 2, in <module>
    {last}
10:00:01.000 - ERROR - Task \x1b[96m'train'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
--------------------
"""


def test_of_chained_errors_the_last_one_is_the_step_s_own() -> None:
    log = KFP_LOG.format(first="KeyError: 'a'", last="roadie.errors.TrainingError: no epochs; set epochs")
    assert error_in(log) == "no epochs; set epochs"


def test_an_error_that_is_not_roadie_s_keeps_its_kind() -> None:
    log = KFP_LOG.format(first="KeyError: 'a'", last="numpy.linalg.LinAlgError: singular")
    assert error_in(log) == "numpy.linalg.LinAlgError: singular"


def test_a_log_without_any_word_is_told_as_such() -> None:
    assert error_in("10:00:00.000 - INFO - Executing task 'x'\n\n----\n") == "it ended without a word"


def test_an_interpreter_that_kfp_cannot_call_is_named(
    greeting: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/opt/my tools/python")
    with pytest.raises(RunError, match="/opt/my tools/python has a space in its path"):
        run_here(greeting, {}, tmp_path)


def test_the_turns_of_a_loop_keep_their_results_and_their_logs_apart(tmp_path: Path) -> None:
    @dsl.pipeline(name="looping")
    def pipeline(numbers: list[int] = [1, 2, 3, 4]) -> None:  # noqa: B006 - a pipeline's default
        with dsl.ParallelFor(numbers) as number:
            turn = slowly(number=number)
        gather(texts=dsl.Collected(turn.output))

    outcome = run_here(compiled(pipeline, tmp_path), {}, tmp_path)
    assert outcome.state == "succeeded"
    assert outcome.steps[-1].outputs == {"Output": "number 1, number 2, number 3, number 4"}
    turns = [step for step in outcome.steps if step.component == "slowly"]
    assert {step.name for step in turns} == {"slowly", "slowly (2)", "slowly (3)", "slowly (4)"}
    for step in turns:
        said = [line for line in Path(step.log).read_text().splitlines() if "turn of" in line]
        assert [line.split()[-1] for line in said] == [str(step.outputs["Output"]).split()[-1]]


def test_a_run_whose_worker_was_killed_in_the_middle_of_a_step_is_no_success(tmp_path: Path) -> None:
    @dsl.pipeline(name="doomed")
    def pipeline() -> None:
        take_all_along(text="the kernel")

    with pytest.raises(RunError, match=r"the pipeline doomed could not be run: .*exit code -9"):
        run_here(compiled(pipeline, tmp_path), {}, tmp_path)


def test_tasks_that_share_a_component_are_told_apart(tmp_path: Path) -> None:
    """As other compilers than KFP's write them: two tasks that refer to one component."""

    @dsl.pipeline(name="twice")
    def both() -> None:
        first = greet(name="a").set_display_name("greet-a")
        greet(name=first.output).set_display_name("greet-b")

    path = compiled(both, tmp_path).path
    path.write_text(path.read_text().replace("name: comp-greet-2", "name: comp-greet"))
    outcome = run_here(load_pipeline(str(path)), {}, tmp_path)
    assert [(step.name, step.outputs["Output"]) for step in outcome.steps] == [
        ("greet-a", "hello a"),
        ("greet-b", "hello hello a"),
    ]
    assert len({step.log for step in outcome.steps}) == 2


@dsl.container_component
def hello() -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="alpine", command=["echo", "hello"])


def test_a_container_of_somebody_else_s_is_refused_in_kfp_s_own_words(tmp_path: Path) -> None:
    @dsl.pipeline(name="foreign")
    def pipeline() -> None:
        hello()

    with pytest.raises(RunError, match=r"foreign could not be run: .*only supports running Lightweight.*exit code 1"):
        run_here(compiled(pipeline, tmp_path), {}, tmp_path)


def test_what_runs_a_pipeline_here_loads_no_client_for_clusters() -> None:
    program = (
        "import sys\n"
        "from roadie.runs.worker import leave_out_the_client\n"
        "leave_out_the_client()\n"
        "import kfp.local\n"
        "print(sorted({'kubernetes', 'google', 'kfp_server_api'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['google']\n", "google.protobuf is a part of every pipeline"
