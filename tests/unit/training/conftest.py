"""The sample charts as an examples table, made once."""

from pathlib import Path

import pytest

from roadie.data import load_charts


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "examples.parquet"
    load_charts("sample", path)
    return path
