"""The page for people: over HTTP from the receiver's own server, and as a real Chromium shows it."""

import asyncio
import base64
import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from roadie.errors import TriggerError
from roadie.triggers.config import Config, Listen, Page
from roadie.triggers.events import Event
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.journal.rows import Entry
from roadie.triggers.metrics import Metrics
from roadie.triggers.page.routes import Deployed, Told, page_routes
from roadie.triggers.rules.arguments import load_targets
from roadie.triggers.web.app import create_app
from roadie.triggers.web.server import Server
from tests.servers.browser import Browser, browser, text_of
from tests.unit.triggers import page_rows as rows

PASSWORD = "crème brûlée: 2 spoons"

# What a page has to be, measured where it is shown.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
# Text whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3), with the ratio.
FAINT = """(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = part => part / 255 <= .04045 ? part / 255 / 12.92 : ((part / 255 + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(linear)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const shown = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
  while (shown.nextNode()) {
    const element = shown.currentNode.parentElement;
    if (!shown.currentNode.data.trim()) continue;
    const both = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (both[0] + .05) / (both[1] + .05);
    if (ratio < 4.5) faint.push(`${shown.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
})()"""
# Every target of a finger or a key has a name, and headings go down one level at a time.
NAMELESS = "[...document.querySelectorAll('a')].filter(a => !(a.ariaLabel || a.innerText).trim()).length"
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(heading => Number(heading.tagName[1]))"


@contextlib.contextmanager
def served(
    config: Config, journal: Told, deployed: Callable[[], Deployed | None], recorder: Recorder | None = None
) -> Iterator[str]:
    """The address of a receiver with the page, until the block ends."""
    metrics = Metrics()
    pages = page_routes(config, journal, deployed, clock=lambda: rows.NOW)
    # Nobody sends it events here, where there is no recorder.
    app = create_app(config, recorder, metrics, pages=pages)  # type: ignore[arg-type]
    server = Server(app, Listen(), metrics)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.answer_on, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.end()
            thread.join()


@pytest.fixture(scope="module")
def receiver() -> Iterator[str]:
    """One whose journal has all that can be in one."""
    with served(rows.CONFIG, rows.full(), rows.Known) as address:
        yield address


@pytest.fixture(scope="module")
def bare() -> Iterator[str]:
    """One that nothing came to yet."""
    with served(rows.CONFIG, rows.Told(), lambda: rows.Known(rows=(), at=None, error="")) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser() as opened:
        yield opened


def request(
    address: str, path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers (names in small letters) and body of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


def basic(username: str, password: str) -> dict[str, str]:
    """The header by which a browser signs in (RFC 7617, charset UTF-8)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


PAGES = {
    "overview": "/",
    "one model": "/?model=karaoke-of-the-nineties",
    "journal": "/?before=990",
    "run": "/runs/c0ffee000001",
    "failed run": "/runs/c0ffee000004",
    "waiting run": "/runs/c0ffee000002",
    "nothing": "/runs/none",
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [320, 390, 740, 1060, 1280])
def test_no_page_has_to_be_moved_sideways(receiver: str, chromium: Browser, page: str, width: int) -> None:
    chromium.open(receiver + PAGES[page], width=width, height=844)
    assert chromium.ask(OVERFLOW) <= 0
    assert chromium.ask("innerWidth") == width


def test_an_empty_page_has_not_to_be_moved_sideways(bare: str, chromium: Browser) -> None:
    chromium.open(bare, width=390, height=844)
    assert chromium.ask(OVERFLOW) <= 0
    assert "No run yet." in chromium.text()
    assert "not known yet" in chromium.text()


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_what_is_behind_it(receiver: str, chromium: Browser, page: str, dark: bool) -> None:
    chromium.open(receiver + PAGES[page], dark=dark)
    assert chromium.ask(FAINT) == []


def test_a_person_who_prefers_a_dark_screen_gets_one(receiver: str, chromium: Browser) -> None:
    def lightness() -> int:
        return sum(map(int, re.findall(r"\d+", chromium.ask(BACKGROUND))[:3]))

    chromium.open(receiver, dark=True)
    assert lightness() < 3 * 40
    chromium.open(receiver, dark=False)
    assert lightness() > 3 * 240
    chromium.open(receiver, dark=True, media="print")
    assert lightness() == 3 * 255


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_walked_by_ear(receiver: str, chromium: Browser, page: str) -> None:
    chromium.open(receiver + PAGES[page])
    assert chromium.ask("document.documentElement.lang") == "en"
    counts = {name: chromium.ask(f"document.querySelectorAll('{name}').length") for name in ("header", "main", "h1")}
    assert counts == {"header": 1, "main": 1, "h1": 1}
    levels = chromium.ask(HEADINGS)
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert chromium.ask(NAMELESS) == 0
    assert chromium.ask("document.title").endswith(" · Roadie")


def test_a_state_is_told_by_a_word_and_a_sign_and_not_by_its_colour_alone(receiver: str, chromium: Browser) -> None:
    chromium.open(receiver)
    states = chromium.ask(
        "[...document.querySelectorAll('.runs .state')].map(e => e.innerText + getComputedStyle(e, '::before').content)"
    )
    assert len({re.sub(r"\W", "", each) for each in states}) == len(states) == 5
    assert all('"' in each for each in states)


def test_the_keyboard_reaches_every_link_and_shows_where_it_is(receiver: str, chromium: Browser) -> None:
    chromium.open(receiver)
    links = chromium.ask("document.querySelectorAll('a').length")
    seen = set()
    for _ in range(links):
        chromium.press("Tab")
        at = "[...document.querySelectorAll('a')].indexOf(document.activeElement)"
        seen.add(chromium.ask(at))
        assert chromium.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert seen == set(range(links))


def test_a_person_goes_from_an_event_to_its_run_and_back(receiver: str, chromium: Browser) -> None:
    chromium.open(f"{receiver}/?model=jukebox")
    chromium.follow("[title='jukebox-alert-20260314T042653Z-c0ffee000001']")
    assert chromium.ask("location.pathname") == "/runs/c0ffee000001"
    assert "ada pushed ffffffffff to main" in chromium.text()
    assert rows.IMAGE in chromium.text()
    chromium.follow("h1 a")
    assert chromium.ask("location.pathname") == "/"


def test_what_is_seen_is_what_the_journal_tells(receiver: str) -> None:
    shown = text_of(receiver, width=390)
    for said in (
        "versions differ",
        "sent 7 times, last just now",
        "held back for jukebox",
        "promote",
        "no column tempo",
    ):
        assert said in shown


@pytest.mark.parametrize("page", ["overview", "journal", "run"])
def test_the_browser_finds_nothing_that_the_policy_forbids(receiver: str, chromium: Browser, page: str) -> None:
    chromium.open(receiver + PAGES[page])
    assert chromium.complaints == []
    assert chromium.ask("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length") == 0


def test_a_page_of_hostile_labels_runs_nothing(chromium: Browser) -> None:
    hostile = "</style><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    entry = rows.alert(1, rows.accepted(rows.run(error=hostile)), summary=hostile, told=(hostile,))
    with served(rows.CONFIG, rows.Told((entry,)), rows.Known) as address:
        for path in ("/", "/runs/c0ffee000001"):
            chromium.open(address + path)
            assert "<script>document.title" in chromium.text()
            assert chromium.ask("document.title") != "taken"
            assert chromium.complaints == []


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/runs/c0ffee000001", 200), ("/runs/none", 404)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_answer_carries_the_headers_that_keep_it_safe(receiver: str, path: str, status: int, method: str) -> None:
    found, headers, body = request(receiver, path, method)
    assert found == status
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert bool(body) == (method == "GET")
    assert int(headers["content-length"]) > 1000


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_page_is_only_read(receiver: str, method: str) -> None:
    assert request(receiver, "/", method)[0] == 405


@pytest.mark.parametrize(
    "path", ["/?before=x", "/?before=-1", "/?before=9999999999999999999999", "/?before=", "/runs/%00", "/runs/a%2Fb"]
)
def test_an_address_that_means_nothing_is_answered_with_404(receiver: str, path: str) -> None:
    assert request(receiver, path)[0] == 404


def test_a_model_that_is_not_configured_is_told(receiver: str) -> None:
    status, _, body = request(receiver, "/?model=%3Cb%3Epolka")
    assert status == 200
    assert "There is no model &lt;b&gt;polka." in body


def test_a_run_that_was_held_back_since_says_so() -> None:
    entry = rows.alert(1, rows.held(why="a newer alert took its place"))
    with served(rows.CONFIG, rows.Told((entry,)), rows.Known) as address:
        status, _, body = request(address, "/runs/dead00000000")
    assert status == 404
    assert "This run was not started: a newer alert took its place." in body


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A receiver whose page asks for a password, and the file with it."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    config = rows.CONFIG.model_copy(update={"page": Config.model_validate({"page": {"password": {"file": file}}}).page})
    with served(config, rows.full(), rows.Known) as address:
        yield address, file


def test_a_page_with_a_password_asks_for_it(locked: tuple[str, Path], chromium: Browser) -> None:
    address, _ = locked
    for path in ("/", "/runs/c0ffee000001", "/runs/none"):
        status, headers, body = request(address, path)
        assert status == 401
        assert headers["www-authenticate"] == 'Basic realm="roadie", charset="UTF-8"'
        assert "jukebox" not in body
        assert "content-security-policy" in headers
    assert request(address, "/", "HEAD", basic("roadie", PASSWORD))[0] == 200
    chromium.open(address, password=PASSWORD)
    assert "Newest runs" in chromium.text()


@pytest.mark.parametrize(
    "headers",
    [
        basic("roadie", "wrong"),
        basic("roadie", PASSWORD + "x"),
        basic("roadie", ""),
        basic("admin", PASSWORD),
        basic("", PASSWORD),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic cm9hZGll"},
        {"Authorization": "Bearer " + base64.b64encode(f"roadie:{PASSWORD}".encode()).decode()},
    ],
)
def test_a_wrong_password_is_refused(locked: tuple[str, Path], headers: dict[str, str]) -> None:
    status, _, body = request(locked[0], "/", headers=headers)
    assert status == 401
    assert "jukebox" not in body


def test_a_rotated_password_counts_at_once(locked: tuple[str, Path]) -> None:
    address, file = locked
    file.write_text("another", encoding="utf-8")
    assert request(address, "/", headers=basic("roadie", PASSWORD))[0] == 401
    assert request(address, "/", headers=basic("roadie", "another"))[0] == 200


def test_a_password_that_is_gone_locks_the_page_without_telling_where_it_was(locked: tuple[str, Path]) -> None:
    address, file = locked
    file.unlink()
    status, _, body = request(address, "/", headers=basic("roadie", PASSWORD))
    assert status == 503
    assert str(file) not in body


def test_a_journal_that_cannot_be_read_is_told_in_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(rows.Told):
        def timeline(self, limit: int, before: int | None = None, model: str = "") -> list[Entry]:
            raise TriggerError("/var/lib/roadie/journal.db cannot be read; make room on its disk")

    with served(rows.CONFIG, Broken(), rows.Known) as address, caplog.at_level("INFO", logger="roadie"):
        status, _, body = request(address)
    assert status == 503
    assert "The page cannot be made; the log says why." in body
    assert "/var/lib" not in body
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    assert any("make room on its disk" in str(each.get("why")) for each in fields)


def events(count: int) -> list[Event]:
    """As many alerts; every tenth is about jukebox."""
    return [
        Event(
            source="alertmanager",
            kind="alert",
            identity=f"alertmanager/{number}",
            subject=f"{number:016x}@2026-03-14T09:00:00.000Z",
            status="firing",
            summary=f"Drift number {number} fires",
            happened="2026-03-14T09:00:00.000Z",
            names={"alertname": "Drift", "fingerprint": f"{number:016x}"},
            labels={"alertname": "Drift", "retrain": "true", "model": "jukebox" if number % 10 == 0 else "polka"},
        )
        for number in range(count)
    ]


def test_a_journal_of_2000_events_is_turned_page_by_page_and_quickly(tmp_path: Path) -> None:
    hook = {"secret": {"env": "SECRET"}}
    config = Config.model_validate({"hooks": {"alertmanager": hook}, "models": {"jukebox": {"pipeline": "training"}}})
    journal = Journal(tmp_path / "journal.db")
    recorder = Recorder(journal, load_targets(config), Metrics(), clock=lambda: rows.NOW)
    asyncio.run(recorder.record(events(2000)))
    with served(config, journal, lambda: None, recorder) as address:
        told, path, seconds = [], "/", []
        while path:
            began = time.process_time()  # the receiver is in this process
            _, _, body = request(address, path)
            seconds.append(time.process_time() - began)
            told += re.findall(r"Drift number (\d+) fires", body)
            older = re.search(r'href="\./(\?before=\d+)"', body)
            path = f"/{older[1]}" if older else ""
        of_jukebox = re.findall(r"Drift number (\d+) fires", request(address, "/?model=jukebox")[2])
    recorder.close()
    journal.close()
    assert told == [str(number) for number in reversed(range(2000))]
    assert of_jukebox == [str(number) for number in reversed(range(0, 2000, 10))][:50]
    assert sorted(seconds)[len(seconds) // 2] < 0.05


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("me.example", 200), ("evil.example:8080", 421)],
)
def test_a_name_that_somebody_bound_to_this_machine_does_not_open_the_page(host: str, status: int) -> None:
    config = rows.CONFIG.model_copy(update={"page": Page(hosts=("me.example",))})
    with served(config, rows.full(), rows.Known) as address:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
        connection.request("GET", "/", headers={"Host": host})
        assert connection.getresponse().status == status
        connection.close()
