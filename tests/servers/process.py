"""Start a real server for a test, wait until it answers, and stop it for sure."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest


def free_port() -> int:
    """A TCP port on loopback that nobody listens on right now.

    It lies below those that systems give to clients (RFC 6335 and Linux differ, from 32768 on at least): one of them
    might belong to somebody's connection at the moment when a server starts on it, or starts again.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_768), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("none of 100 ports is free")


def require(program: str, how_to_get_it: str) -> str:
    """The path of `program`, or a skipped test; with ROADIE_REQUIRE_SERVERS=1 (CI) a failed one."""
    return shutil.which(program) or lacking(f"{program} is not on this machine: {how_to_get_it}")


def lacking(message: str) -> NoReturn:
    """Skip the test, for something that it needs is not here; fail it with ROADIE_REQUIRE_SERVERS=1 (CI)."""
    if os.environ.get("ROADIE_REQUIRE_SERVERS") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, log: Path, env: Mapping[str, str] | None = None, timeout: float = 120.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends; the block starts once 127.0.0.1:`port` accepts connections.

    The server's output goes to `log`, whose end is in the error when the server does not come up.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command), stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}
        )
    try:
        _wait_for_port(process, port, log, timeout)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args!r} did not open port {port} within {timeout:.0f} s; its output ends: {tail}")
