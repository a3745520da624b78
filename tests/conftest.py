"""Fixtures that every room's tests may use; the real servers live in tests/servers, one file each."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.servers.registry", "tests.servers.git_http", "tests.servers.s3"]

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def real_charts() -> Path:
    """The folder of real chart tables (charts-2023-12, charts-2025-02), kept outside the repository."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the real chart tables are kept outside the repository")
    return folder
