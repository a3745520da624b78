"""A real Git server over HTTP: `git http-backend` (git-http-backend(1)) behind a threaded server with Basic auth."""

import base64
import contextlib
import functools
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.servers.process import require

USERNAME = "roadie"
PASSWORD = "not/a secret:%40&é"  # ugly on purpose, so that every quoting shows

# The server's git must not heed the caller's hooks, signatures or credentials.
ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}


_TEMPLATES = tempfile.TemporaryDirectory(prefix="roadie-tests-")


@dataclass
class GitServer:
    """Bare repositories under `root`, served at `url`; `received` and `sent` count the bytes of the bodies."""

    root: Path
    url: str
    username: str = USERNAME
    password: str = PASSWORD
    # For tests of fallbacks: an old server speaks version 0 of the protocol, a failing one answers 503 so many times,
    # or what `trouble` says for a method and a path (0: all is well), and a gateway gives an answer of its own to so
    # many pushes that were carried out.
    old: bool = False
    failures: int = 0
    trouble: Callable[[str, str], int] = lambda method, path: 0
    lost_answers: int = 0
    lost_status: int = 502
    received: int = 0
    sent: int = 0
    requests: list[str] = field(default_factory=list)

    def create(self, name: str, source: Path | None = None, **config: str) -> str:
        """Make the bare repository `name`, of the files in `source` where given; return its URL."""
        bare = self.root / name
        shutil.copytree(_template(source), bare)
        defaults = {"http_receivepack": "true", "uploadpack_allowFilter": "true", "receive_denyNonFastForwards": "true"}
        with (bare / "config").open("a") as file:
            for key, value in {**defaults, **config}.items():
                section, _, name_in_it = key.partition("_")
                file.write(f"[{section}]\n\t{name_in_it} = {value}\n")
        return f"{self.url}/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which Roadie finds the credentials."""
        return {"GIT_USERNAME": self.username, "GIT_PASSWORD": self.password}


@functools.cache
def _template(source: Path | None) -> Path:
    """A bare repository to copy, which is faster than to make each anew."""
    from roadie.gitops import create_bare

    bare = Path(_TEMPLATES.name) / f"{len(list(Path(_TEMPLATES.name).iterdir()))}.git"
    if source:
        create_bare(source, bare)
    else:
        git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    return bare


def git(*arguments: str, **options: Any) -> str:
    """Run git in a clean environment; its output."""
    people = {
        f"GIT_{who}_{what}": "tester@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments], check=True, capture_output=True, text=True, env={**ENVIRONMENT, **people}, **options
    )
    return done.stdout.strip()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: GitServer

    def handle(self) -> None:
        # Clients that are killed hang up in the middle.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _serve(self, body: bytes) -> None:
        self.state.received += len(body)
        self.state.requests.append(f"{self.command} {self.path}")
        pair = f"{self.state.username}:{self.state.password}".encode()
        status = self.state.trouble(self.command, self.path)
        if status:
            self._answer(status, [], b"in trouble")
        elif self.state.failures:
            self.state.failures -= 1
            self._answer(503, [], b"in trouble")
        elif self.headers.get("Authorization") != "Basic " + base64.b64encode(pair).decode():
            self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?")
        else:
            self._backend(body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.state.sent += len(body)

    def _backend(self, body: bytes) -> None:
        url = urlsplit(self.path)
        environment = {
            **ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": self.state.username,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        if not self.state.old:
            environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
        pipe = subprocess.PIPE
        with subprocess.Popen(["git", "http-backend"], stdin=pipe, stdout=pipe, env=environment) as process:
            feeder = threading.Thread(target=self._feed, args=(process.stdin, body))
            feeder.start()
            try:
                self._answer_of(process.stdout, url.path)
            finally:
                feeder.join()

    def _answer_of(self, output: Any, path: str) -> None:
        if self.state.lost_answers and self.command == "POST" and path.endswith("receive-pack"):
            self.state.lost_answers -= 1
            output.read()
            self._answer(self.state.lost_status, [], b"bad gateway")
        else:
            self._relay(output)

    @staticmethod
    def _feed(pipe: Any, body: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), pipe:
            pipe.write(body)

    def _relay(self, output: Any) -> None:
        """Pass on the CGI answer: its headers, then its body in chunks as they come."""
        headers = []
        while line := output.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers.append((name, value))
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := output.read1(1 << 20):
            self.state.sent += len(chunk)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet; `requests` keeps what was asked."""


@contextlib.contextmanager
def serving(root: Path, certificate: Path | None = None) -> Iterator[GitServer]:
    """Serve the bare repositories under `root` until the block ends; over TLS with a PEM of key and certificate."""
    root.mkdir(parents=True, exist_ok=True)
    state = GitServer(root, "")
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        state.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def git_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    """A Git server on loopback, with its credentials in GIT_USERNAME and GIT_PASSWORD."""
    require("git", "apt-get install git")
    with serving(tmp_path / "repositories") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
