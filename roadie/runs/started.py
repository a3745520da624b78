"""The folder that a run of this machine has to itself, and what can be read from it. Files only; no process is touched.

``<state>/started/<name>/`` holds ``run.json`` (what was asked for), ``pid``, ``log``, ``lock``, which the run's process
has locked while it lives (flock(2)), ``stop``, once somebody asked it to end, and at the end ``outcome.json``. The
folder is made whole and locked under another name and then renamed, so that a name is taken once, by one process.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from roadie.runs.engine import Run

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")

_STAMPED = re.compile(r"-(\d{8}-\d{6})(?:-\d+)?$")  # the end of the folder's name of a run that nobody named


def folder_of(state: Path, name: str) -> Path:
    """Where the run of this name has its files."""
    return state / "started" / name


def claim(state: Path, name: str, asked: Mapping[str, Any]) -> IO[str] | None:
    """Take the name for this process.

    Returns:
        The lock, which is held until the file is closed or the process ends; None when the name is taken.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = folder_of(state, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    lock = (staging / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        write_whole(staging / "pid", str(os.getpid()))
        write_whole(staging / "run.json", json.dumps(dict(asked)))
        # Onto a folder that is not empty, as each of these is, no folder can be renamed.
        staging.rename(folder)
    except OSError:
        lock.close()
        shutil.rmtree(staging, ignore_errors=True)
        if folder.exists():
            return None
        raise
    _sync(folder.parent)
    return lock


def alive(folder: Path) -> bool:
    """Whether the run's process lives, however it was started and by whom."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read(folder: Path) -> Run | None:
    """The run in a folder as it is now; None when there is none."""
    created = _when(_json(folder / "run.json").get("created"))
    if created is None:
        return None
    # In this order: a process that ended in between has left its outcome.
    living = alive(folder)
    told = _json(folder / "outcome.json")
    name, ended = folder.name, _when(told.get("ended"))
    if ended:
        return Run(name, name, told["state"], created, ended, told["error"], outcome=told["outcome"])
    if living:
        return Run(name, name, "running", created)
    ended = _changed(folder / "log") or created
    if (folder / "stop").exists():
        return Run(name, name, "canceled", created, ended)
    gone = f"its process ended without a word, killed or with the machine; what it said last is in {folder / 'log'}"
    return Run(name, name, "failed", created, ended, gone)


def read_unnamed(folder: Path) -> Run | None:
    """A run that ``roadie run`` did itself and that has ended, by the record in its folder; None when there is none."""
    told, stamp = _json(folder / "outcome.json"), _STAMPED.search(folder.name)
    if not told or not stamp:
        return None
    created = datetime.strptime(stamp[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    error = next((step["error"] for step in told.get("steps", []) if step["state"] == "failed"), "")
    return Run(
        folder.name,
        folder.name,
        told.get("state", "failed"),
        created,
        _changed(folder / "outcome.json"),
        error,
        outcome=told,
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that after a crash it is there whole, as it was, or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _json(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        read = json.loads(path.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    return {}


def _when(text: Any) -> datetime | None:
    with contextlib.suppress(TypeError, ValueError):
        return datetime.fromisoformat(text)
    return None


def _changed(path: Path) -> datetime | None:
    with contextlib.suppress(OSError):
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return None
