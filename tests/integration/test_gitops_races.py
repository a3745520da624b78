"""Many processes push to one branch, and some are killed: every change lands, once, in order, and none is forced."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from roadie.gitops import Edit, bump, read_value
from tests.servers.git_http import GitServer, git

BUMP = """
import json, sys
from dataclasses import asdict
from roadie.gitops import Edit, bump
repo, file, key, value, trailers = sys.argv[1:]
print(json.dumps(asdict(bump(repo, [Edit(file, key, value)], trailers=json.loads(trailers), budget=240))))
"""
FILE = "test/values.yaml"
MANY = 8


def start(repo: str, key: str, value: str, trailers: Mapping[str, str]) -> subprocess.Popen[str]:
    import json

    command = [sys.executable, "-c", BUMP, repo, FILE, key, value, json.dumps(trailers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors


@pytest.fixture
def repo(git_server: GitServer, tmp_path: Path) -> str:
    values = tmp_path / "source" / FILE
    values.parent.mkdir(parents=True)
    values.write_text("".join(f"model{n}:\n  version: latest  # model {n}\n" for n in range(MANY)))
    return git_server.create("race.git", tmp_path / "source")


@pytest.fixture
def bare(git_server: GitServer) -> str:
    return str(git_server.root / "race.git")


def test_eight_processes_that_set_different_keys_of_one_file_all_land(repo: str, bare: str) -> None:
    finish([start(repo, f"model{n}.version", f"v{n}", {}) for n in range(MANY)])

    expected = "".join(f'model{n}:\n  version: "v{n}"  # model {n}\n' for n in range(MANY))
    assert git("-C", bare, "show", f"main:{FILE}") + "\n" == expected
    assert git("-C", bare, "rev-list", "--count", "main") == str(MANY + 1)
    assert git("-C", bare, "rev-list", "--count", "--min-parents=2", "main") == "0"


def test_of_eight_processes_that_set_one_key_the_newest_run_has_the_last_word(repo: str, bare: str) -> None:
    runs = [{"Roadie-Run": f"run-{n}", "Roadie-Started": f"2026-01-01T00:00:{n:02}Z"} for n in range(MANY)]
    finish([start(repo, "model0.version", f"v{n}", run) for n, run in enumerate(runs)])

    assert read_value(repo, FILE, "model0.version").value == f"v{MANY - 1}"
    log = git("-C", bare, "log", "--reverse", "--format=%(trailers:key=Roadie-Started,valueonly)", "main").split()
    assert log == sorted(log)
    assert git("-C", bare, "rev-list", "--count", "--min-parents=2", "main") == "0"


def test_an_older_run_leaves_a_newer_version_alone(repo: str) -> None:
    newer = bump(repo, [Edit(FILE, "model0.version", "v2")], trailers={"Roadie-Started": "2026-01-02T00:00:00Z"})
    older = bump(repo, [Edit(FILE, "model0.version", "v1")], trailers={"Roadie-Started": "2026-01-01T00:00:00Z"})
    assert (older.changed, older.commit) == (False, newer.commit)
    assert "started later" in older.reason
    assert bump(repo, [Edit(FILE, "model1.version", "v1")], trailers={"Roadie-Started": "2026-01-01"}).changed


@pytest.mark.parametrize("requests", [0, 1, 5, 8, 9, 10, 99])
def test_a_run_killed_at_any_moment_makes_one_commit_in_two_tries(
    git_server: GitServer, repo: str, bare: str, requests: int
) -> None:
    run = {"Roadie-Run": "killed", "Roadie-Started": "2026-01-01T00:00:00Z"}
    process = start(repo, "model0.version", "v1", run)
    # From before its first request to the tenth, which is the push, and to its own end.
    while len(git_server.requests) < requests and process.poll() is None:
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    bump(repo, [Edit(FILE, "model0.version", "v1")], trailers=run)

    assert git("-C", bare, "rev-list", "--count", "main") == "2"
    assert read_value(repo, FILE, "model0.version").value == "v1"


def test_a_killed_run_does_not_overwrite_what_came_after_it(repo: str) -> None:
    run = {"Roadie-Run": "killed"}
    first = bump(repo, [Edit(FILE, "model0.version", "v1")], trailers=run)
    bump(repo, [Edit(FILE, "model0.version", "v2")], trailers={"Roadie-Run": "another"})
    again = bump(repo, [Edit(FILE, "model0.version", "v1")], trailers=run)
    assert (again.changed, again.commit) == (False, first.commit)
    assert read_value(repo, FILE, "model0.version").value == "v2"
