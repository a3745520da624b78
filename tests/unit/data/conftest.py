"""Charts for the tests of this room."""

from pathlib import Path

import pytest

from roadie import data


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample's raw tables; not to be changed."""
    folder = tmp_path_factory.mktemp("tables")
    data.write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def examples(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's examples table; not to be changed."""
    path = tmp_path_factory.mktemp("charts") / "examples.parquet"
    data.load_charts(str(tables), path)
    return path
