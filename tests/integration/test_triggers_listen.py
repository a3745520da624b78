"""`roadie listen` as people and clusters call it: checked, refused, started, and ended by a signal."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie.triggers.journal.journal import Journal
from tests.integration.test_triggers_hooks import ALERT, BEARER, SECRET, head_of, read_to_end
from tests.servers.process import free_port, running

ROOT = Path(__file__).resolve().parents[2]
ROADIE = [sys.executable, "-m", "roadie"]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return {
        "journal": str(tmp_path / "journal.db"),
        "listen": {"port": free_port(), "seconds_to_send": 5},
        "hooks": {"alertmanager": {"secret": {"env": "ALERTS_SECRET"}}},
        "runs": {"state": str(tmp_path / "state")},
        # Nothing of the alerts here, so that no run is started.
        "models": {
            "jukebox": {
                "pipeline": str(ROOT / "compiled" / "pipelines" / "training.yaml"),
                "alerts": {"alertname": "NeverSent"},
            }
        },
    }


def write(folder: Path, config: dict[str, Any]) -> list[str]:
    (folder / "triggers.yaml").write_text(json.dumps(config))
    return [*ROADIE, "listen", "--config", str(folder / "triggers.yaml")]


def call(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "ALERTS_SECRET": SECRET, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given, timeout=60, cwd=ROOT)


@contextlib.contextmanager
def listening(folder: Path, config: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    port = config["listen"]["port"]
    environment = {"ALERTS_SECRET": SECRET}
    with running(write(folder, config), port, folder / "log", environment) as process:
        yield process


def test_check_says_what_starts_what(tmp_path: Path, config: dict[str, Any]) -> None:
    config["hooks"]["github"] = {"secret": {"env": "ALERTS_SECRET"}}
    push = {"repository": "https://github.com/band/jukebox", "branches": ["main", "release/*"], "paths": ["roadie/*"]}
    config["models"] = {
        "jukebox": {
            "pushes": [push],
            "cool_down": "1d12h",
            "max_active": 2,
            "when_active": "supersede",
            "min_new_rows": 1000,
            "parameters": {"seed": 7, "charts": "sample"},
        },
        "wine": {"alerts": {"severity": "critical"}},
    }
    done = call([*write(tmp_path, config), "--check"])
    assert (done.returncode, done.stderr) == (0, "")
    port = config["listen"]["port"]
    assert done.stdout.splitlines() == [
        f"listens on http://127.0.0.1:{port} to /hooks/alertmanager, /hooks/github",
        "jukebox: runs the pipeline training on this machine",
        '  for an alert with model="jukebox", retrain="true"',
        "  for a push to main, release/* of https://github.com/band/jukebox that changes roadie/*",
        "  at most 2 runs at once; what comes meanwhile takes the oldest one's place",
        "  none within 1d12h of the last",
        "  only with 1,000 rows more than the last run had",
        "  with charts, seed",
        "wine: runs the pipeline training on this machine",
        '  for an alert with severity="critical"',
        "  at most 1 run at once; what comes meanwhile waits",
    ]
    assert not (tmp_path / "journal.db").exists()


def test_check_says_where_the_page_reads_another_repository_than_runs_commit_to(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    config["gitops"] = {"repository": "https://git.example.com/music/gitops.git"}
    for repository, says in (("git@git.example.com:music/gitops", False), ("https://git.example.com/other.git", True)):
        config["models"]["jukebox"]["parameters"] = {"gitops_repo": repository}
        done = call([*write(tmp_path, config), "--check"])
        assert (done.returncode, f"commits to {repository}, while the page reads" in done.stdout) == (0, says)


def test_a_wrong_configuration_is_refused_before_anything_is_made(tmp_path: Path, config: dict[str, Any]) -> None:
    config["models"]["jukebox"]["cool_down"] = 6
    for more in ([], ["--check"]):
        done = call([*write(tmp_path, config), *more])
        assert done.returncode == 1
        assert done.stderr == (
            "roadie: triggers.yaml: models.jukebox.cool_down: is not a duration; write it like 30m, 6h, 90d or PT6H\n"
        )
    assert not (tmp_path / "journal.db").exists()


def test_it_does_not_start_without_its_secret(tmp_path: Path, config: dict[str, Any]) -> None:
    done = call(write(tmp_path, config), ALERTS_SECRET="")
    assert done.returncode == 1
    assert "hooks.alertmanager.secret: the environment variable ALERTS_SECRET is empty or not there" in done.stderr


def test_a_taken_port_and_a_journal_that_cannot_be_made_are_said_in_a_sentence(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", config["listen"]["port"])):
        done = call(write(tmp_path, config))
    assert done.returncode == 1
    port = config["listen"]["port"]
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in done.stderr
    (tmp_path / "file").write_text("")
    done = call(write(tmp_path, {**config, "journal": str(tmp_path / "file" / "journal.db")}))
    assert done.returncode == 1
    assert "the journal" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_request_under_way(tmp_path: Path, config: dict[str, Any], number: int) -> None:
    with listening(tmp_path, config) as process:
        with socket.create_connection(("127.0.0.1", config["listen"]["port"]), timeout=20) as raw:
            raw.sendall(head_of(f"Content-Length: {len(ALERT)}", "Expect: 100-continue"))
            assert raw.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body now
            raw.sendall(ALERT[:-1])
            idle = socket.create_connection(("127.0.0.1", config["listen"]["port"]), timeout=20)
            process.send_signal(number)
            with idle:
                assert read_to_end(idle) == b""  # it has taken notice
            raw.sendall(ALERT[-1:])
            assert read_to_end(raw).startswith(b"HTTP/1.1 200 ")
        assert process.wait(timeout=60) == 0
    assert len(Journal(tmp_path / "journal.db").timeline(10)) == 1
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert [line.partition("event=")[2].split()[0] for line in log.splitlines()] == ["listening", "request", "ended"]


def test_no_secret_is_in_its_log(tmp_path: Path, config: dict[str, Any]) -> None:
    with listening(tmp_path, config):
        url = f"http://127.0.0.1:{config['listen']['port']}"
        for secret in (SECRET, "guessed-wrong"):
            head = {**BEARER, "Authorization": f"Bearer {secret}"}
            request = urllib.request.Request(f"{url}/hooks/alertmanager?token={secret}", ALERT, head)
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=20)
    log = (tmp_path / "log").read_text()
    assert "status=200" in log
    assert "status=401" in log
    assert SECRET not in log
    assert "guessed-wrong" not in log
