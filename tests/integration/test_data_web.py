"""Charts from a real web server, with what goes wrong on the web."""

import base64
import contextlib
import http.server
import logging
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import stamina

from roadie import data
from roadie.errors import DataError
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


def test_a_signed_address_keeps_its_signature_in_requests_and_out_of_the_record(tables: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def note(request: Handler) -> bool:
        seen.append(request.address)
        return False

    with serving(tables, note) as host:
        dataset = data.load_charts(f"http://{host}/charts?sv=1&sig=hidden", tmp_path / "examples.parquet")
    assert seen == [f"/charts/{file.name}?sv=1&sig=hidden" for file in dataset.files]
    assert "hidden" not in repr(dataset)
    assert dataset.source == f"http://{host}/charts"


def test_a_single_table_comes_from_a_signed_address(tables: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def note(handler: Handler) -> bool:
        asked.append(handler.address)
        return False

    with serving(tables, note) as host:
        fetched = data.fetch_table(f"http://{host}/charts/song_rankings.parquet?sig=a/b", tmp_path / "holdout.parquet")
    assert asked == ["/charts/song_rankings.parquet?sig=a/b"]
    assert fetched.uri == f"http://{host}/charts/song_rankings.parquet"
    assert (tmp_path / "holdout.parquet").read_bytes() == (tables / "song_rankings.parquet").read_bytes()
    assert list(tmp_path.iterdir()) == [tmp_path / "holdout.parquet"]


def test_a_password_in_the_address_is_sent_but_neither_recorded_nor_shown(tables: Path, tmp_path: Path) -> None:
    wanted = "Basic " + base64.b64encode(b"me:p@ss").decode()

    def guard(request: Handler) -> bool:
        return request.headers.get("Authorization") != wanted and request.end(401)

    with serving(tables, guard) as host:
        dataset = data.load_charts(f"http://me:p%40ss@{host}/charts", tmp_path / "examples.parquet")
        assert "ss@" not in repr(dataset) and "me:" not in repr(dataset)
        (tmp_path / "none").mkdir()
        message = refusal(f"http://me:wrong@{host}/charts", tmp_path / "none")
    assert message.startswith(f"http://{host}/charts/song_rankings.parquet is refused (HTTP 401")
    assert "wrong" not in message


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_redirect_is_followed_and_the_password_does_not_go_to_another_host(
    tables: Path, tmp_path: Path, elsewhere: bool
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
        assert data.load_charts(f"http://me:secret@{host}/charts", tmp_path / "examples.parquet").rows
    assert len(passwords) == 2
    assert [password is None for password in passwords] == [elsewhere, elsewhere]


def test_a_redirect_to_a_file_of_this_machine_is_refused(tables: Path, tmp_path: Path) -> None:
    with serving(tables, lambda request: request.end(302, Location="file:///etc/passwd")) as host:
        assert "HTTP 302" in refusal(f"http://{host}/charts", tmp_path)


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
        (404, "is not there (HTTP 404 Not Found); the address must be of the folder that holds it"),
        (403, "is refused (HTTP 403 Forbidden); give an address with credentials that may read it"),
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
    message = refusal(f"http://127.0.0.1:{free_port()}/charts?sig=hidden", tmp_path)
    assert "song_rankings.parquet could not be had in 4 attempts: Connection refused; check" in message
    assert "hidden" not in message


@pytest.mark.parametrize("source", ["https://", "https://:8080/x", "https://me:hidden@host:port/x", "http://[/x"])
def test_a_malformed_address_is_refused(source: str, tmp_path: Path) -> None:
    message = refusal(source, tmp_path)
    assert "is no web address; write it like https://HOST/FOLDER" in message
    assert "hidden" not in message


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
