"""Charts from a real web server, with what goes wrong on the web."""

import base64
import contextlib
import http.server
import logging
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import stamina

from roadie import data
from roadie.errors import DataError, UsageError
from tests.servers.process import free_port, require

Answer = Callable[["Handler"], bool]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder after asking `answer`, which may answer itself and then returns True."""

    folder: Path
    answer: Answer

    def do_GET(self) -> None:
        self.address, self.path = self.path, urlsplit(self.path).path
        if not type(self).answer(self):
            super().do_GET()

    def translate_path(self, path: str) -> str:
        return str(type(self).folder / Path(path).name)

    def end(self, status: int, **headers: str) -> bool:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, answer: Answer = lambda _: False, context: ssl.SSLContext | None = None) -> Iterator[str]:
    handler = type("Configured", (Handler,), {"folder": folder, "answer": staticmethod(answer)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _direct_and_without_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", os.devnull)
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    data.write_sample(folder, seed=2)
    return folder


def refusal(source: str, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.load_charts(source, folder / "examples.parquet")
    assert list(folder.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_same_tables_give_the_same_bytes_from_the_web_and_from_a_folder(tables: Path, tmp_path: Path) -> None:
    with serving(tables) as host:
        remote = data.load_charts(f"http://{host}/charts/2023-12/", tmp_path / "remote.parquet")
    local = data.load_charts(str(tables), tmp_path / "local.parquet")
    assert (remote.sha256, remote.rows) == (local.sha256, local.rows)
    assert remote.files[0].uri == f"http://{host}/charts/2023-12/song_rankings.parquet"


@pytest.mark.parametrize("secret", ["http://me:hidden@HOST/charts", "http://HOST/charts?X-Amz-Signature=hidden"])
def test_an_address_with_a_password_or_a_signature_in_it_is_refused_before_anything_is_asked(
    tables: Path, tmp_path: Path, secret: str
) -> None:
    asked: list[str] = []
    with serving(tables, lambda request: bool(asked.append(request.path))) as host:
        source = secret.replace("HOST", host)
        for bring in (
            lambda: data.load_charts(source, tmp_path / "examples.parquet"),
            lambda: data.fetch_table(source, tmp_path / "holdout.parquet"),
        ):
            with pytest.raises(UsageError, match="password, token or signature.*: put it into a secret") as refused:
                bring()
            assert "hidden" not in str(refused.value)
    assert asked == []


def test_a_query_that_is_no_secret_is_sent_for_each_table(tables: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    with serving(tables, lambda request: bool(seen.append(request.address))) as host:
        dataset = data.load_charts(f"http://{host}/charts?version=3", tmp_path / "examples.parquet")
    assert seen == [f"/charts/{file.name}?version=3" for file in dataset.files]


def test_a_single_table_comes_from_the_web(tables: Path, tmp_path: Path) -> None:
    with serving(tables) as host:
        fetched = data.fetch_table(f"http://{host}/charts/song_rankings.parquet", tmp_path / "holdout.parquet")
    assert fetched.uri == f"http://{host}/charts/song_rankings.parquet"
    assert (tmp_path / "holdout.parquet").read_bytes() == (tables / "song_rankings.parquet").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "holdout.parquet"]


@pytest.fixture
def login(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("home") / "netrc"
    path.write_text("machine 127.0.0.1 login me password p@ss\n")
    monkeypatch.setenv("NETRC", str(path))
    return path


def test_the_login_of_netrc_is_sent_but_neither_recorded_nor_shown(tables: Path, tmp_path: Path, login: Path) -> None:
    wanted = "Basic " + base64.b64encode(b"me:p@ss").decode()

    def guard(request: Handler) -> bool:
        return request.headers.get("Authorization") != wanted and request.end(401)

    with serving(tables, guard) as host:
        dataset = data.load_charts(f"http://{host}/charts", tmp_path / "examples.parquet")
        assert "p@ss" not in repr(dataset)
        (tmp_path / "none").mkdir()
        login.write_text("machine 127.0.0.1 login me password wrong\n")
        message = refusal(f"http://{host}/charts", tmp_path / "none")
    assert message.startswith(f"http://{host}/charts/song_rankings.parquet is refused (HTTP 401")
    assert "in NETRC" in message and "wrong" not in message


def test_a_login_does_not_go_over_plain_http_to_another_machine(tables: Path, tmp_path: Path, login: Path) -> None:
    login.write_text("machine charts.invalid login me password hidden\n")
    message = refusal("http://charts.invalid/charts", tmp_path)
    assert "would go over plain http" in message and "hidden" not in message


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_redirect_is_followed_and_the_password_does_not_go_to_another_host(
    tables: Path, tmp_path: Path, login: Path, elsewhere: bool
) -> None:
    passwords: list[str | None] = []

    def note(request: Handler) -> bool:
        passwords.append(request.headers.get("Authorization"))
        return False

    def move(request: Handler) -> bool:
        if "moved" in request.path:
            return note(request)
        return request.end(302, Location=f"{origin}/moved/{Path(request.path).name}")

    with serving(tables, note) as other, serving(tables, move) as host:
        origin = f"http://{other}" if elsewhere else ""
        assert data.load_charts(f"http://{host}/charts", tmp_path / "examples.parquet").rows
    assert len(passwords) == 2
    assert [password is None for password in passwords] == [elsewhere, elsewhere]


def test_a_redirect_to_a_file_of_this_machine_is_refused(tables: Path, tmp_path: Path) -> None:
    with serving(tables, lambda request: request.end(302, Location="file:///etc/passwd")) as host:
        assert "HTTP 302" in refusal(f"http://{host}/charts", tmp_path)


@pytest.mark.parametrize(
    "inside",
    ["169.254.169.254", "[fe80::1]", "localhost", "127.1", "2130706433", "[::ffff:169.254.169.254]", "0.0.0.0"],
)
def test_a_redirect_from_another_machine_to_this_one_or_its_link_is_refused(
    tables: Path, tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy stands in for the internet: it answers for a host that is none of this network."""
    asked: list[str] = []

    def move(request: Handler) -> bool:
        asked.append(request.address)
        return request.end(302, Location=f"http://{inside}/latest/meta-data")

    with serving(tables, move) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.setenv("no_proxy", "")
        message = refusal("http://charts.invalid/charts", tmp_path)
    assert "which is inside of this network" in message
    assert len(asked) == 1


def test_a_source_without_end_is_left_after_so_many_bytes_and_once(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def pour(request: Handler) -> bool:
        asked.append(request.path)
        request.send_response(200)
        request.end_headers()
        with contextlib.suppress(OSError):
            while True:
                request.wfile.write(bytes(1 << 20))
        request.close_connection = True
        return True

    monkeypatch.setattr("roadie.data.web.LARGEST", 5 << 20)
    with serving(tables, pour) as host:
        assert "larger than 5,242,880 bytes" in refusal(f"http://{host}/charts", tmp_path)
    assert len(asked) == 1


def test_a_cut_connection_is_tried_again(tables: Path, tmp_path: Path) -> None:
    cuts: list[str] = []

    def cut(request: Handler) -> bool:
        if len(cuts) >= 2:
            return False
        cuts.append(request.path)
        request.end(200, **{"Content-Length": "5000"})
        request.wfile.write(b"PAR1")
        request.close_connection = True
        return True

    with serving(tables, cut) as host:
        dataset = data.load_charts(f"http://{host}/charts", tmp_path / "examples.parquet")
    assert len(cuts) == 2
    assert dataset.files[0].sha256 == data.file_sha256(tables / "song_rankings.parquet")


def test_a_connection_that_is_always_cut_says_where_it_broke_off(tables: Path, tmp_path: Path) -> None:
    def cut(request: Handler) -> bool:
        request.end(200, **{"Content-Length": "5000"})
        request.wfile.write(b"PAR1")
        return True

    with serving(tables, cut) as host:
        message = refusal(f"http://{host}/charts", tmp_path)
    assert "could not be had in 4 attempts: the connection broke off after 4 of 5,000 bytes" in message


def test_a_busy_server_is_tried_again(tables: Path, tmp_path: Path) -> None:
    busy = iter([True, True, True])
    with serving(tables, lambda request: next(busy, False) and request.end(503)) as host:
        assert data.load_charts(f"http://{host}/charts", tmp_path / "examples.parquet").rows


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            404,
            "is not there (HTTP 404 Not Found); the address must be of the folder that holds it, "
            "as one file: a folder of parts cannot be listed over the web, only in S3",
        ),
        (403, "is refused (HTTP 403 Forbidden); name a netrc file that has the host's login in NETRC"),
        (418, "cannot be had (HTTP 418 I'm a Teapot); check the address"),
        (502, "could not be had in 4 attempts: HTTP 502 Bad Gateway; check the address, network and proxy"),
    ],
)
def test_a_refusal_names_the_file_the_answer_and_what_to_do(
    tables: Path, tmp_path: Path, status: int, sentence: str
) -> None:
    with serving(tables, lambda request: request.end(status)) as host:
        message = refusal(f"http://{host}/charts", tmp_path)
    assert message == f"http://{host}/charts/song_rankings.parquet {sentence}"


def test_a_host_that_does_not_answer_is_named(tmp_path: Path) -> None:
    message = refusal(f"http://127.0.0.1:{free_port()}/charts", tmp_path)
    assert "song_rankings.parquet could not be had in 4 attempts: Connection refused; check" in message


@pytest.mark.parametrize("source", ["https://", "https://:8080/x", "https://host:port/x", "http://[/x"])
def test_a_malformed_address_is_refused(source: str, tmp_path: Path) -> None:
    message = refusal(source, tmp_path)
    assert "is no web address; write it like https://HOST/FOLDER" in message


def test_the_proxy_of_the_usual_variables_is_used(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tables) as proxy, caplog.at_level(logging.WARNING):
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.setenv("no_proxy", "")
        assert data.load_charts("http://charts.invalid/weeks", tmp_path / "examples.parquet").rows
    assert "http://charts.invalid/weeks/song_rankings.parquet is read over plain http" in caplog.text


def test_a_certificate_counts_only_when_its_authority_is_trusted(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = require("openssl", "apt-get install openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(tables, context=context) as host:
        (tmp_path / "none").mkdir()
        message = refusal(f"https://{host}/charts", tmp_path / "none")
        assert "is not trusted (self-signed certificate); name its authority's file in SSL_CERT_FILE" in message
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert data.load_charts(f"https://{host}/charts", tmp_path / "examples.parquet").rows
