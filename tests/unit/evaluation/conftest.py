"""Three models of known quality and a holdout."""

from pathlib import Path

import pytest

from tests.unit.evaluation.models import BLIND, BLUNT, SHARP, make_holdout, make_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="session")
def holdout(folder: Path) -> Path:
    return make_holdout(folder / "holdout.parquet")


@pytest.fixture(scope="session")
def sharp(folder: Path) -> Path:
    return make_model(folder / "sharp.onnx", SHARP)


@pytest.fixture(scope="session")
def blunt(folder: Path) -> Path:
    return make_model(folder / "blunt.onnx", BLUNT)


@pytest.fixture(scope="session")
def blind(folder: Path) -> Path:
    return make_model(folder / "blind.onnx", BLIND)
