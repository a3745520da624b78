"""A run's pipeline may come from git: a push trains with the code that was pushed, an alert with the branch's tip."""

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from roadie import gitops
from roadie.errors import TriggerError
from roadie.runs import RunRefusedError
from roadie.triggers.config import PipelineSource
from roadie.triggers.rules.arguments import order
from roadie.triggers.work.pipelines import Pipelines
from tests.servers.git_http import git
from tests.unit.triggers.world import Make, MemoryEngine, alert, push, store, targets

FILE = "compiled/pipelines/training.yaml"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A bare repository of a model's code, with a compiled pipeline in it."""
    work = tmp_path / "work"
    (work / FILE).parent.mkdir(parents=True)
    (work / FILE).write_text(compiled("first"))
    gitops.create_bare(work, tmp_path / "code.git")
    return tmp_path / "code.git"


def compiled(name: str, *more: str) -> str:
    parameters = {each: {"parameterType": "STRING", "isOptional": True} for each in ("revision", "source", *more)}
    return yaml.safe_dump(
        {
            "pipelineInfo": {"name": name},
            "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": parameters}},
            "components": {},
            "deploymentSpec": {"executors": {}},
        }
    )


def committed(code: Path, text: str) -> str:
    """Commit another pipeline to the branch; returns the commit."""
    folder = code.parent / "clone"
    if not folder.exists():
        git("clone", "--quiet", str(code), str(folder))
    (folder / FILE).write_text(text)
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    git("-C", str(folder), *who, "commit", "--quiet", "--all", "--message", "change")
    git("-C", str(folder), "push", "--quiet", "origin", "HEAD:main")
    return git("-C", str(folder), "rev-parse", "HEAD")


def test_without_a_repository_the_configured_pipeline_is_run(tmp_path: Path) -> None:
    target = targets()["jukebox"]
    assert Pipelines(tmp_path).of(target, {"seed": 7}) == (target.pipeline, {"seed": 7})


def test_the_commit_that_was_pushed_is_run_and_named_whatever_came_after_it(code: Path, tmp_path: Path) -> None:
    target = targets(from_git=PipelineSource(repository=str(code)))["jukebox"]
    pushed = committed(code, compiled("second"))
    committed(code, compiled("third"))
    pipeline, arguments = Pipelines(tmp_path / "kept").of(target, {"revision": pushed})
    assert (pipeline.name, arguments) == ("second", {"revision": pushed, "source": str(code)})
    # What is run may be read later by an engine: it stays.
    assert pipeline.path == tmp_path / "kept" / pushed / "training.yaml"
    tip, arguments = Pipelines(tmp_path / "kept").of(target, {})
    assert (tip.name, arguments["revision"] != pushed) == ("third", True)


def test_a_source_that_the_configuration_names_is_left_alone(code: Path, tmp_path: Path) -> None:
    target = targets(from_git=PipelineSource(repository=str(code)))["jukebox"]
    _, arguments = Pipelines(tmp_path).of(target, {"source": "https://git.example.com/team/mirror"})
    assert arguments["source"] == "https://git.example.com/team/mirror"


@pytest.mark.parametrize(("text", "sentence"), [("a: [", "cannot be run"), (None, "has no other.yaml")])
def test_a_commit_without_a_pipeline_refuses_the_run_for_good(
    code: Path, tmp_path: Path, text: str | None, sentence: str
) -> None:
    source = PipelineSource(repository=str(code), **({} if text else {"file": "other.yaml"}))
    if text:
        committed(code, text)
    with pytest.raises(RunRefusedError, match=sentence):
        Pipelines(tmp_path).of(targets(from_git=source)["jukebox"], {})


def test_a_repository_that_is_away_postpones_the_run(make: Make, engine: MemoryEngine) -> None:
    away = PipelineSource(repository="http://127.0.0.1:9/team/model.git")
    receiver = make(from_git=away)
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    (run,) = receiver.journal.runs()
    assert (run.state, len(engine.runs)) == ("waiting", 0)
    assert run.error.startswith("the pipeline cannot be read now: ")


def test_only_a_push_to_the_pipeline_s_own_repository_names_its_commit() -> None:
    source = PipelineSource(repository="https://git.example.com/team/model")
    other = PipelineSource(repository="https://git.example.com/team/pipelines")

    def revision(event: object, source: PipelineSource) -> object:
        return order(targets(from_git=source)["jukebox"], event).arguments.get("revision")  # type: ignore[arg-type]

    assert revision(push(), source) == push().names["sha"]
    assert revision(push(), other) is revision(alert(), source) is None


def test_a_full_disk_postpones_the_run_in_a_sentence(code: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    target = targets(from_git=PipelineSource(repository=str(code)))["jukebox"]
    with pytest.raises(TriggerError, match="cannot be written .*: make room beside the journal"):
        Pipelines(tmp_path / "file").of(target, {})


def test_pipelines_that_nobody_ran_for_long_are_removed(code: Path, tmp_path: Path) -> None:
    target = targets(from_git=PipelineSource(repository=str(code)))["jukebox"]
    pipelines = Pipelines(tmp_path / "kept")
    kept: Callable[[], int] = lambda: len(list((tmp_path / "kept").iterdir()))  # noqa: E731
    old, _ = pipelines.of(target, {})
    os.utime(old.path.parent, (0, 0))
    committed(code, compiled("second"))
    pipelines.of(target, {})
    pipelines.prune(3600.0, time.time())
    assert kept() == 1
    assert not old.path.exists()


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 26))]
    return "\n".join([compiled("bomb"), *lines])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(), "has an alias"),
        (compiled("deep") + "deep: " + "[" * 200 + "]" * 200, "nests too deeply"),
        (compiled("many") + "many: [" + "x," * 60_000 + "x]", "holds too much"),
        (compiled("large") + "large: " + "x" * 2_000_000, "has more than 2,000,000 bytes"),
    ],
    ids=["aliases", "deep", "many", "large"],
)
def test_yaml_that_would_fill_the_memory_refuses_its_run_and_no_other(
    code: Path, tmp_path: Path, text: str, said: str
) -> None:
    committed(code, text)
    target = targets(from_git=PipelineSource(repository=str(code)))["jukebox"]
    pipelines = Pipelines(tmp_path / "kept")
    tracemalloc.start()
    with pytest.raises(RunRefusedError, match=said):
        pipelines.of(target, {})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000
    assert not (tmp_path / "kept").exists()
