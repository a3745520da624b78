"""The end of a run is told in one line; a place that does not take it is told of, and fails nothing."""

import contextlib
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from roadie import trace

FAILED = trace.Ending("jukebox", "alert", "training-7", "FAILED", "step\n train failed")
WELL = trace.Ending("m", "", "r", "SUCCEEDED", "")


@contextlib.contextmanager
def webhook(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    taken: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if not status:
                self.wfile.write(b"this is no HTTP\r\n")
                return
            self.send_response(status)
            self.send_header("Location", "/login")
            self.end_headers()

        def do_GET(self) -> None:
            taken.append("a redirect was followed")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/services/a-secret", taken
        server.shutdown()


def test_a_run_s_end_is_one_line() -> None:
    assert FAILED.line == "jukebox: run training-7, started by alert, ended FAILED: step train failed"
    assert WELL.line == "m: run r ended SUCCEEDED"
    assert (FAILED.failed, WELL.failed) == (True, False)


def test_with_its_id_the_run_can_be_found() -> None:
    named = trace.Ending("jukebox", "alert", "jukebox-alert-1", "FAILED", "", "3bcbb060")
    assert named.line == "jukebox: run jukebox-alert-1 (3bcbb060), started by alert, ended FAILED"


@pytest.mark.parametrize("pipeline", ["training", "promotion"])
def test_the_pipelines_tell_the_name_and_the_id_that_people_see(pipeline: str) -> None:
    compiled = Path(__file__).parents[3] / "compiled" / "pipelines" / f"{pipeline}.yaml"
    spec = next(yaml.load_all(compiled.read_text(), Loader=yaml.CSafeLoader))
    inputs = spec["root"]["dag"]["tasks"]["report-run"]["inputs"]["parameters"]
    assert inputs["run"]["runtimeValue"]["constant"] == "{{$.pipeline_job_name}}"
    assert inputs["run_id"]["runtimeValue"]["constant"] == "{{$.pipeline_job_uuid}}"


def test_without_a_place_to_tell_it_the_line_is_all() -> None:
    assert list(trace.report_end(FAILED)) == [FAILED.line]


def test_a_webhook_gets_the_line_as_text_and_the_facts_beside_it() -> None:
    with webhook() as (address, taken):
        assert list(trace.report_end(FAILED, webhook=address)) == [FAILED.line]
    assert taken == [{"text": FAILED.line, "model": "jukebox", "run": "training-7", "id": "", "state": "FAILED"}]


@pytest.mark.parametrize("address", ["file:///etc/passwd", "no address", "http://127.0.0.1:9/a-secret"])
def test_a_webhook_that_cannot_be_reached_is_told_without_its_address(address: str) -> None:
    line, problem = trace.report_end(WELL, webhook=address)
    assert line == WELL.line
    assert problem.startswith("the webhook")
    assert problem.endswith("correct its address in the secret") or problem.endswith("correct the secret")
    assert address not in problem


def test_a_webhook_that_refuses_is_told_with_its_answer() -> None:
    with webhook(403) as (address, _):
        _, problem = trace.report_end(WELL, webhook=address)
    assert problem == "the webhook answered 403: correct its address in the secret"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_webhook_behind_a_login_page_did_not_take_the_news(status: int) -> None:
    with webhook(status) as (address, taken):
        _, problem = trace.report_end(WELL, webhook=address)
    assert problem == f"the webhook answered {status}: correct its address in the secret"
    assert len(taken) == 1


def test_an_answer_that_is_no_http_fails_nothing() -> None:
    with webhook(0) as (address, _):
        _, problem = trace.report_end(WELL, webhook=address)
    assert problem.startswith("the webhook cannot be reached")


HOSTILE = [
    "<!channel> <https://evil.example/login|Roadie needs you to sign in again>",
    "@channel @all @here",
    "[sign in](https://evil.example/login)",
    "![x](https://evil.example/pixel.png)",
    "[sign in][1] [1]: https://evil.example",
    "first line\n# A heading\n> a quotation\r\n\u2028| a | table |",
    "```code```",
    "&lt;!channel&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_an_alert_says_pings_links_or_looks_like_roadie_s_own(text: str) -> None:
    with webhook() as (address, taken):
        ending = trace.Ending("jukebox", f"alert {text}", "r", "FAILED", text)
        list(trace.report_end(ending, webhook=address))
    shown = taken[0]["text"]
    assert shown == trace.plain(ending.line, 2000)
    for alive in ("<", ">", "](", "![", "][", "]:", "```", "\n", "\r", "\u2028"):
        assert alive not in shown
    assert not re.search(r"(?<!\w)@\w", shown)


@pytest.mark.parametrize(
    "text", ["registry.example.com:5000/jukebox@sha256:0123", "step_a failed: no column tempo", "v1-2_3 *x* a@b.c"]
)
def test_what_people_copy_stays_as_it_is(text: str) -> None:
    assert trace.plain(text) == text
