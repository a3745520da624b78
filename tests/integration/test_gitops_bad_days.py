"""A server that is away costs waiting and not the run; what it said is shown; who is stopped leaves nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadie.errors import GitOpsError
from roadie.gitops import Edit, bump, create_bare, read_value
from roadie.gitops.patience import Clock
from tests.servers.git_http import GitServer, git
from tests.servers.git_work import Work

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
FILE, KEY = "test/values.yaml", "applications.jukebox.values.version"
EDITS = [Edit(FILE, KEY, "1.2.0")]


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, 0

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now, self.waits = self.now + seconds, self.waits + 1


@pytest.fixture
def repo(git_server: GitServer) -> str:
    return git_server.create("x.git", EXAMPLE)


@pytest.fixture
def bare(git_server: GitServer) -> Path:
    return git_server.root / "x.git"


def hook(bare: Path, script: str, name: str = "pre-receive") -> None:
    file = bare / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.mark.parametrize("status", [503, 429, 408, 500])
@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_a_server_away_for_five_minutes_costs_waiting(
    git_server: GitServer, repo: str, bare: Path, service: str, status: int
) -> None:
    time = Time()
    git_server.trouble = lambda method, path: status if time.now < 300 and service in path else 0
    assert bump(repo, EDITS, clock=time.clock).changed
    assert 300 <= time.now < 340
    assert git("-C", str(bare), "rev-list", "--count", "main") == "2"


def test_a_server_away_for_good_is_asked_about_twenty_times_and_not_more(git_server: GitServer, repo: str) -> None:
    time = Time()
    git_server.trouble = lambda method, path: 503
    with pytest.raises(GitOpsError, match="cannot be reached.*503"):
        bump(repo, EDITS, clock=time.clock)
    assert time.now == pytest.approx(600)
    assert len(git_server.requests) == time.waits + 1 < 50


def test_a_reader_waits_as_well(git_server: GitServer, repo: str) -> None:
    time = Time()
    git_server.trouble = lambda method, path: 503 if time.now < 300 else 0
    assert read_value(repo, FILE, KEY, clock=time.clock).value == "latest"


@pytest.mark.parametrize("status", [403, 500, 502, 504])
def test_what_landed_is_found_whatever_a_gateway_answered(
    git_server: GitServer, repo: str, bare: Path, status: int
) -> None:
    git_server.lost_answers, git_server.lost_status = 1, status
    done = bump(repo, EDITS, clock=Time().clock)
    assert (done.changed, done.commit) == (True, git("-C", str(bare), "rev-parse", "main"))


def test_what_landed_before_the_server_went_away_is_not_said_to_have_failed(
    git_server: GitServer, repo: str, bare: Path
) -> None:
    git_server.lost_answers = 1
    git_server.trouble = lambda method, path: 503 if git_server.lost_answers == 0 else 0
    with pytest.raises(GitOpsError, match="whether commit .* has landed cannot be told: the same again is safe"):
        bump(repo, EDITS, clock=Time().clock)
    git_server.trouble = lambda method, path: 0
    assert not bump(repo, EDITS).changed
    assert git("-C", str(bare), "rev-list", "--count", "main") == "2"


def test_after_the_last_try_the_branch_is_looked_at_once_more(git_server: GitServer, repo: str) -> None:
    git_server.lost_answers = 1
    assert bump(repo, EDITS, budget=0).changed


@pytest.mark.parametrize(
    "words",
    [
        "main is protected by policy: open a merge request",
        "policy: non-fast-forward pushes are refused on Fridays",
        "the check timed out: 502",
        "Author email must match @example.com; cannot lock ref",
    ],
)
def test_a_hooks_words_are_told_at_once_word_for_word(git_server: GitServer, repo: str, bare: Path, words: str) -> None:
    hook(bare, f"echo '{words}' >&2\nexit 1")
    time = Time()
    with pytest.raises(GitOpsError) as refused:
        bump(repo, EDITS, clock=time.clock)
    assert words in str(refused.value)
    assert time.waits == 0


def test_the_reason_in_the_refs_status_is_told(git_server: GitServer, repo: str, bare: Path) -> None:
    git("-C", str(bare), "config", "receive.maxInputSize", "1")
    with pytest.raises(GitOpsError, match="unpacker error"):
        bump(repo, EDITS, clock=Time().clock)


def test_a_stale_lock_on_the_server_is_no_race(git_server: GitServer, repo: str, bare: Path) -> None:
    lock = bare / "refs" / "heads" / "main.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    time = Time()
    with pytest.raises(GitOpsError, match="remove the stale lock on the server .*main.lock': File exists"):
        bump(repo, EDITS, clock=time.clock)
    assert time.now == pytest.approx(600)
    lock.unlink()
    assert bump(repo, EDITS).changed


def test_a_branch_that_is_deleted_meanwhile_is_not_made_anew(git_server: GitServer, repo: str, bare: Path) -> None:
    def deleting(method: str, path: str) -> int:
        if "git-receive-pack" in path:
            with contextlib.suppress(subprocess.CalledProcessError):
                git("-C", str(bare), "update-ref", "-d", "refs/heads/main")
        return 0

    git_server.trouble = deleting
    with pytest.raises(GitOpsError, match="has no branch main"):
        bump(repo, EDITS, clock=Time().clock)
    assert git("-C", str(bare), "for-each-ref") == ""


def test_a_race_is_won_also_on_a_long_history(git_server: GitServer, tmp_path: Path) -> None:
    work = Work.create(tmp_path)
    work.noise(230)
    work.push()
    (git_server.root).mkdir(exist_ok=True)
    (git_server.root / "long.git").symlink_to(work.url)
    git("-C", work.url, "config", "http.receivepack", "true")
    others: list[str] = []

    def another_is_faster(method: str, path: str) -> int:
        if "service=git-receive-pack" in path and len(others) < 3:
            work.pull()
            others.append(work.edit("wine", f"w{len(others)}"))
            work.push()
        return 0

    git_server.trouble = another_is_faster
    done = bump(f"{git_server.url}/long.git", [Edit(FILE, KEY, "2")])
    assert (done.changed, len(others)) == (True, 3)
    work.pull()
    assert work.git("rev-list", "--count", "main") == str(1 + 230 + 3 + 1)
    assert work.git("log", "--format=%H", "-2").split() == [done.commit, others[-1]]
    assert len(git_server.requests) < 60


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A real disk with next to no room."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_sentence(repo: str, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(small))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(GitOpsError, match="(room|No space left on device).*TMPDIR") as full:
        bump(repo, EDITS, clock=Time().clock)
    assert "unforeseen" not in str(full.value)
    assert list(small.iterdir()) == []


SSH = """#!/bin/sh
# A stand-in for a slow ssh: it says that it runs, and goes on for as long as it is let.
echo $$ > "{marker}"
exec sleep 600
"""


def runs(pid: int) -> bool:
    """Whether a process lives; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.timeout(60)
def test_who_is_stopped_ends_git_and_leaves_no_key_and_no_folder(tmp_path: Path, number: signal.Signals) -> None:
    create_bare(EXAMPLE, tmp_path / "x.git")
    key, marker, ssh = tmp_path / "key", tmp_path / "pid", tmp_path / "bin" / "ssh"
    key.write_text("secret\n")
    ssh.parent.mkdir()
    os.mkfifo(marker)
    ssh.write_text(SSH.format(marker=marker))
    ssh.chmod(0o755)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [
        "-c",
        "from roadie.cli import main; main()",
        "gitops",
        "bump",
        "--repo",
        "git@git.example.com:x.git",
        "--set",
        f"{FILE}:{KEY}=1",
    ]
    environment = {
        **os.environ, "PATH": f"{ssh.parent}{os.pathsep}{os.environ['PATH']}", "GIT_SSH_KEY_FILE": str(key),
        "TMPDIR": str(temporary),
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, *command], env=environment, stderr=subprocess.PIPE)
    child = int(marker.read_text())  # waits until git runs ssh
    assert any(path.name == "ssh-key" for path in temporary.rglob("*"))
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number), said
    assert list(temporary.iterdir()) == []
    assert not runs(child)


def test_a_bump_in_a_thread_leaves_the_signals_alone(tmp_path: Path) -> None:
    work = Work.create(tmp_path)
    thread = threading.Thread(target=lambda: bump(work.url, [Edit(FILE, KEY, "2")]))
    before = signal.getsignal(signal.SIGTERM)
    thread.start()
    thread.join()
    assert read_value(work.url, FILE, KEY).value == "2"
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_folders_of_those_who_were_killed_are_swept_and_those_of_the_living_are_not(
    repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    dead, alive, young = (tmp_path / "tmp" / f"roadie-gitops-{name}" for name in ("dead", "alive", "young"))
    for folder in (dead, alive, young):
        folder.mkdir(parents=True)
    for folder in (dead, alive):
        os.utime(folder, (0, 0))
    lock = os.open(alive, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    bump(repo, EDITS)
    os.close(lock)
    assert sorted(folder.name for folder in (tmp_path / "tmp").iterdir()) == [
        "roadie-gitops-alive",
        "roadie-gitops-young",
    ]
