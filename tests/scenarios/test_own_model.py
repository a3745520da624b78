"""Another team's training step on the same road, compiled from examples/own-model and run here."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler

from roadie import gitops, modelcar
from roadie.runs import Outcome, Pipeline, load_pipeline, run_here

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-model" / "pipeline.py"
KEY = "applications.wine.values"
VALUES = "applications:\n  wine:\n    values:\n      name: wine\n      version: latest # set by the pipeline\n"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    spec = importlib.util.spec_from_file_location("own_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("compiled") / "wine.yaml"
    compiler.Compiler().compile(module.wine, str(path))
    return load_pipeline(str(path))


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Any]:
    for environment in ("test", "stage"):
        (tmp_path / "source" / environment).mkdir(parents=True)
        (tmp_path / "source" / environment / "values.yaml").write_text(VALUES)
    gitops.create_bare(tmp_path / "source", tmp_path / "gitops.git")
    return {"image": f"oci:{tmp_path / 'registry'}", "gitops_repo": str(tmp_path / "gitops.git")}


def run(wine: Pipeline, places: dict[str, Any], state: Path, **more: Any) -> Outcome:
    outcome = run_here(wine, {**places, **more}, state)
    assert outcome.failed is None, outcome.failed
    return outcome


def test_a_team_s_own_step_takes_the_place_of_train(wine: Pipeline, places: dict[str, Any], tmp_path: Path) -> None:
    first = run(wine, places, tmp_path, strength=0.01)
    assert first.decision == "promote"
    for environment in ("test", "stage"):
        deployed = gitops.read_value(places["gitops_repo"], f"{environment}/values.yaml", f"{KEY}.version")
        assert deployed.value == first.version
    annotations = modelcar.inspect(first.image).annotations
    assert annotations["org.opencontainers.image.title"] == "wine"
    assert json.loads(annotations["io.roadie.metrics"])["top_1"] > 0.8
    assert "cultivar" in Path(first.report).read_text()

    better = run(wine, places, tmp_path, strength=1.0)
    assert (better.decision, better.champion) == ("promote", first.version)
    worse = run(wine, places, tmp_path, strength=0.01)
    assert (worse.decision, worse.champion, worse.commits) == ("reject", better.version, ())
