"""Tools of others that tests compare with, pinned in go.mod beside this file: kustomize, crane and cosign."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.servers.built import require_built

MODULE = Path(__file__).parent


def tool(name: str) -> Path:
    """The path of a tool; without it the test is skipped, or fails with ROADIE_REQUIRE_SERVERS=1 (CI)."""
    return require_built(MODULE, name)


def output_of(name: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What a tool prints; when it fails, so does the test, with what it said."""
    command = [str(tool(name)), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")
