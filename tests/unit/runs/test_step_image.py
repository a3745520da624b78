"""Which image the steps of a run on a cluster get, with a real registry."""

from pathlib import Path

import pytest

from roadie import modelcar
from roadie.errors import RunError, UsageError
from roadie.runs import Cluster, Pipeline, RunRefusedError, Schedules, StepImage, load_pipeline
from tests.servers.kfp_api import serving
from tests.servers.registry import RegistryServer
from tests.unit.runs.small import YAML, YAML_WITH_STEP_IMAGE, small_pipeline

ARGUMENTS = {"image": "registry.example/models/jukebox"}
DIGEST = "sha256:" + "a" * 64
PINNED = f"registry.example/steps@{DIGEST}"


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    path = tmp_path / "small.yaml"
    path.write_text(YAML_WITH_STEP_IMAGE)
    return load_pipeline(str(path))


@pytest.fixture
def pushed(registry: RegistryServer, tmp_path: Path) -> modelcar.Pushed:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "file").write_text("anything")
    return modelcar.push(folder, registry.reference("steps"), base="none", move_tag=True)


def test_an_image_by_digest_is_taken_as_it_is(pipeline: Pipeline) -> None:
    told: list[str] = []
    assert StepImage(PINNED, told.append).given_to(pipeline, ARGUMENTS) == {**ARGUMENTS, "step_image": PINNED}
    assert told == []


def test_a_tag_is_looked_up_once_and_told(
    pipeline: Pipeline, registry: RegistryServer, pushed: modelcar.Pushed, tmp_path: Path
) -> None:
    told: list[str] = []
    image = StepImage(registry.reference("steps"), told.append)
    first = image.given_to(pipeline, {})["step_image"]
    assert first == f"{registry.host}/steps@{pushed.digest}"
    (tmp_path / "content" / "file").write_text("something else")
    moved = modelcar.push(tmp_path / "content", registry.reference("steps"), base="none", move_tag=True)
    assert moved.digest != pushed.digest
    assert image.given_to(pipeline, {})["step_image"] == first
    assert told == [f"the steps' image {registry.reference('steps')} is {first}"]


@pytest.mark.parametrize("named", ["given", "argument", "variable", "default"])
def test_the_image_may_be_named_in_four_places(pipeline: Pipeline, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if named == "variable":
        monkeypatch.setenv("ROADIE_STEP_IMAGE", PINNED)
    if named == "default":
        declared = "step_image: {parameterType: STRING, defaultValue: "
        pipeline.path.write_text(YAML_WITH_STEP_IMAGE.replace(f"{declared}''", f"{declared}'{PINNED}'"))
        pipeline = load_pipeline(str(pipeline.path))
    arguments = {"step_image": PINNED} if named == "argument" else {}
    given = StepImage(PINNED if named == "given" else "").given_to(pipeline, arguments)
    assert given["step_image"] == PINNED


def test_a_tag_that_is_the_commit_of_the_run_is_waited_for_until_ci_has_pushed_it(
    pipeline: Pipeline, registry: RegistryServer, pushed: modelcar.Pushed, tmp_path: Path
) -> None:
    image = StepImage(f"{registry.host}/steps:{{revision}}")
    with pytest.raises(RunError, match=r"there is no image .*/steps:abc1 for the steps: .*or wait for CI to do so"):
        image.given_to(pipeline, {"revision": "abc1"})
    made = modelcar.push(tmp_path / "content", f"{registry.host}/steps:abc1", base="none")
    assert image.given_to(pipeline, {"revision": "abc1"})["step_image"] == f"{registry.host}/steps@{made.digest}"
    with pytest.raises(UsageError, match="is named after a commit, and the run names none: give revision"):
        image.given_to(pipeline, {})


def test_without_an_image_the_command_that_makes_one_is_told_before_anything_is_sent(pipeline: Pipeline) -> None:
    with serving() as api:
        cluster = Cluster(api.url)
        with pytest.raises(RunRefusedError, match="make one with `roadie image push REGISTRY/REPOSITORY`, and name it"):
            cluster.start(pipeline, "x", ARGUMENTS)
        with pytest.raises(UsageError, match="no image is named for the steps of small"):
            Schedules(cluster).put("x", pipeline, ARGUMENTS, "0 3 * * *")
        assert api.asked == []


def test_runs_and_schedules_get_it_as_a_parameter(pipeline: Pipeline) -> None:
    with serving() as api:
        cluster = Cluster(api.url, step_image=StepImage(PINNED))
        run = cluster.start(pipeline, "x", ARGUMENTS)
        Schedules(cluster).put("x", pipeline, ARGUMENTS, "0 3 * * *")
        (schedule,) = api.recurring.values()
        for made in (api.runs[run.id], schedule):
            assert made["runtime_config"]["parameters"] == {**ARGUMENTS, "step_image": PINNED}


def test_a_pipeline_that_takes_no_image_wants_none(tmp_path: Path) -> None:
    pipeline = small_pipeline(tmp_path)
    assert "step_image" not in YAML
    for image in (StepImage(), StepImage(PINNED)):
        assert image.given_to(pipeline, ARGUMENTS) == ARGUMENTS


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("oci:folder:v1", "is a folder of this machine, from which no cluster pulls: push it to a registry"),
        ("registry.example/steps", "has no tag and no digest"),
        ("registry.example/steps@sha256:1", "no digest"),
    ],
)
def test_an_image_that_no_cluster_can_pull_is_refused(pipeline: Pipeline, image: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        StepImage(image).given_to(pipeline, {})


def test_a_tag_that_is_not_there_is_refused_with_the_command_that_makes_it(
    pipeline: Pipeline, registry: RegistryServer
) -> None:
    reference = registry.reference("nothing-here")
    with pytest.raises(UsageError, match=f"make it with `roadie image push {registry.host}/nothing-here`"):
        StepImage(reference).given_to(pipeline, {})


def test_a_registry_that_cannot_be_asked_is_no_refusal(pipeline: Pipeline) -> None:
    with serving() as api:
        cluster = Cluster(api.url, step_image=StepImage("127.0.0.1:1/steps:v1"))
        with pytest.raises(RunError, match="cannot be told, so name it by digest: ") as raised:
            cluster.start(pipeline, "x", ARGUMENTS)
        assert not isinstance(raised.value, RunRefusedError)
