"""Three models of known quality and a holdout."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


@pytest.fixture
def busy_processors() -> Callable[[], AbstractContextManager[None]]:
    """Keeps every processor busy with work of others."""

    @contextmanager
    def busy() -> Iterator[None]:
        program = "print(flush=True)\nwhile True: pass"
        others = [
            subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
            for _ in range(os.cpu_count() or 1)
        ]
        try:
            for other in others:
                assert other.stdout is not None
                other.stdout.readline()
            yield
        finally:
            for other in others:
                other.kill()
                other.communicate()

    return busy
