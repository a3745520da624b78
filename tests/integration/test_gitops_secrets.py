"""While bumps succeed, race and fail, their token is in no file of git, no argument, no log and no error."""

import base64
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from roadie.errors import GitOpsError
from roadie.gitops import Access, Edit, bump, read_value
from tests.servers.git_http import PASSWORD, GitServer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
FILE, KEY = "test/values.yaml", "applications.jukebox.values.version"


def forms(server: GitServer, password: str = PASSWORD) -> list[bytes]:
    """The token in every form that git or curl could write it."""
    pair = base64.b64encode(f"{server.username}:{password}".encode())
    return [password.encode(), pair]


class Scan:
    """Reads, until it is stopped, every argument list in /proc and every file of Roadie's temporary repositories."""

    def __init__(self, secrets: list[bytes]) -> None:
        self.secrets = secrets
        self.leaks: set[str] = set()
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Scan":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for path in self._places():
                try:
                    content = path.read_bytes()
                except OSError:
                    continue
                self.seen.add(path.name)
                if b"git" in content and path.name == "cmdline":
                    self.seen.add("an argument list of git")
                if any(secret in content for secret in self.secrets):
                    self.leaks.add(f"{path}: {content[:200]!r}")

    @staticmethod
    def _places() -> Iterator[Path]:
        yield from Path("/proc").glob("[0-9]*/cmdline")
        for folder in Path(tempfile.gettempdir()).glob("roadie-gitops-*"):
            # os.walk passes over folders that go away meanwhile.
            for root, _, names in os.walk(folder):
                yield from (Path(root, name) for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="argument lists are read from /proc")
def test_no_token_is_written_anywhere(
    git_server: GitServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repo = git_server.create("x.git", EXAMPLE)
    caplog.set_level(logging.DEBUG)
    trace = tmp_path / "trace"
    for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_SETUP", "GIT_TRACE2"):
        monkeypatch.setenv(name, str(trace))
    with Scan(forms(git_server)) as scan:
        for number in range(5):
            assert bump(repo, [Edit(FILE, KEY, f"1.{number}")]).changed
        with pytest.raises(GitOpsError) as failed:
            bump(f"{git_server.url}/nope.git", [Edit(FILE, KEY, "2")])
    assert scan.leaks == set()
    assert {"cmdline", "config", "an argument list of git"} <= scan.seen
    for text in (caplog.text, str(failed.value), trace.read_text(errors="replace")):
        assert not any(secret in text.encode() for secret in forms(git_server))


@pytest.mark.parametrize("reads", [True, False])
def test_a_refused_token_is_in_no_error_and_no_traceback(git_server: GitServer, reads: bool) -> None:
    git_server.create("x.git", EXAMPLE)
    token = "glpat-not%/accepted"
    call = f"read_value(url, {FILE!r}, {KEY!r})" if reads else f"bump(url, [Edit({FILE!r}, {KEY!r}, '1')])"
    code = f"import sys; from roadie.gitops import *; url = sys.argv[1]; {call}"
    done = subprocess.run(
        [sys.executable, "-c", code, f"{git_server.url}/x.git"],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "GIT_TOKEN": token, "GIT_PYTHON_TRACE": "full"},
    )
    assert done.returncode == 1
    assert b"does not accept the credentials" in done.stderr
    for secret in [*forms(git_server, token), base64.b64encode(f"x-access-token:{token}".encode())]:
        assert secret not in done.stdout + done.stderr


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends every request to the server in `target`, or keeps its headers where there is none."""

    target = ""
    heard: list[str]

    def do_GET(self) -> None:
        self.heard.append(str(self.headers))
        self.send_response(301 if self.target else 404)
        self.send_header("Location", self.target + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def test_no_token_is_sent_to_where_a_server_redirects() -> None:
    heard: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("End", (_Elsewhere,), {"heard": heard})) as end:
        target = {"heard": [], "target": f"http://localhost:{end.server_port}"}
        with ThreadingHTTPServer(("127.0.0.1", 0), type("Start", (_Elsewhere,), target)) as begin:
            for server in (begin, end):
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            with pytest.raises(GitOpsError, match="redirects, and a token is not sent on; give the final address"):
                read_value(f"http://127.0.0.1:{begin.server_port}/x", FILE, KEY, access=Access("roadie", PASSWORD))
            for server in (begin, end):
                server.shutdown()
    assert heard == []


def test_the_repository_keeps_no_token(git_server: GitServer) -> None:
    repo = git_server.create("x.git", EXAMPLE)
    bump(repo, [Edit(FILE, KEY, "1.0")])
    assert read_value(repo, FILE, KEY).value == "1.0"
    for path in git_server.root.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in forms(git_server)), path
