"""Programs that tests/servers/install built from a Go module of this repository."""

import hashlib
import os
import shutil
from pathlib import Path

from tests.servers.process import lacking

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roadie-tests"


def require_built(module: Path, program: str) -> Path:
    """The path of `program` of the Go module in that folder, or a skipped test.

    With ROADIE_REQUIRE_SERVERS=1 (CI) the test fails instead.
    """
    sources = [module / "go.mod", module / "go.sum", *sorted(module.glob("*.go"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    found = CACHE / f"{module.name}-{digest}" / program
    if not found.is_file():
        remedy = "run tests/servers/install" if shutil.which("go") else "install Go, then run tests/servers/install"
        lacking(f"{program} is not on this machine: {remedy}")
    return found
