"""A real Alertmanager: what it posts, what its API says of the same alerts, and the silences it is asked for."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from roadie.errors import TriggerError
from roadie.triggers.config import Alertmanager, Model
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.metrics import Metrics
from roadie.triggers.work.alertmanager_api import AlertmanagerApi
from roadie.triggers.work.catching_up import catch_up
from tests.integration.test_triggers_hooks import receiving, wait_until
from tests.servers.alertmanager import AlertmanagerServer, serve_alertmanager, webhook
from tests.servers.process import free_port
from tests.unit.triggers.world import targets

DRIFT = {"alertname": "Drift", "model": "jukebox", "retrain": "true"}
NOBODY: dict[str, Any] = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    """One that tells nobody."""
    with serve_alertmanager(tmp_path_factory.mktemp("alertmanager"), NOBODY) as server:
        yield server


def api(url: str, **more: Any) -> AlertmanagerApi:
    return AlertmanagerApi(Alertmanager(url=url, **more))


def test_what_it_posts_and_what_its_api_says_are_the_same_events(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        told = webhook(f"http://127.0.0.1:{receiver.port}/hooks/alertmanager", tmp_path / "secret")
        with serve_alertmanager(tmp_path / "alertmanager", told) as server:
            server.fire(DRIFT, {**DRIFT, "subcategory": "énergie"}, summary="it drifts")
            wait_until(lambda: receiver.stored() == 2)
            posted = {(entry.names["fingerprint"], entry.happened) for entry in receiver.journal.timeline(10)}
            asked = api(server.url).alerts()
            assert {(event.names["fingerprint"], event.happened) for event in asked} == posted
            receipts = asyncio.run(receiver.recorder.record(asked))
            assert [receipt.new for receipt in receipts] == [False, False]

            server.resolve(DRIFT)
            wait_until(lambda: receiver.stored() == 3)
            resolved = receiver.journal.timeline(1)[0]
            assert (resolved.status, [verdict.code for verdict in resolved.verdicts]) == ("resolved", ["resolved"])


def test_what_fired_while_the_receiver_was_away_is_recorded_once_it_is_back(
    tmp_path: Path, alertmanager: AlertmanagerServer
) -> None:
    away = {**DRIFT, "alertname": "WhileAway"}
    alertmanager.fire(away, {"alertname": "SomebodyElses"})
    models: dict[str, Model] = {name: target.model for name, target in targets().items()}
    journal = Journal(tmp_path / "journal.db")
    recorder = Recorder(journal, targets(), Metrics())
    with contextlib.closing(recorder):
        for _ in range(2):
            asyncio.run(catch_up(api(alertmanager.url).alerts, recorder, models))
    (entry,) = (entry for entry in journal.timeline(10) if entry.names["alertname"] == "WhileAway")
    assert (entry.seen, entry.verdicts[0].action) == (2, "start")
    assert "SomebodyElses" not in {entry.names["alertname"] for entry in journal.timeline(10)}


def test_it_is_asked_until_it_has_answered(tmp_path: Path) -> None:
    port = free_port()
    journal = Journal(tmp_path / "journal.db")
    recorder = Recorder(journal, targets(), Metrics())
    models = {name: target.model for name, target in targets().items()}
    ask = api(f"http://127.0.0.1:{port}").alerts
    asking = threading.Thread(target=lambda: asyncio.run(catch_up(ask, recorder, models, wait=0.05)))
    asking.start()
    with contextlib.closing(recorder), serve_alertmanager(tmp_path / "alertmanager", NOBODY, port=port):
        asking.join(60)
        assert not asking.is_alive()


def test_a_silence_is_made_once_for_a_key_and_expires(alertmanager: AlertmanagerServer) -> None:
    silenced = {**DRIFT, "alertname": "Silenced", "subcategory": 'with "quotes" and é'}
    alertmanager.fire(silenced)
    client = api(alertmanager.url)
    assert "Silenced" in {event.names["alertname"] for event in client.alerts()}

    made = client.silence(silenced, timedelta(hours=1), "0123456789ab", "jukebox is being retrained")
    again = client.silence(silenced, timedelta(hours=2), "0123456789ab", "jukebox is being retrained")
    assert again == made
    (silence,) = client.silences()
    assert (silence.id, silence.state) == (made, "active")
    assert silence.comment == "jukebox is being retrained (key 0123456789ab)"
    left = datetime.fromisoformat(silence.ends) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    wait_until(lambda: "Silenced" not in {event.names["alertname"] for event in client.alerts()})

    other = client.silence({**silenced, "subcategory": "x"}, timedelta(seconds=1), "ba9876543210", "and another")
    assert other != made
    wait_until(lambda: [each.id for each in client.silences()] == [made])
    # It is over, so that the same key may ask anew.
    assert client.silence({**silenced, "subcategory": "x"}, timedelta(hours=1), "ba9876543210", "anew") != other


def test_people_s_own_silences_are_not_roadie_s(alertmanager: AlertmanagerServer) -> None:
    now = datetime.now(UTC)
    alertmanager.post(
        "silences",
        {
            "matchers": [{"name": "alertname", "value": "Theirs", "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "melody",
            "comment": "(key 0000000000aa)",
        },
    )
    assert "0000000000aa" not in "".join(silence.comment for silence in api(alertmanager.url).silences())


@contextlib.contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything so; its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization')}")
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"go away", "answered 401: set alertmanager.token"),
        (403, b"", "answered 403: set alertmanager.token"),
        (404, b"<html>", "answered 404: check alertmanager.url"),
        (500, b"", "answered 500: see its log"),
        (200, b"<html>a login page</html>", "answered no JSON; check alertmanager.url"),
        (200, b"[" * 100_000, "answered no JSON"),
        (200, b"", "answered no JSON"),
        (200, b'{"alerts": []}', "answered no list"),
        (200, b'["x"]', "answered no list"),
    ],
)
def test_an_answer_that_is_none_is_said_in_a_sentence(tmp_path: Path, status: int, body: bytes, said: str) -> None:
    (tmp_path / "token").write_text("hunter2")
    with answering(status, body) as (url, asked), pytest.raises(TriggerError, match=said) as caught:
        api(url, token={"file": tmp_path / "token"}).alerts()
    assert asked[0].endswith("Bearer hunter2")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_redirect_does_not_take_the_token_along(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2")
    with (
        answering(200, b"[]") as (elsewhere, asked_there),
        answering(302, b"", Location=elsewhere) as (url, _),
        pytest.raises(TriggerError, match="answered 302"),
    ):
        api(url, token={"file": tmp_path / "token"}).alerts()
    assert asked_there == []


def test_one_that_does_not_run_is_named_without_a_traceback() -> None:
    with pytest.raises(TriggerError, match="does not answer .Connection refused.; check alertmanager.url"):
        api(f"http://127.0.0.1:{free_port()}").alerts()


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "nowhere.pem"):
        with pytest.raises(TriggerError, match="alertmanager.ca_file names"):
            api("https://127.0.0.1:1", ca_file=tmp_path / name)
