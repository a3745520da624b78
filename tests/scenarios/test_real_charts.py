"""The main job: real charts in S3, a real registry, a real Git server; looked at with tools that are not ours."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from tests.scenarios.world import World, outcome
from tests.servers.git_http import git, serving
from tests.servers.process import require
from tests.servers.registry import RegistryServer
from tests.servers.s3 import S3Server

CHARTS = "s3://charts/2023-12"
WORSE = json.dumps({"trainer": "mlp", "epochs": 1, "prior_share": 0.5})


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, registry_htpasswd: RegistryServer, s3: S3Server, real_charts: Path
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    s3.put("charts", real_charts / "charts-2023-12", "2023-12", versioned=True)
    with serving(folder / "git") as git_server:
        yield World(registry_htpasswd, git_server, folder / "state", s3.environment, repository="real/jukebox")


@pytest.fixture(scope="module")
def first(world: World) -> dict[str, Any]:
    """The first run, which finds no champion."""
    return outcome(
        world.train(CHARTS, trigger="scenario", gate=json.dumps({"metric": "log_loss", "floors": {"gain": 0.1}}))
    )


@pytest.fixture(scope="module")
def clone(world: World, first: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.clone(tmp_path_factory.mktemp("clone") / "mlops-gitops")


def digest_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def referred(manifest: dict[str, Any]) -> list[str]:
    """The digests of all that a manifest consists of."""
    return [each["digest"] for each in (manifest["config"], *manifest["layers"])]


def models_in(blob: bytes) -> list[bytes]:
    """The models in a layer; none in what is no layer."""
    if blob.startswith(b"{"):
        return []
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        files = [archive.extractfile(each) for each in archive if each.isfile() and each.name.endswith("/model.onnx")]
        return [file.read() for file in files if file]


def version_in(clone: Path, environment: str) -> str:
    values = yaml.safe_load((clone / environment / "values.yaml").read_text())
    return str(values["applications"]["jukebox"]["values"]["version"])


def test_the_first_model_above_the_floors_is_promoted(first: dict[str, Any]) -> None:
    assert first["state"] == "succeeded"
    assert first["decision"] == "promote"
    assert first["champion"] == ""
    assert len(first["commits"]) == 2


def test_skopeo_sees_the_digest_that_the_run_names_behind_the_version_that_git_deploys(
    world: World, first: dict[str, Any], clone: Path
) -> None:
    version = version_in(clone, "test")
    assert version == version_in(clone, "stage") == first["version"]
    digest = world.skopeo("inspect", "--format", "{{.Digest}}", f"docker://{world.image}:{version}").strip()
    assert first["image"] == f"{world.image}@{digest}"


def test_the_unpacked_image_serves_probabilities(world: World, first: dict[str, Any], tmp_path: Path) -> None:
    world.skopeo("copy", f"docker://{world.image}:{first['version']}", f"oci:{tmp_path}/layout:model")
    umoci = require("umoci", "apt-get install umoci")
    unpack = [umoci, "unpack", "--rootless", "--image", f"{tmp_path}/layout:model", f"{tmp_path}/bundle"]
    subprocess.run(unpack, check=True, capture_output=True)

    session = onnxruntime.InferenceSession(str(tmp_path / "bundle/rootfs/models/1/model.onnx"))
    songs = {each.name: np.full((3, 1), 0.5, np.float32) for each in session.get_inputs()}
    [probabilities] = session.run(["probabilities"], songs)
    classes = json.loads(session.get_modelmeta().custom_metadata_map["roadie.classes"])
    assert len(songs) == 13
    assert probabilities.shape == (3, len(classes)) == (3, 72)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_each_commit_changes_the_version_and_its_digest_and_its_trailers_lead_back(
    world: World, first: dict[str, Any], clone: Path
) -> None:
    dataset = next(Path(first["folder"]).glob("artifacts/*/load-charts/dataset"))
    data_digest = subprocess.run(["sha256sum", dataset], check=True, capture_output=True, text=True).stdout.split()[0]
    for commit, file in zip(first["commits"], ("test/values.yaml", "stage/values.yaml"), strict=True):
        assert git("-C", str(clone), "diff", "--numstat", f"{commit}^", commit).split() == ["2", "2", file]
        words = git("-C", str(clone), "diff", "--word-diff=porcelain", "-U0", f"{commit}^", commit).splitlines()
        changed = [line for line in words if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        digest = first["image"].partition("@")[2]
        assert changed == ["-latest", f'+"{first["version"]}"', '-""', f'+"{digest}"']
        trailers = git("-C", str(clone), "log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()
        named = dict(line.split(": ", 1) for line in trailers if line)
        assert named["Roadie-Digest"] == digest
        assert named["Roadie-Data"] == f"sha256:{data_digest}"
        assert named["Roadie-Trigger"] == "scenario"
        assert named["Roadie-Run"]


def test_the_image_says_what_made_it(world: World, first: dict[str, Any], clone: Path) -> None:
    raw = json.loads(world.skopeo("inspect", "--raw", f"docker://{world.image}:{first['version']}"))
    annotations = raw["annotations"]
    assert annotations["org.opencontainers.image.version"] == first["version"]
    assert annotations["io.roadie.model.digest"].removeprefix("sha256:")[:12] == first["version"][-12:]
    assert json.loads(annotations["io.roadie.metrics"])["gain"] > 0.1
    assert "io.roadie.run" not in annotations, "the same inputs are to give the same image"


def test_the_dataset_names_each_source_file_with_its_digest_and_version(first: dict[str, Any]) -> None:
    log = next(Path(first["folder"]).glob("artifacts/*/load-charts/executor_output.json"))
    metadata = json.loads(log.read_text())["artifacts"]["dataset"]["artifacts"][0]["metadata"]
    assert metadata["source"] == CHARTS
    assert metadata["rows"] == 19_699
    assert {file["name"] for file in metadata["files"]} == {"song_rankings.parquet", "song_properties.parquet"}
    assert all(file["version_id"] and len(file["sha256"]) == 64 for file in metadata["files"])


@pytest.fixture(scope="module")
def before(world: World, first: dict[str, Any]) -> tuple[str, list[str]]:
    """The commit and the versions that the first run left."""
    return world.tip, world.tags()


@pytest.fixture(scope="module")
def second(world: World, before: tuple[str, list[str]]) -> dict[str, Any]:
    """A run of the same data, which meets the first one's model as its champion."""
    return outcome(world.train(CHARTS))


def test_a_second_run_of_the_same_data_changes_nothing(
    world: World, first: dict[str, Any], before: tuple[str, list[str]], second: dict[str, Any]
) -> None:
    assert second["decision"] == "unchanged"
    assert second["champion"] == first["version"]
    assert second["commits"] == []
    assert (world.tip, world.tags()) == before


def test_every_arrow_carries_a_digest_from_stage_s_values_back_to_the_bytes_of_the_data(
    world: World, first: dict[str, Any], second: dict[str, Any], clone: Path, real_charts: Path
) -> None:
    # From the values file to the image: an index, its manifests, their layers; each is what its digest says.
    held = yaml.safe_load((clone / "stage" / "values.yaml").read_text())["applications"]["jukebox"]["values"]
    index = json.loads(world.blob(held["digest"]))
    manifests = [json.loads(world.blob(each["digest"])) for each in index["manifests"]]
    held_by = [[model for digest in referred(each) for model in models_in(world.blob(digest))] for each in manifests]
    [model] = held_by[0]
    assert held_by == [[model]] * len(manifests)

    # From the image to the model that was gated, and to the data that it was trained on.
    named, made = index["annotations"], "io.roadie.model.digest"
    artifacts = Path(first["folder"]) / "artifacts"
    [trained] = artifacts.glob("*/train/model/1/model.onnx")
    assert model == trained.read_bytes()
    assert named[made] == digest_of(trained)
    assert named[made].removeprefix("sha256:")[:12] == held["version"][-12:]
    [dataset] = artifacts.glob("*/load-charts/dataset")
    assert named["io.roadie.data.digest"] == digest_of(dataset)
    told = json.loads((dataset.parent / "executor_output.json").read_text())["artifacts"]["dataset"]["artifacts"][0]
    files = {file["name"]: f"sha256:{file['sha256']}" for file in told["metadata"]["files"]}
    assert files == {name: digest_of(real_charts / "charts-2023-12" / name) for name in files} != {}

    # From the commit to all of these, and to the run.
    for commit in first["commits"]:
        trailers = git("-C", str(clone), "log", "-1", "--format=%(trailers:only,unfold)", commit).splitlines()
        trailer = dict(line.split(": ", 1) for line in trailers if line)
        assert (trailer["Roadie-Version"], trailer["Roadie-Digest"]) == (held["version"], held["digest"])
        assert (trailer["Roadie-Data"], trailer["Roadie-Model-Digest"]) == (named["io.roadie.data.digest"], named[made])
        assert set(trailer["Roadie-Manifests"].split()) == {each["digest"] for each in index["manifests"]}

    # From the values file back to the next run's champion.
    [champion] = Path(second["folder"]).glob("artifacts/*/find-champion")
    told = json.loads((champion / "executor_output.json").read_text())["artifacts"]["champion"]["artifacts"][0]
    assert told["metadata"]["digest"] == held["digest"]
    [pulled] = champion.glob("champion/model/1/model.onnx")
    assert pulled.read_bytes() == model


def test_a_worse_model_is_rejected_in_a_green_run(world: World, first: dict[str, Any]) -> None:
    before = (world.tip, world.tags())
    worse = outcome(world.train(CHARTS, hyperparameters=WORSE))
    assert worse["state"] == "succeeded"
    assert worse["decision"] == "reject"
    assert worse["reason"]
    assert worse["commits"] == []
    assert (world.tip, world.tags()) == before
    skipped = {step["name"] for step in worse["steps"] if step["state"] == "skipped"}
    assert {"push-modelcar", "bump-version-test", "bump-version-stage"} <= skipped


def test_no_password_is_in_anything_that_a_run_leaves_behind(world: World, first: dict[str, Any], clone: Path) -> None:
    kept = [
        path for folder in (world.state, clone, world.git_server.root) for path in folder.rglob("*") if path.is_file()
    ]
    assert len(kept) > 50
    assert len(world.secrets) >= 3
    for path in kept:
        content = path.read_bytes()
        assert [secret for secret in world.secrets if secret.encode() in content] == [], path


def test_a_sweep_chooses_by_the_training_songs_and_gives_the_same_model_again(
    world: World, first: dict[str, Any]
) -> None:
    swept = outcome(world.train(CHARTS, sweep=json.dumps([json.loads(WORSE), {}])))
    (log,) = [Path(step["log"]).read_text() for step in swept["steps"] if step["name"] == "train"]
    assert log.count("\n    | ") == 4, "a head, a line, and the two sets"
    assert (swept["decision"], swept["champion"]) == ("unchanged", first["version"])


def test_charts_of_another_year_meet_the_champion_and_the_report_shows_how_they_differ(
    world: World, first: dict[str, Any], s3: S3Server, real_charts: Path
) -> None:
    s3.put("charts", real_charts / "charts-2025-02", "2025-02", versioned=True)
    later = outcome(world.train("s3://charts/2025-02"))
    assert later["champion"] == first["version"]
    assert later["decision"] in {"promote", "inconclusive", "reject"}
    report = Path(later["report"]).read_text()
    assert "32 countries vanished" in report
    assert "none of the" in report.lower() or "0 of" in report, "the champion was trained on no song of this holdout"
