import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from roadie import trace
from roadie.errors import NewsError
from roadie.trace import news
from roadie.triggers.config import Config
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.outbox import Outbox
from roadie.triggers.journal.rows import Facts
from roadie.triggers.work.messages import as_slack
from roadie.triggers.work.notifying import SILENCE, Notifier, targets_of
from tests.unit.triggers.world import NOON, Clock, MemoryEngine, alert, store, targets, the_run

PATH = "/services/T00/B00/very-secret"


@dataclass
class Hook:
    """A webhook on loopback: what it was sent, and what it answers next; 200 when nothing is said."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[Mapping[str, str], Any]] = field(default_factory=list)
    hang: threading.Event | None = None


@pytest.fixture
def hook() -> Iterator[Hook]:
    served = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            served.got.append((dict(self.headers), json.loads(body)))
            if served.hang:
                served.hang.wait(10)
            status = served.answers.pop(0) if served.answers else 200
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if status == 302:
                self.send_header("Location", f"{served.url}/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            raise AssertionError("a redirect was followed")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}{PATH}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


class World:
    """A journal in which one run has ended, and who is told of it."""

    def __init__(self, folder: Path, url: str, form: str = "json", **settings: Any) -> None:
        self.clock = Clock()
        self.journal = Journal(folder / "journal.db")
        (folder / "url").write_text(f"{url}\n")
        notify = [{"url": {"file": str(folder / "url")}, "format": form}]
        self.config = Config.model_validate({"notify": notify, **settings})
        self.outbox = Outbox(self.journal, self.clock.ticks)
        self.silences: list[tuple[dict[str, str], timedelta, str, str]] = []
        self.notifier = Notifier(self.config, self.journal, self.outbox, self, self.clock)

    def silence(self, labels: Mapping[str, str], duration: timedelta, key: str, why: str) -> str:
        self.silences.append((dict(labels), duration, key, why))
        return "id"

    def start(self, **labels: str) -> None:
        """Start a run; Alertmanager is to know."""
        store(self.journal, targets(), [alert(**labels)])
        self.intents = Intents(self.journal, 1.0, self.clock, self.clock.ticks)
        intent = self.intents.claim({"jukebox": 1}, 1.0)
        assert intent
        self.intent = intent
        run = MemoryEngine(self.clock)._create(intent.name)
        self.intents.started(intent, run, [SILENCE])

    def end(self, state: str = "succeeded", error: str = "", facts: Facts = Facts()) -> None:  # noqa: B008
        self.intents.ended(self.intent, state, error, facts=facts, tell=targets_of(self.config))

    def deliver_all(self) -> None:
        while self.notifier.deliver_next():
            pass

    def waiting(self) -> int:
        with self.journal.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])


@pytest.fixture
def world(tmp_path: Path, hook: Hook) -> Iterator[World]:
    made = World(tmp_path, hook.url)
    made.start()
    yield made
    made.journal.close()


FACTS = Facts("promote", "log loss fell by 0.1", "v1", "r/j@sha256:12", ("c" * 40, "d" * 40))


def test_the_end_of_a_run_is_told_with_all_that_is_known(world: World, hook: Hook) -> None:
    world.end(facts=FACTS)
    world.deliver_all()
    ((headers, body),) = hook.got
    run = the_run(world.journal)
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == f"{run.key}-succeeded"
    assert (body["model"], body["run"], body["state"]) == ("jukebox", run.name, "succeeded")
    assert (body["decision"], body["version"], body["image"]) == ("promote", "v1", "r/j@sha256:12")
    assert body["commits"] == ["c" * 40, "d" * 40]
    assert body["event"]["names"]["fingerprint"] == "a1b2"
    assert body["event"]["labels"]["model"] == "jukebox"
    assert (body["accepted"], body["ended"]) == ("2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.000Z")
    assert world.waiting() == 0


def test_a_failure_is_told_with_its_error(world: World, hook: Hook) -> None:
    world.end("failed", "the step train failed: the charts are empty")
    world.deliver_all()
    assert hook.got[0][1]["error"] == "the step train failed: the charts are empty"


@pytest.mark.parametrize("answer", [500, 429, 404, 302, 0])
def test_what_was_not_taken_is_sent_again_later_each_time_after_a_longer_pause(
    world: World, hook: Hook, answer: int
) -> None:
    hook.answers = [answer] * 3
    world.end()
    world.deliver_all()
    assert len(hook.got) == 1
    for pause, sent in [(4, 1), (2, 2), (9, 2), (2, 3), (19, 3), (2, 4), (999, 4)]:
        world.clock.forward(seconds=pause)
        world.deliver_all()
        assert len(hook.got) == sent
    assert world.waiting() == 0


def test_what_is_not_taken_for_a_day_is_given_up_with_a_line_in_the_log(
    world: World, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [500] * 1000
    world.end()
    for _ in range(200):
        world.deliver_all()
        world.clock.forward(minutes=15)
    assert world.waiting() == 0
    assert [record.message for record in caplog.records][-1] == "news given up"
    assert 90 < len(hook.got) < 120


def test_a_receiver_that_dies_while_it_tells_leaves_that_to_the_next_one(world: World, hook: Hook) -> None:
    world.end()
    while world.outbox.take():
        pass  # taken, and dead
    world.deliver_all()
    assert hook.got == []
    world.notifier = Notifier(world.config, world.journal, Outbox(world.journal), world, world.clock)
    world.deliver_all()
    assert len(hook.got) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_holds_no_news_up(world: World, hook: Hook, hours: int) -> None:
    hook.answers = [500]
    world.end()
    world.deliver_all()
    assert len(hook.got) == 1
    world.clock.set(hours=hours)
    world.clock.forward(seconds=6)
    world.deliver_all()
    assert len(hook.got) == 2


def test_no_address_is_in_an_error_or_a_log(
    world: World, hook: Hook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.answers = [500, 0]
    world.end()
    urls = [
        hook.url,
        hook.url,
        "http://127.0.0.1:9/very-secret",
        "ftp://very-secret",
        "http://[very-secret",
        "very-secret",
    ]
    for url in [
        *urls,
        "http://a b/very-secret",
        "http://127.0.0.1:x/very-secret",
        "http://127.0.0.1:9/very-secret\u2028",
    ]:
        (tmp_path / "url").write_text(url)
        world.deliver_all()
        world.clock.forward(hours=1)
    said = [str(getattr(record, "fields", "")) + record.getMessage() for record in caplog.records]
    assert len([each for each in said if "why" in each]) == 9
    assert not any("very-secret" in each for each in said)


def test_an_address_whose_file_is_gone_is_read_anew_later(world: World, hook: Hook, tmp_path: Path) -> None:
    (tmp_path / "url").rename(tmp_path / "away")
    world.end()
    world.deliver_all()
    (tmp_path / "away").rename(tmp_path / "url")
    world.clock.forward(seconds=10)
    world.deliver_all()
    assert len(hook.got) == 1


def test_one_that_never_answers_is_left_after_a_while(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "SECONDS", 0.2)
    hook.hang = threading.Event()
    try:
        with pytest.raises(NewsError, match=r"127.0.0.1 did not take the news of a run \(TimeoutError\)"):
            trace.post(hook.url, {})
    finally:
        hook.hang.set()


def test_who_is_no_longer_configured_is_not_told(tmp_path: Path, hook: Hook) -> None:
    world = World(tmp_path, hook.url)
    world.start()
    world.end()
    empty = Notifier(Config(), world.journal, world.outbox, None, world.clock)
    while empty.deliver_next():
        pass
    assert (world.waiting(), hook.got) == (0, [])


def test_two_targets_are_told_each_and_keep_their_names_when_the_list_is_turned_round() -> None:
    given = [{"url": {"env": "A"}}, {"url": {"env": "B"}, "format": "slack"}]
    there, back = (Config.model_validate({"notify": each}) for each in (given, given[::-1]))
    assert dict(targets_of(there)) == dict(targets_of(back))
    assert len(targets_of(there)) == 2


def test_slack_gets_text_in_which_nothing_of_an_event_is_a_link_or_a_mention(tmp_path: Path, hook: Hook) -> None:
    world = World(tmp_path, hook.url, "slack")
    world.start()
    world.end("failed", "<!channel> see <https://evil.example|here> & *there*\nsecond line", FACTS)
    world.deliver_all()
    (message,) = [body for _, body in hook.got]
    assert set(message) == {"text"}
    lines = message["text"].splitlines()
    assert lines[0] == "*jukebox*: the run failed"
    assert "decision: promote: log loss fell by 0.1" in lines
    assert "error: &lt;!channel&gt; see &lt;https://evil.example|here&gt; &amp; *there* second line" in lines
    assert "commits: cccccccccc, dddddddddd" in lines
    run = the_run(world.journal)
    assert lines[-2:] == [f"<{run.url}|run>", "<http://prometheus.example/graph|alert>"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://a|b>c", "http://a b", "", "http://["])
def test_slack_gets_no_link_that_is_none(world: World, url: str) -> None:
    world.end()
    entry = world.journal.timeline(1)[0]
    names = {**entry.names, "generator_url": url}
    text = as_slack(the_run(world.journal), replace(entry, names=names))["text"]
    assert "|alert>" not in text


# Silences


def test_an_alert_is_silenced_for_what_is_left_of_the_time(tmp_path: Path, hook: Hook) -> None:
    settings = {"alertmanager": {"url": "http://am.example", "silence": "2h"}}
    world = World(tmp_path, hook.url, **settings)
    world.start(region="eu")
    world.clock.forward(minutes=30)
    world.deliver_all()
    ((labels, duration, key, why),) = world.silences
    assert labels == {"alertname": "Drift", "model": "jukebox", "retrain": "true", "region": "eu"}
    assert duration == timedelta(minutes=90)
    run = the_run(world.journal)
    assert (key, why) == (run.key, f"{run.name} retrains jukebox")


@pytest.mark.parametrize("ended", [True, False])
def test_no_alert_is_silenced_after_its_run_or_its_time(tmp_path: Path, hook: Hook, ended: bool) -> None:
    world = World(tmp_path, hook.url, alertmanager={"url": "http://am.example", "silence": "2h"})
    world.start()
    if ended:
        world.end()
    else:
        world.clock.forward(hours=2)
    world.deliver_all()
    assert (world.silences, world.waiting()) == ([], 0)


def test_a_letter_about_a_run_that_was_pruned_is_dropped(world: World, hook: Hook) -> None:
    world.end()
    with world.journal.writing() as connection:
        connection.execute("DELETE FROM events")
    world.deliver_all()
    assert (hook.got, world.waiting()) == ([], 0)
    assert world.clock() == NOON
