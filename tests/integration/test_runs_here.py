"""Runs here: processes that outlive the one that started them, and a name that is used once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kfp import compiler, dsl

from roadie.errors import RunError
from roadie.runs import ENDED, Engine, Here, Pipeline, Run, RunRefusedError, load_pipeline, run_here
from roadie.runs.started import alive, claim, folder_of


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def work(marks: str, gate: str) -> str:
    """Leave a mark, then wait until the gate is there."""
    import os
    import pathlib
    import time

    with (pathlib.Path(marks) / "begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    deadline = time.monotonic() + 600
    while gate and not pathlib.Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (pathlib.Path(marks) / "done").touch()
    return "done"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def refuse(marks: str) -> str:
    raise ValueError(f"nothing good in {marks}")


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    @dsl.pipeline(name="working")
    def pipeline(marks: str, gate: str = "") -> None:
        work(marks=marks, gate=gate)

    return compiled(pipeline, tmp_path_factory.mktemp("working"))


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    @dsl.pipeline(name="refusing")
    def pipeline(marks: str = "all this") -> None:
        refuse(marks=marks)

    return compiled(pipeline, tmp_path_factory.mktemp("refusing"))


def compiled(pipeline: object, folder: Path) -> Pipeline:
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))  # type: ignore[arg-type]
    return load_pipeline(str(path))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    engine = Here(tmp_path / "state")
    yield engine
    for run in engine.recent(100):
        engine.stop(run.id)


@pytest.fixture
def waiting(tmp_path: Path) -> dict[str, str]:
    """Arguments with which a run waits until it is ended."""
    return {"marks": str(tmp_path), "gate": str(tmp_path / "gate")}


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(engine: Engine, name: str) -> Run:
    """The run, once it has ended."""
    eventually(lambda: (run := engine.look(name)) is not None and run.state in ENDED)
    run = engine.look(name)
    assert run is not None
    return run


def begun(folder: Path) -> list[int]:
    """The steps that began, as their processes' numbers."""
    file = folder / "begun"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def lives(process: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_tells_what_it_came_to(here: Here, working: Pipeline, tmp_path: Path) -> None:
    run = here.start(working, "jukebox-alert-1", {"marks": str(tmp_path)}, description="an alert", cache=False)
    assert (run.id, run.name, run.ended) == ("jukebox-alert-1", "jukebox-alert-1", None)
    told = ended(here, run.id)
    assert (told.state, told.error, told.created) == ("succeeded", "", run.created)
    assert told.ended is not None
    assert told.ended > told.created
    assert told.outcome.keys() >= {"decision", "version", "image", "commits", "steps"}
    assert json.loads((folder_of(tmp_path / "state", run.id) / "run.json").read_text())["description"] == "an alert"


def test_a_failed_run_tells_its_steps_own_error(here: Here, refusing: Pipeline) -> None:
    here.start(refusing, "bad", {})
    told = ended(here, "bad")
    assert told.state == "failed"
    assert "the step refuse failed: ValueError: nothing good in all this (its log: " in told.error


def test_a_run_that_cannot_begin_is_a_failed_one(here: Here, refusing: Pipeline) -> None:
    here.start(refusing, "odd", {"no_such": 1})
    assert "the pipeline refusing could not be run" in ended(here, "odd").error


def test_empty_places_get_stand_ins(here: Here, tmp_path: Path) -> None:
    @dsl.pipeline(name="placing")
    def pipeline(image: str = "", gitops_repo: str = "") -> None:
        refuse(marks=f"{image} {gitops_repo}")

    place = compiled(pipeline, tmp_path)
    names = [f"run-{number}" for number in range(2)]
    for name in names:
        here.start(place, name, {})
    for name in names:
        error = ended(here, name).error
        assert f"oci:{tmp_path}/state/registry/jukebox {tmp_path}/state/gitops.git" in error


def test_the_same_name_is_started_once(here: Here, working: Pipeline, waiting: dict[str, str], tmp_path: Path) -> None:
    def start(_: int) -> bool:
        try:
            Here(tmp_path / "state").start(working, "one", waiting)
        except RunError as error:
            assert "there is a run one here already" in str(error)
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(start, range(4))) == [False, False, False, True]
    eventually(lambda: len(begun(tmp_path)) == 1)
    here.stop("one")
    with pytest.raises(RunError, match="there is a run one here already"):
        here.start(working, "one", waiting)
    assert len(begun(tmp_path)) == 1
    assert sorted(path.name for path in (tmp_path / "state" / "started").iterdir()) == ["one"]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "x" * 201, "a\n"])
def test_a_name_that_cannot_be_a_folder_is_refused(here: Here, working: Pipeline, name: str, tmp_path: Path) -> None:
    with pytest.raises(RunRefusedError, match="cannot name a run"):
        here.start(working, name, {})
    assert here.find(name) == []
    here.stop(name)
    assert not (tmp_path / "state").exists()


def test_a_run_outlives_its_starter_and_is_found_by_another(
    here: Here, working: Pipeline, waiting: dict[str, str], tmp_path: Path
) -> None:
    program = (
        "import json, os, signal, sys, roadie.runs as runs, pathlib\n"
        "state, pipeline, arguments = json.loads(sys.argv[1])\n"
        "runs.Here(pathlib.Path(state)).start(runs.load_pipeline(pipeline), 'one', arguments)\n"
        "os.killpg(0, signal.SIGKILL)"
    )
    job = json.dumps([str(tmp_path / "state"), str(working.path), waiting])
    done = subprocess.run([sys.executable, "-c", program, job], start_new_session=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [run.state for run in here.find("one")] == ["running"]
    (tmp_path / "gate").touch()
    assert ended(here, "one").state == "succeeded"


def test_a_starter_that_dies_while_it_starts_leaves_one_run_or_none(
    here: Here, working: Pipeline, tmp_path: Path
) -> None:
    program = (
        "import json, sys, roadie.runs as runs, pathlib\n"
        "state, pipeline, arguments = json.loads(sys.argv[1])\n"
        "engine, loaded = runs.Here(pathlib.Path(state)), runs.load_pipeline(pipeline)\n"
        "print('ready', flush=True)\n"
        "engine.start(loaded, 'one', arguments)\n"
        "print('started', flush=True)\n"
    )
    # At once, when its state is there, and when the run's name is taken.
    for moment in ("", "state/started", "state/started/one"):
        folder = tmp_path / (moment.replace("/", "-") or "at-once")
        folder.mkdir()
        engine = Here(folder / "state")
        job = json.dumps([str(folder / "state"), str(working.path), {"marks": str(folder)}])
        with subprocess.Popen([sys.executable, "-c", program, job], stdout=subprocess.PIPE) as starter:
            assert starter.stdout is not None
            starter.stdout.readline()
            eventually((folder / moment).exists)
            starter.kill()
        if not engine.find("one"):
            # As a receiver does after a restart. The process of the dead one may still be on its way.
            try:
                engine.start(working, "one", {"marks": str(folder)})
            except RunError:
                assert engine.find("one")
        assert ended(engine, "one").state == "succeeded"
        assert len(begun(folder)) == 1


def test_stopping_ends_the_steps_too(here: Here, working: Pipeline, waiting: dict[str, str], tmp_path: Path) -> None:
    here.start(working, "one", waiting)
    eventually(lambda: bool(begun(tmp_path)))
    Here(tmp_path / "state").stop("one")
    told = here.look("one")
    assert told is not None
    assert (told.state, told.error) == ("canceled", "")
    eventually(lambda: not lives(begun(tmp_path)[0]))
    here.stop("one")
    assert ended(here, "one") == told
    assert not (tmp_path / "done").exists()


def test_a_killed_run_is_a_failed_one_and_its_steps_end(
    here: Here, working: Pipeline, waiting: dict[str, str], tmp_path: Path
) -> None:
    here.start(working, "one", waiting)
    eventually(lambda: bool(begun(tmp_path)))
    os.kill(int((folder_of(tmp_path / "state", "one") / "pid").read_text()), signal.SIGKILL)
    told = ended(here, "one")
    assert told.state == "failed"
    assert "its process ended without a word" in told.error
    eventually(lambda: not lives(begun(tmp_path)[0]))


def test_a_run_that_is_ended_from_outside_is_a_failed_one(
    here: Here, working: Pipeline, waiting: dict[str, str], tmp_path: Path
) -> None:
    here.start(working, "one", waiting)
    eventually(lambda: bool(begun(tmp_path)))
    os.kill(int((folder_of(tmp_path / "state", "one") / "pid").read_text()), signal.SIGTERM)
    told = ended(here, "one")
    assert (told.state, told.error) == ("failed", "it was ended from outside, by SIGTERM: start it again")


def test_a_run_whose_folder_was_removed_has_vanished(here: Here) -> None:
    assert here.look("one") is None
    assert here.find("one") == []
    here.stop("one")


def test_a_name_is_taken_by_one_of_many(tmp_path: Path) -> None:
    created = {"created": "2026-01-01T00:00:00+00:00"}
    with ThreadPoolExecutor(8) as pool:
        locks = [lock for lock in pool.map(lambda _: claim(tmp_path, "one", created), range(16)) if lock]
    assert len(locks) == 1
    assert alive(folder_of(tmp_path, "one"))
    locks[0].close()
    assert not alive(folder_of(tmp_path, "one"))


def test_a_state_folder_that_cannot_be_written_is_named(working: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="the run one could not be started: .*file/started cannot be written"):
        Here(tmp_path / "file").start(working, "one", {})


def test_damaged_files_are_no_reason_to_stumble(tmp_path: Path) -> None:
    here = Here(tmp_path)
    for name, text in (("empty", ""), ("odd", "[]"), ("half", '{"created": "2026-0'), ("other", '{"made": 1}')):
        folder = folder_of(tmp_path, name)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)
        assert here.find(name) == []
    assert here.recent(9) == []


def test_recent_runs_come_newest_first_with_those_that_nobody_named(
    here: Here, working: Pipeline, refusing: Pipeline, tmp_path: Path
) -> None:
    here.start(working, "jukebox-alert-1", {"marks": str(tmp_path)})
    ended(here, "jukebox-alert-1")
    run_here(refusing, {}, tmp_path / "state")
    recent = here.recent(9)
    assert sorted(run.state for run in recent) == ["failed", "succeeded"]
    assert recent[0].created >= recent[1].created
    assert {run.name for run in here.recent(9, "jukebox")} == {"jukebox-alert-1"}
    unnamed = next(run for run in recent if run.name != "jukebox-alert-1")
    assert unnamed.name.startswith("refusing-")
    assert unnamed.error == "ValueError: nothing good in all this"
    assert len(here.recent(1)) == 1
