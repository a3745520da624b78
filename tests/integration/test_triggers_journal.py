"""What becomes of a receiver whose journal is lost, damaged, or taken by another one."""

import contextlib
import http.client
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie.triggers.journal.journal import Journal
from tests.servers.kfp_api import KfpApi, serving
from tests.servers.process import free_port
from tests.servers.receiver import Receiver, alert, payload, post

ALERTS = [alert(f"{number:016x}") for number in range(20)]


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with serving(seconds_pending=0.0) as api:
        yield api


@pytest.fixture
def receiver(tmp_path: Path, api: KfpApi) -> Iterator[Receiver]:
    runs = {"where": "cluster", "endpoint": api.url, "seconds_between_looks": 1.0}
    config = {"runs": runs, "models": {"jukebox": {"pipeline": "tiny.yaml", "max_active": 1000}}}
    receiver = Receiver(tmp_path, free_port(), config)
    receiver.start()
    try:
        receiver.wait()
        yield receiver
    finally:
        receiver.stop()


def told(receiver: Receiver, alerts: list[dict[str, Any]]) -> tuple[int, Any]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)) as connection:
        return post(connection, payload(alerts))


def ready(receiver: Receiver) -> tuple[int, dict[str, str]]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=30)) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_lost_journal_repeats_no_run(tmp_path: Path, api: KfpApi, receiver: Receiver) -> None:
    assert told(receiver, ALERTS)[1]["runs"] == 20
    wait_until(lambda: len(api.runs) == 20, "not all runs were started")
    receiver.kill()
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    receiver.start()
    receiver.wait()
    # Alertmanager sends again what still fires.
    assert told(receiver, ALERTS)[1]["new"] == 20
    journal = Journal(tmp_path / "journal.db")
    wait_until(lambda: {run.state for run in journal.runs(limit=99)} == {"running"}, "not all runs were found")
    assert {run.run_id for run in journal.runs(limit=99)} == set(api.runs)
    assert len(api.runs) == 20
    journal.close()


def test_a_journal_that_is_damaged_meanwhile_is_told_by_the_probe_and_locks_nobody_out(
    tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "journal.db"
    told(receiver, [alert(f"a{number:015x}", padding="x" * 1000) for number in range(300)])
    assert ready(receiver)[0] == 200
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    wait_until(lambda: ready(receiver)[0] == 503, "the damage is not told")
    assert "is damaged" in ready(receiver)[1]["journal"]
    began = time.monotonic()
    for number in range(5):
        status, _ = told(receiver, [alert(f"b{number:015x}")])
        assert status in (200, 503)
    assert time.monotonic() - began < 5
    log = (tmp_path / "receiver.log").read_text()
    assert "keeps the journal" not in log


def test_a_receiver_does_not_start_on_a_damaged_journal(tmp_path: Path, receiver: Receiver) -> None:
    told(receiver, [alert(f"a{number:015x}", padding="x" * 1000) for number in range(300)])
    receiver.stop()
    path = tmp_path / "journal.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 20_000)
    command = [sys.executable, "-m", "roadie", "listen", "--config", str(tmp_path / "receiver.yaml")]
    environment = receiver.environment
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert "put its backup there, or move it away" in done.stderr
