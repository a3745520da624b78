"""Fixtures that every room's tests may use; the real servers live in tests/servers, one file each."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.process import lacking

pytest_plugins = ["tests.servers.registry", "tests.servers.git_http", "tests.servers.s3"]

SHARED = Path(__file__).resolve().parents[2] / "shared"

# How long an example takes says how busy the machine is, not whether the code is right. At a desk each run looks at
# other examples, and prints how to see a failing one again; in CI a commit is judged by the same ones every time.
settings.register_profile("desk", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("ROADIE_REQUIRE_SERVERS") == "1" else "desk")

# A shell that starts the tests in the background has them, and every process that they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_charts() -> Path:
    """The folder of real chart tables (charts-2023-12, charts-2025-02), kept outside the repository, in CI as well."""
    folder = SHARED / "data"
    if not folder.is_dir():
        lacking(f"{folder} is not here: the real chart tables are kept outside the repository")
    return folder
