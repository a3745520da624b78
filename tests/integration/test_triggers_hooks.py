"""What senders are answered, over real sockets: the right status, one line in the log, and nothing stored or started
for what is refused.
"""

import contextlib
import hashlib
import hmac
import http.client
import json
import logging
import select
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roadie.errors import TriggerError
from roadie.triggers.config import Config
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.logs import KeyValue
from roadie.triggers.metrics import Metrics
from roadie.triggers.rules.arguments import load_targets
from roadie.triggers.web import hooks as hooks_module
from roadie.triggers.web.app import create_app
from roadie.triggers.web.server import Server, bind
from tests.unit.triggers.test_alertmanager import alert, payload
from tests.unit.triggers.test_pushes import MAKE, headers

SECRET = "hunter2-and-some-more"
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": f"Bearer {SECRET}", **JSON}
ALERT = json.dumps(payload(alert())).encode()
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Receiver:
    """A receiver that answers, and what it has written."""

    port: int
    journal: Journal
    recorder: Recorder
    metrics: Metrics
    server: Server
    lines: list[str]
    problems: list[str]

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """One request; status, JSON and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            text = answer.read()
            told = json.loads(text) if text.startswith(b"{") else {}
            return answer.status, told, answer.headers

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def line(self) -> str:
        """The one line that was logged about the request just made, once it is there."""
        # The line follows the answer, and whatever else is said about the request is said before its task ends.
        wait_until(lambda: bool(self.lines) and not self.server.uvicorn.server_state.tasks)
        assert len(self.lines) == 1, self.lines
        return self.lines.pop()

    def forget(self) -> None:
        """Let everything that was sent so far come to its end, and take its lines away."""
        wait_until(lambda: not (self.server.uvicorn.server_state.tasks or self.server.uvicorn.server_state.connections))
        self.lines.clear()

    def stored(self) -> int:
        """How many events are in the journal."""
        return len(self.journal.timeline(10_000))

    def counted(self, sample: str) -> bool:
        """Whether the metrics show this sample."""
        return sample in self.metrics.render().decode()


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(KeyValue())
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() not in ("listening", "ended"):
            self.lines.append(self.format(record))


@contextlib.contextmanager
def receiving(folder: Path, **listen: Any) -> Iterator[Receiver]:
    (folder / "secret").write_text(SECRET + "\n")
    secret = {"secret": {"file": folder / "secret"}}
    config = Config.model_validate(
        {
            "journal": folder / "journal.db",
            "listen": {"port": 0, **listen},
            "hooks": dict.fromkeys(("alertmanager", "github", "gitlab", "gitea"), secret),
            "models": {
                "jukebox": {
                    "pipeline": str(ROOT / "compiled" / "pipelines" / "training.yaml"),
                    "cool_down": "1h",
                    "pushes": [{"repository": "https://github.com/band/jukebox"}],
                }
            },
        }
    )
    journal, metrics = Journal(config.journal), Metrics()
    recorder = Recorder(journal, load_targets(config), metrics)
    problems: list[str] = []

    def check() -> None:
        if problems:
            raise TriggerError(problems[0])

    app = create_app(config, recorder, metrics, checks={"journal": journal.check, "worker": check})
    server, listener, lines = Server(app, config.listen, metrics), bind(config.listen), []
    handler = Lines(lines)
    logger = logging.getLogger()
    logger.addHandler(handler)
    logging.getLogger("roadie").setLevel(logging.INFO)
    thread = threading.Thread(target=server.answer_on, args=(listener,))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield Receiver(listener.getsockname()[1], journal, recorder, metrics, server, lines, problems)
    finally:
        server.end()
        thread.join()
        logger.removeHandler(handler)
        recorder.close()
        journal.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver) -> Receiver:
    shared.forget()
    return shared


@pytest.fixture(scope="module")
def shared_impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with receiving(tmp_path_factory.mktemp("impatient"), seconds_to_send=0.4) as receiver:
        yield receiver


@pytest.fixture
def impatient(shared_impatient: Receiver) -> Receiver:
    """One that waits for a request for 0.4 s only."""
    shared_impatient.forget()
    return shared_impatient


def test_an_alert_is_on_disk_before_its_sender_is_answered(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        status, told, _ = receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)
        # Another connection sees what is committed, and nothing else.
        count = sqlite3.connect(tmp_path / "journal.db").execute("SELECT count(*) FROM events").fetchone()[0]
        assert (status, count) == (200, 1)
        assert (told["events"], told["new"], told["runs"]) == (1, 1, 1)
        assert told["reasons"] == [
            {
                "model": "jukebox",
                "action": "start",
                "code": "accepted",
                "why": told["reasons"][0]["why"],
                "count": 1,
            }
        ]
        line = receiver.line()
        assert "level=info event=request method=POST path=/hooks/alertmanager status=200" in line
        assert "events=1 new=1 runs=1" in line
        again = receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)[1]
        assert (again["new"], again["seen"], again["runs"]) == (0, 1, 0)
        assert len(receiver.journal.runs()) == 1


def test_what_is_ignored_or_held_back_is_a_200_with_the_reason(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        group = payload(
            alert(),
            alert(fingerprint="e795a2213eedffae"),
            alert(fingerprint="f795a2213eedffae", status="resolved"),
            alert(fingerprint="a795a2213eedffae", labels={"alertname": "Other"}),
            truncatedAlerts=3,
        )
        status, told, _ = receiver.send("POST", "/hooks/alertmanager", json.dumps(group).encode(), BEARER)
        assert (status, told["events"], told["runs"], told["truncated"]) == (200, 4, 1, 3)
        codes = {(reason["model"], reason["action"], reason["code"]) for reason in told["reasons"]}
        assert codes == {
            ("jukebox", "start", "accepted"),
            ("jukebox", "hold", "cool-down"),
            ("jukebox", "ignore", "resolved"),
            ("", "ignore", "no-model"),
        }
        assert all(reason["why"] for reason in told["reasons"])
        assert "truncated=3" in receiver.line()
        assert receiver.counted("roadie_alerts_truncated_total 3.0")


def many(count: int) -> bytes:
    """A group in the size of Alertmanager's own: some 430 bytes an alert."""
    labels = {"alertname": "SongDrift", "model": "jukebox", "retrain": "true", "namespace": "user1-test"}
    return json.dumps(
        payload(*(alert(fingerprint=f"{n:016x}", labels={**labels, "request": f"{n:032}"}) for n in range(count)))
    ).encode()


def test_a_group_of_2000_alerts_is_taken_and_answered_in_a_few_lines(tmp_path: Path) -> None:
    body = many(2000)
    assert len(body) > 857_000
    with receiving(tmp_path) as receiver:
        status, told, head = receiver.send("POST", "/hooks/alertmanager", body, BEARER)
        assert (status, told["new"], told["runs"]) == (200, 2000, 1)
        assert int(head["content-length"]) < 2000
        assert receiver.stored() == 2000


def test_three_megabytes_are_taken(tmp_path: Path) -> None:
    padded = payload(alert(annotations={"summary": "x" * 3_000_000}))
    with receiving(tmp_path) as receiver:
        status, told, _ = receiver.send("POST", "/hooks/alertmanager", json.dumps(padded).encode(), BEARER)
        assert (status, told["new"]) == (200, 1)
        assert len(receiver.journal.timeline(1)[0].summary) <= 300


def sign(source: str, body: bytes) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "github": {"X-Hub-Signature-256": f"sha256={digest}"},
        "gitlab": {"X-Gitlab-Token": SECRET},
        "gitea": {"X-Gitea-Signature": digest},
    }[source]


@pytest.mark.parametrize("source", ["github", "gitlab", "gitea"])
def test_a_push_is_taken_by_its_host_s_own_credentials(receiver: Receiver, source: str) -> None:
    body = json.dumps(MAKE[source]()).encode()
    before = receiver.stored()
    proper = {**JSON, **headers(source, delivery=f"proper-{source}"), **sign(source, body)}
    status, told, _ = receiver.send("POST", f"/hooks/{source}", body, proper)
    assert (status, told["new"]) == (200, 1)
    assert receiver.stored() == before + 1
    assert "status=200" in receiver.line()


@pytest.mark.parametrize("source", ["github", "gitlab", "gitea"])
@pytest.mark.parametrize("forged", ["none", "wrong", "of another body", "bearer"])
def test_a_push_with_bad_credentials_is_refused(receiver: Receiver, source: str, forged: str) -> None:
    body = json.dumps(MAKE[source]()).encode()
    credentials = {
        "none": {},
        "wrong": dict.fromkeys(sign(source, body), "sha256=" + "0" * 64),
        "of another body": {name: value[:-1] + "x" for name, value in sign(source, body + b" ").items()},
        "bearer": {"Authorization": f"Bearer {SECRET}"},
    }[forged]
    refused(receiver, 401, "POST", f"/hooks/{source}", body, {**JSON, **headers(source), **credentials})


def refused(
    receiver: Receiver, status: int, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Send what is refused; that it left one line, no event and no run, and repeated nothing of what was sent."""
    events, runs = receiver.stored(), len(receiver.journal.runs())
    got, told, _ = receiver.send(method, path, body, headers)
    assert got == status
    line = receiver.line()
    assert f"status={status}" in line
    for text in (line, json.dumps(told)):
        assert SECRET not in text
        assert "SongDrift" not in text
    assert (receiver.stored(), len(receiver.journal.runs())) == (events, runs)
    return told


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {SECRET} "[:-2]},
        {"X-Gitlab-Token": SECRET},
    ],
)
def test_alerts_with_bad_credentials_are_refused(receiver: Receiver, credentials: dict[str, str]) -> None:
    told = refused(receiver, 401, "POST", "/hooks/alertmanager", ALERT, {**JSON, **credentials})
    assert told == {"error": "bad credentials"}
    assert receiver.counted('roadie_requests_refused_total{source="alertmanager",status="401"}')


def test_whoever_guesses_has_to_wait_and_nobody_else(tmp_path: Path) -> None:
    def seconds(token: str, status: int) -> float:
        began = time.monotonic()
        given = {**JSON, "Authorization": f"Bearer {token}"}
        assert receiver.send("POST", "/hooks/alertmanager", ALERT, given)[0] == status
        return time.monotonic() - began

    with receiving(tmp_path) as receiver:
        assert min(seconds("wrong", 401) for _ in range(20)) < 0.9
        assert seconds("wrong", 401) >= 1.0
        assert seconds(SECRET, 200) < 0.9


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (ALERT[:-10], "the body is not JSON"),
        (b"", "the body is not JSON"),
        (b"\xff\xfe\x00", "the body is not JSON"),
        (b'{"version": "4", "alerts": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "the body is not JSON"),
        (b'{"version": "4", "a": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, "the body is not JSON"),
        (b"[" + ALERT + b"]", "the body is not a JSON object"),
        (b'"text"', "the body is not a JSON object"),
        (json.dumps(payload(alert(), version="3")).encode(), "the payload is not of version 4"),
        (json.dumps(payload(alert(), version=None)).encode(), "the payload is not of version 4"),
        (json.dumps(payload(alert(startsAt="yesterday"))).encode(), "startsAt is not a time"),
    ],
)
def test_a_body_that_is_not_understood_is_refused_with_the_reason(receiver: Receiver, body: bytes, why: str) -> None:
    told = refused(receiver, 400, "POST", "/hooks/alertmanager", body, BEARER)
    assert told["error"].startswith(why)


@pytest.mark.parametrize(
    "head",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused(receiver: Receiver, head: dict[str, str]) -> None:
    refused(receiver, 415, "POST", "/hooks/alertmanager", ALERT, {**BEARER, **head})


def test_a_content_type_may_name_its_charset(receiver: Receiver) -> None:
    typed = {**BEARER, "Content-Type": "Application/JSON; charset=utf-8"}
    assert receiver.send("POST", "/hooks/alertmanager", ALERT, typed)[0] == 200
    assert "status=200" in receiver.line()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_hook_takes_post_alone(receiver: Receiver, method: str) -> None:
    # Alertmanager follows a redirect with a GET and counts its 200 as delivered.
    status, _, head = receiver.send(method, "/hooks/alertmanager", b"", BEARER)
    assert (status, head["allow"]) == (405, "POST")
    assert "status=405" in receiver.line()


@pytest.mark.parametrize(
    "path", ["/hooks/alertmanager/", "/hooks/gitbucket", "/hooks/", "//hooks/alertmanager", "/hooks/%0a%1b[31mx"]
)
def test_an_unknown_path_is_not_found_and_never_a_redirect(receiver: Receiver, path: str) -> None:
    refused(receiver, 404, "POST", path, ALERT, BEARER)


def test_neither_host_nor_forwarded_headers_mean_anything(receiver: Receiver) -> None:
    forged = {
        "Host": "evil.example",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=203.0.113.9",
    }
    status, told, head = receiver.send("POST", "/hooks/alertmanager", ALERT, {**BEARER, **forged})
    assert status == 200
    line = receiver.line()
    assert "client=127.0.0.1" in line
    assert "evil" not in line + json.dumps(told) + str(head)


def test_more_than_the_cap_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with receiving(tmp_path, max_body_bytes=2 << 20) as receiver:
        with receiver.connect() as raw:
            raw.sendall(head_of(f"Content-Length: {3 << 20}"))
            assert raw.recv(100).startswith(b"HTTP/1.1 413")
        assert "status=413" in receiver.line()
        with receiver.connect() as raw:
            raw.sendall(head_of("Transfer-Encoding: chunked"))
            with contextlib.suppress(ConnectionError):
                for _ in range(40):
                    raw.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 413")
        assert "status=413" in receiver.line()
        assert receiver.stored() == 0


def test_no_more_is_read_at_once_than_fits(tmp_path: Path) -> None:
    size = 2 << 20
    with receiving(tmp_path, max_body_bytes=size) as receiver, contextlib.ExitStack() as stack:
        # One of the largest fits, and half of another; which of two is turned away is up to the sockets.
        held = [stack.enter_context(receiver.connect()) for _ in range(2)]
        for raw in held:
            with contextlib.suppress(ConnectionError):
                raw.sendall(head_of(f"Content-Length: {size}") + b" " * (size - 1))
        answered, _, _ = select.select(held, [], [], 20)
        assert [raw.recv(100)[:13] for raw in answered] == [b"HTTP/1.1 503 "]
        wait_until(lambda: bool(receiver.lines))
        assert "status=503" in receiver.lines[0]
        assert "too much is being received at once" in receiver.lines[0]
        assert receiver.stored() == 0


def test_bodies_of_strangers_take_no_room_from_senders_whose_token_was_right_nor_from_the_next_stranger(
    tmp_path: Path,
) -> None:
    large = json.dumps(payload(alert(annotations={"summary": "x" * 1_900_000}))).encode()
    push = json.dumps({**MAKE["github"](), "padding": "x" * 1_500_000}).encode()
    proper = {**JSON, **headers("github", delivery="large"), **sign("github", push)}
    strange = (
        "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=0\r\n"
    )
    with receiving(tmp_path, max_body_bytes=2 << 20) as receiver, contextlib.ExitStack() as stack:
        for _ in range(8):
            raw = stack.enter_context(receiver.connect())
            with contextlib.suppress(ConnectionError):
                raw.sendall(f"{strange}Content-Length: 2000000\r\n\r\n".encode() + b" " * 1_900_000)
        assert receiver.send("POST", "/hooks/alertmanager", large, BEARER)[0] == 200
        assert receiver.send("POST", "/hooks/github", push, proper)[0] == 200
        assert receiver.stored() == 2


def head_of(*more: str) -> bytes:
    """The head of a proper delivery."""
    lines = ["POST /hooks/alertmanager HTTP/1.1", "Host: x", *(f"{key}: {value}" for key, value in BEARER.items())]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def read_to_end(raw: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while more := raw.recv(65536):
            received += more
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nX-Slow",
        head_of(f"Content-Length: {len(ALERT)}") + ALERT[:-1],
        head_of(f"Content-Length: {len(ALERT)}"),
        head_of("Transfer-Encoding: chunked") + b'5\r\n{"ver\r\n',
    ],
    ids=["head", "body", "no body", "chunks"],
)
def test_a_sender_that_stops_in_the_middle_is_told_so_after_a_while(impatient: Receiver, sent: bytes) -> None:
    before = impatient.stored()
    with impatient.connect() as raw:
        raw.sendall(sent)
        answer = read_to_end(raw)
    assert answer.startswith(b"HTTP/1.1 408 ")
    line = impatient.line()
    assert "status=408" in line
    assert "did not come within 0.4 s" in line
    assert impatient.stored() == before


@pytest.mark.parametrize("begin", [b"POST /hooks/alertmanager HTTP/1.1\r\nX-Slow: ", head_of("Content-Length: 999999")])
def test_a_sender_that_dribbles_gains_no_time(impatient: Receiver, begin: bytes) -> None:
    with impatient.connect() as raw:
        raw.sendall(begin)
        raw.settimeout(0.05)
        answer = b""
        while not answer:
            with contextlib.suppress(TimeoutError):
                answer = raw.recv(100)
            with contextlib.suppress(OSError):
                raw.sendall(b"x")
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert "status=408" in impatient.line()


def test_a_second_request_on_a_connection_has_a_deadline_of_its_own(impatient: Receiver) -> None:
    with impatient.connect() as raw:
        # The head of the second comes in one piece with the first.
        raw.sendall(head_of(f"Content-Length: {len(ALERT)}") + ALERT + head_of(f"Content-Length: {len(ALERT)}"))
        answer = read_to_end(raw)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer
    wait_until(lambda: len(impatient.lines) == 2)
    assert ["status=200" in impatient.lines[0], "status=408" in impatient.lines[1]] == [True, True]


def test_a_connection_that_says_nothing_is_closed_without_a_word(impatient: Receiver) -> None:
    with impatient.connect() as raw:
        assert read_to_end(raw) == b""
    assert impatient.lines == []


def test_a_sender_that_is_answered_early_need_not_be_heard_out(impatient: Receiver) -> None:
    with impatient.connect() as raw:
        raw.sendall(b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        answer = read_to_end(raw)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert "status=401" in impatient.line()


def test_a_sender_that_hangs_up_in_the_middle_leaves_one_line(receiver: Receiver) -> None:
    before = receiver.stored()
    with receiver.connect() as raw:
        raw.sendall(head_of(f"Content-Length: {len(ALERT)}") + ALERT[:-1])
    assert "status=499" in receiver.line()
    assert receiver.stored() == before


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
        b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /hooks/alertmanager HTTP/1.1\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        head_of("Transfer-Encoding: chunked") + b"no size\r\n",
    ],
    ids=["TLS", "negative", "two lengths", "long head", "bad chunk"],
)
def test_what_is_not_http_is_a_400_and_told_in_the_log(receiver: Receiver, sent: bytes) -> None:
    before = receiver.stored()
    with receiver.connect() as raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(sent)
        assert read_to_end(raw)[:13] in (b"HTTP/1.1 400 ", b"")
    wait_until(lambda: any("Invalid HTTP request" in line for line in receiver.lines))
    assert receiver.stored() == before


def test_silent_connections_make_room_for_those_that_speak_and_for_probes(tmp_path: Path) -> None:
    with receiving(tmp_path, max_connections=8) as receiver, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(receiver.connect())
        for number in range(10):
            body = json.dumps(payload(alert(fingerprint=f"{number:016x}"))).encode()
            assert receiver.send("GET", "/healthz")[0] == 200
            assert receiver.send("POST", "/hooks/alertmanager", body, BEARER)[0] == 200
            for _ in range(8):
                stack.enter_context(receiver.connect())
        assert receiver.stored() == 10


def test_strangers_in_the_middle_of_a_request_make_room_but_never_a_sender_whose_token_was_right(
    tmp_path: Path,
) -> None:
    strange = b"POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    strange += b"X-Hub-Signature-256: sha256=0\r\nContent-Length: 9\r\n\r\n"
    with receiving(tmp_path, max_connections=3) as receiver, contextlib.ExitStack() as stack:
        known = stack.enter_context(receiver.connect())
        known.sendall(head_of(f"Content-Length: {len(ALERT)}", "Expect: 100-continue"))
        assert known.recv(100).startswith(b"HTTP/1.1 100 ")  # the application reads
        for _ in range(20):
            stack.enter_context(receiver.connect()).sendall(strange)
        assert receiver.send("GET", "/healthz")[0] == 200
        known.sendall(ALERT)
        assert known.recv(100).startswith(b"HTTP/1.1 200 ")


def test_one_more_than_all_that_are_known_is_turned_away(tmp_path: Path) -> None:
    with receiving(tmp_path, max_connections=2) as receiver, contextlib.ExitStack() as stack:
        held = [stack.enter_context(receiver.connect()) for _ in range(2)]
        for raw in held:
            raw.sendall(head_of(f"Content-Length: {len(ALERT)}", "Expect: 100-continue"))
            assert raw.recv(100).startswith(b"HTTP/1.1 100 ")  # the application reads
        with receiver.connect() as raw:
            assert read_to_end(raw).startswith(b"HTTP/1.1 503 ")
        assert "too many connections at once" in receiver.lines[0]
        held[0].sendall(ALERT)
        assert held[0].recv(100).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_take_the_answers_is_hung_up_on(impatient: Receiver) -> None:
    with impatient.connect() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            raw.settimeout(1)
            for _ in range(3000):
                raw.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: not impatient.server.uvicorn.server_state.connections)


def test_events_that_cannot_be_stored_are_a_503(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        receiver.recorder.close()
        told = refused(receiver, 503, "POST", "/hooks/alertmanager", ALERT, BEARER)
        assert told["error"] == "the events cannot be stored; send them again"
        assert receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)[2]["retry-after"] == "10"


def test_a_journal_that_is_broken_is_a_503_and_not_ready(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        with sqlite3.connect(tmp_path / "journal.db") as connection:
            connection.execute("ALTER TABLE checked RENAME TO gone")
            connection.execute("ALTER TABLE events RENAME TO gone_as_well")
        assert receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)[0] == 503
        line = receiver.line()
        assert "why=" in line
        assert "because=" in line
        assert receiver.send("GET", "/readyz")[0] == 503


def test_a_worker_that_has_ended_is_not_ready_and_yet_alive(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        receiver.problems.append("the worker has ended; restart the receiver")
        status, told, _ = receiver.send("GET", "/readyz")
        assert (status, told["worker"]) == (503, "the worker has ended; restart the receiver")
        assert "status=503" in receiver.line()
        assert receiver.send("GET", "/healthz")[0] == 200


def test_probes_leave_no_line_while_all_is_well(receiver: Receiver) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert receiver.send("GET", path)[0] == 200
    assert receiver.send("GET", "/readyz")[1] == {"journal": "ok", "worker": "ok"}
    assert receiver.lines == []
    assert receiver.counted("roadie_store_seconds_count")


def test_a_rotated_secret_counts_at_once_and_a_missing_one_is_a_503(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        (tmp_path / "secret").write_text("another")
        assert receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)[0] == 401
        fresh = {**JSON, "Authorization": "Bearer another"}
        assert receiver.send("POST", "/hooks/alertmanager", ALERT, fresh)[0] == 200
        receiver.forget()
        (tmp_path / "secret").unlink()
        status, told, _ = receiver.send("POST", "/hooks/alertmanager", ALERT, fresh)
        assert status == 503
        # Which file it is concerns the log and nobody else.
        assert str(tmp_path) not in json.dumps(told)
        assert str(tmp_path) in receiver.line()


def test_an_error_of_our_own_is_a_500_and_one_line_with_its_traceback(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(hooks_module, "answer", fail)
    assert receiver.send("POST", "/hooks/alertmanager", ALERT, BEARER)[0] == 500
    line = receiver.line()
    assert "level=error" in line
    assert "a mistake of ours" in line
    assert "\n" not in line


def test_alerts_from_many_senders_at_once_are_all_stored(tmp_path: Path) -> None:
    def send(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=60)
        with contextlib.closing(connection):
            for number in range(first, first + 20):
                body = json.dumps(payload(alert(fingerprint=f"{number:016x}"))).encode()
                connection.request("POST", "/hooks/alertmanager", body, BEARER)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200

    with receiving(tmp_path) as receiver:
        threads = [threading.Thread(target=send, args=(20 * number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert receiver.stored() == 400
