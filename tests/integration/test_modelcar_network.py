"""What lies between Roadie and a registry: proxies, redirects, servers that speak something else, full disks."""

import contextlib
import http.client
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest

from roadie import modelcar
from roadie.errors import RegistryError, RoadieError
from roadie.modelcar import Access
from roadie.modelcar.auth import parse_challenges
from tests.conftest import SHARED
from tests.servers.clock import HandClock
from tests.servers.http import serving
from tests.servers.registry import RegistryServer, serve_registry
from tests.servers.token_service import TokenService


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.bin").write_bytes(os.urandom(10 << 20))
    return tmp_path / "model"


class Handler(BaseHTTPRequestHandler):
    """Passes requests on to `upstream`; what a test wants else, it overrides."""

    protocol_version = "HTTP/1.1"
    upstream = ""
    seen: ClassVar[list[tuple[str, str, str | None]]]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        path = self.path.partition("://")[2].partition("/")[2]
        connection = http.client.HTTPConnection(self.upstream)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection.request(self.command, f"/{path}", body, dict(self.headers))
        answer = connection.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_a_proxy_is_used_with_its_password_unless_no_proxy_says_otherwise(
    registry: RegistryServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Proxy(Handler):
        upstream = registry.host
        seen: ClassVar[list[tuple[str, str, str | None]]] = []

    access = Access(plain_http=True, timeout=5)
    with serving(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:s3cret@{proxy}")
        pushed = modelcar.push(model, "registry.test/proxied/model:v1", access=access)
        assert modelcar.resolve(registry.reference("proxied/model")) == pushed.digest
        assert Proxy.seen[0] == ("GET", "http://registry.test/v2/proxied/model/manifests/v1", "Basic bWU6czNjcmV0")
        monkeypatch.setenv("no_proxy", "registry.test")
        with pytest.raises(RegistryError, match=r"registry.test has no address") as caught:
            modelcar.resolve("registry.test/proxied/model:v1", access=access)
        assert "s3cret" not in str(caught.value)


BASIC = 'Basic realm="Gitea Container Registry"'


def front_of(upstream: str, **changes: Any) -> type[Handler]:
    """A front before a registry: `challenges` adds one to each 401, `location` changes where an answer leads."""

    class Front(Handler):
        seen: ClassVar[list[tuple[str, str, str | None]]] = []

        def do_GET(self) -> None:
            connection = http.client.HTTPConnection(upstream)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                for line in self.changed(name.lower(), value):
                    self.send_header(name, line)
            self.end_headers()
            self.wfile.write(answer.read())

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def changed(self, name: str, value: str) -> list[str]:
            if name == "www-authenticate" and "challenges" in changes:
                return list(changes["challenges"](value))
            if name == "location" and "location" in changes:
                return [changes["location"](value, self.headers["Host"])]
            return [value]

    return Front


@pytest.mark.parametrize(
    "challenges",
    [
        lambda bearer: [bearer, BASIC],
        lambda bearer: [BASIC, bearer],
        lambda bearer: [f"{bearer}, {BASIC}"],
        lambda bearer: [f"{BASIC}, {bearer}"],
        lambda bearer: [f"Negotiate, {BASIC}", bearer],
        lambda bearer: [bearer],
    ],
    ids=["two lines", "two lines, Basic first", "one line", "one line, Basic first", "three", "Bearer alone"],
)
def test_of_several_challenges_the_one_that_can_be_answered_is(
    registry_token: RegistryServer,
    token_service: TokenService,
    model: Path,
    tmp_path: Path,
    challenges: Callable[[str], list[str]],
) -> None:
    """As Gitea 1.26 sends them, in two lines, and as a proxy may join them; with a password and without."""
    with serving(front_of(registry_token.host, challenges=challenges)) as front:
        access = Access(username=registry_token.username, password=registry_token.password)
        pushed = modelcar.push(model, f"{front}/two/challenges:v1", access=access)
        token_service.anonymous = True
        modelcar.pull(pushed.reference, tmp_path / "back")
    assert (tmp_path / "back/weights.bin").read_bytes() == (model / "weights.bin").read_bytes()


def test_basic_is_answered_where_the_other_challenge_cannot_be(registry_htpasswd: RegistryServer, model: Path) -> None:
    challenges = {"challenges": lambda basic: ["Negotiate", basic, 'Digest realm="x", nonce=1']}
    with serving(front_of(registry_htpasswd.host, **challenges)) as front:
        access = Access(username=registry_htpasswd.username, password=registry_htpasswd.password)
        assert modelcar.push(model, f"{front}/basic/among-others:v1", access=access).digest


@pytest.mark.parametrize("name", ["two-lines", "one-line"])
def test_recorded_answers_of_gitea_are_read(name: str) -> None:
    recording = SHARED / "cases" / "01-gitea-two-challenges" / f"{name}.http"
    if not recording.is_file():
        pytest.skip(f"{recording} is not here: recordings are kept outside the repository")
    lines = recording.read_text().splitlines()
    header = ", ".join(line.partition(": ")[2] for line in lines if line.lower().startswith("www-authenticate:"))
    assert parse_challenges(header) == [
        ("bearer", {"realm": "https://git.example.com/v2/token", "service": "container_registry", "scope": "*"}),
        ("basic", {"realm": "Gitea Container Registry"}),
    ]


@pytest.mark.parametrize(
    "location",
    [
        lambda value, host: value.replace(host, host.upper().replace("LOCALHOST", "LocalHost")),
        lambda value, host: value.replace(host, host.replace("localhost", "localhost.")),
        lambda value, host: value.replace("http://", "https://"),
        lambda value, host: value.partition(host)[2],
        lambda value, host: value.replace("http://", "http://somebody@"),
    ],
    ids=["capitals", "final dot", "https", "path", "user"],
)
def test_a_location_in_another_spelling_is_the_same_registry(
    registry_htpasswd: RegistryServer, model: Path, tmp_path: Path, location: Callable[[str, str], str]
) -> None:
    with serving(front_of(registry_htpasswd.host, location=location)) as front:
        access = Access(username=registry_htpasswd.username, password=registry_htpasswd.password)
        name = f"localhost:{front.rpartition(':')[2]}/spelt/{tmp_path.name}:v1"
        assert modelcar.verify(modelcar.push(model, name, access=access).reference, access=access)


def test_a_registry_that_sends_uploads_to_another_host_is_told_that_its_address_is_set_wrong(
    registry_htpasswd: RegistryServer, model: Path
) -> None:
    with serving(front_of(registry_htpasswd.host, location=lambda value, host: value.replace(host, other))) as front:
        other = front.replace("127.0.0.1", "localhost")
        access = Access(username=registry_htpasswd.username, password=registry_htpasswd.password)
        with pytest.raises(RegistryError, match=rf"sends clients to {other} .*: its external address may be set wrong"):
            modelcar.push(model, f"{front}/other/host:v1", access=access)


def test_a_proxy_s_own_refusal_is_told_as_the_proxy_s(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Handler):
        seen: ClassVar[list[tuple[str, str, str | None]]] = []

        def do_GET(self) -> None:
            page = b"<html><title>Blocked</title><body>registry.test is not on the list</body></html>"
            self.send_response_only(403)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_CONNECT = do_GET

    with serving(Refusing) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        with pytest.raises(RegistryError, match=r"Blocked registry.test is not on.* the proxy 127.0.0.1, which"):
            modelcar.inspect("registry.test/team/model:v1", access=Access(plain_http=True))
        with pytest.raises(RegistryError, match=r"The proxy 127.0.0.1 does not let registry.test through \(.*403"):
            modelcar.inspect("registry.test/team/model:v1")


def test_a_blob_may_lie_elsewhere_and_the_password_does_not_go_there(
    registry_htpasswd: RegistryServer, model: Path, tmp_path: Path
) -> None:
    access = Access(username=registry_htpasswd.username, password=registry_htpasswd.password)
    pushed = modelcar.push(model, registry_htpasswd.reference("redirected/model"), access=access)
    went: list[str | None] = []

    class Storage(Handler):
        def do_GET(self) -> None:
            went.append(self.headers.get("Authorization"))
            digest = self.path.rpartition(":")[2]
            path = registry_htpasswd.storage / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
            self.send_response_only(200)
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            self.wfile.write(path.read_bytes())

    with serving(Storage) as storage:

        class Redirecting(Handler):
            upstream = registry_htpasswd.host
            seen: ClassVar[list[tuple[str, str, str | None]]] = []

            def do_GET(self) -> None:
                if "/blobs/sha256:" in self.path and self.headers.get("Authorization"):
                    self.send_response_only(307)
                    self.send_header("Location", f"http://{storage}{self.path}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.path = f"http://host{self.path}"
                    super().do_GET()

            do_HEAD = do_POST = do_PUT = do_GET

        with serving(Redirecting) as front:
            reference = f"{front}/redirected/model@{pushed.digest}"
            modelcar.pull(reference, tmp_path / "back", access=access)
            again = modelcar.push(model, f"{front}/redirected/model:v2", previous=reference, access=access)
    assert again.uploaded_bytes < 20_000, "what lies elsewhere is there"
    assert (tmp_path / "back/weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
    assert went
    assert set(went) == {None}


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"],
)
def test_a_server_that_speaks_something_else_is_one_sentence(said: bytes) -> None:
    access = Access(clock=HandClock())
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(1 << 16)
                    connection.sendall(said)
                    connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(RegistryError, match=r"The connection to 127.0.0.1:\d+ broke at GET"):
            modelcar.inspect(f"127.0.0.1:{listener.getsockname()[1]}/team/model:v1", access=access)
        listener.shutdown(socket.SHUT_RDWR)


def test_a_web_page_in_place_of_a_manifest_is_one_sentence() -> None:
    class Page(Handler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")

    with serving(Page) as host, pytest.raises(RoadieError, match="is not JSON"):
        modelcar.inspect(f"{host}/team/model:v1")


def test_a_full_disk_at_the_registry_is_one_sentence_and_leaves_no_tag(model: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    try:
        with serve_registry(small) as full:
            reference = full.reference("full/model")
            with pytest.raises(RegistryError, match=r"HTTP 500.*look into the registry's log"):
                modelcar.push(model, reference, access=Access(clock=HandClock()))
            assert modelcar.resolve(reference) is None
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.parametrize(
    ("head", "content"),
    [
        ('401 X\r\nWWW-Authenticate: Bearer realm="http://[bad"', ""),
        ('401 X\r\nWWW-Authenticate: Bearer realm="http://auth.test/token"', ""),
        ("401 X\r\nWWW-Authenticate: Negotiate", '{"errors": [null]}'),
        ("202 X\r\nLocation: http://[bad", ""),
        ("202 X\r\nLocation: ftp://elsewhere/", ""),
        ("307 X\r\nLocation: /v2/again", ""),
        ("999 X", '{"errors": {"a": 1}}'),
        ("429 X\r\nRetry-After: tomorrow", "<html>"),
        ("200 X", ""),
        ("200 X", "null"),
        ("200 X", '{"manifests": [1]}'),
        ("200 X", '{"config": 1, "layers": 2}'),
    ],
)
def test_whatever_a_server_says_comes_out_as_an_error_of_roadie(
    model: Path, tmp_path: Path, head: str, content: str
) -> None:
    class Odd(Handler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.wfile.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode())
            self.close_connection = True

        do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    with serving(Odd) as host:
        access = Access(username="me", password="hush", timeout=1, clock=HandClock())
        for use in (
            lambda: modelcar.push(model, f"{host}/a/b:v1", access=access),
            lambda: modelcar.pull(f"{host}/a/b:v1", tmp_path / "back", access=access),
            lambda: modelcar.inspect(f"{host}/a/b:v1", access=access),
        ):
            with pytest.raises(RoadieError) as caught:
                use()
            assert "hush" not in str(caught.value)
            assert "\n" not in str(caught.value)
