"""Every step of the compiled training pipeline, run by its compiled command as a cluster's launcher runs it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie import gitops
from tests.conftest import SHARED
from tests.steps.compiled import COMPILED, containers, documents
from tests.steps.launcher import Artifact, Done, Launcher, executor_input
from tests.steps.story import tell

RECORDED = SHARED / "recordings" / "kfp" / "executor-inputs.jsonl"
JUDGED = {"train": "model", "find-champion": "champion", "split-data": "holdout"}


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    return documents(COMPILED / "pipelines" / "training.yaml")[0]


@pytest.fixture(scope="module")
def story(training: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("story")
    gitops.create_bare(gitops.examples() / "mlops-gitops", folder / "gitops.git")
    return tell(training, Launcher(folder / "artifacts"), str(folder / "gitops.git"), f"oci:{folder / 'registry'}")


def test_every_step_runs_by_its_compiled_command_with_what_a_cluster_hands_over(
    training: dict[str, Any], story: dict[str, Done]
) -> None:
    commands = {name.removesuffix("-2") for name in containers(training)}
    assert commands == {name for name in story if name in commands} | {"bump-version", "wait-for-rollout"}
    assert story["evaluate"].parameters == {"Output": "promote"}
    assert story["bump-stage"].parameters["in_place"] is True
    assert story["find-again"].parameters["version"] == story["push-modelcar"].parameters["version"]
    assert story["evaluate-again"].parameters == {"Output": "unchanged"}


def test_what_artifacts_say_of_themselves_survives_the_driver(story: dict[str, Done]) -> None:
    """Digests and figures reach the commit although lists are wrapped and truth is a number on the way."""
    provenance = story["push-modelcar"].parameters["provenance"]
    data = story["load-charts"].artifacts["dataset"].metadata["sha256"]
    assert provenance["data"] == f"sha256:{data}"
    assert provenance["revision"].startswith("0123456789")
    assert json.loads(provenance["metrics"])["log_loss"] > 0


def test_an_optional_artifact_may_be_absent(training: dict[str, Any], story: dict[str, Done], tmp_path: Path) -> None:
    """Without the dataset there is no drift to tell of."""
    found = {name: story[step].artifacts[name] for step, name in JUDGED.items()}
    given = {"challenger": found["model"], "champion": found["champion"], "holdout": found["holdout"]}
    done = Launcher(tmp_path).run(training, "evaluate", {"gate": {"metric": "log_loss"}}, given)
    assert done.code == 0, done.log


def test_a_failing_step_says_its_sentence_last_and_no_traceback(training: dict[str, Any], tmp_path: Path) -> None:
    done = Launcher(tmp_path).run(training, "load-charts", {"charts": str(tmp_path / "nowhere")})
    assert done.code == 1
    assert done.log.splitlines()[-1].startswith("roadie.errors.DataError: ")
    assert "Traceback" not in done.log


def test_a_step_that_is_not_installed_is_named(training: dict[str, Any], tmp_path: Path) -> None:
    spec = json.loads(json.dumps(training).replace("components.load_charts", "components.load_songs"))
    done = Launcher(tmp_path).run(spec, "load-charts", {"charts": "sample"})
    assert (done.code, done.log.count("\n")) == (1, 1)
    assert "there is no step components.load_songs in" in done.log
    assert "roadie image push" in done.log


def test_the_inputs_of_these_tests_have_the_form_of_recorded_ones(training: dict[str, Any]) -> None:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is not here: recordings are kept outside the repository")
    recorded = [json.loads(line)["executor_input"] for line in RECORDED.read_text().splitlines()]
    artifact = Artifact("minio://a", {"a": {"list": [1]}, "b": {"struct": {}}, "c": 1})
    components = [body for body in training["components"].values() if "executorLabel" in body]
    made = [executor_input(each, {"a": 1}, {"x": artifact, "y": artifact}, "/a") for each in components]
    wild = {form for each in recorded for form in forms(each)}
    assert {form for each in made for form in forms(each)} == wild


def forms(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of keys in an executor input; what inputs are called, and the values of parameters, do not count."""
    match path:
        case ("inputs", "parameterValues", *_) | ("inputs", "artifacts", "*", "artifacts", "metadata", "*", _):
            yield path
        case _ if isinstance(value, dict):
            named = path in {
                ("inputs", "artifacts"),
                ("outputs", "artifacts"),
                ("outputs", "parameters"),
                ("inputs", "artifacts", "*", "artifacts", "metadata"),
            }
            for key, each in value.items():
                yield from forms(each, (*path, "*" if named else key))
        case _ if isinstance(value, list):
            for each in value:
                yield from forms(each, path)
        case _:
            yield path
