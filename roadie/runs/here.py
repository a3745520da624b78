"""Runs on this machine: an engine whose runs are processes of their own, which outlive the one that started them."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadie.errors import RunError
from roadie.runs.engine import Run, RunRefusedError
from roadie.runs.pipeline import Pipeline
from roadie.runs.started import NAME, alive, folder_of, read, read_unnamed

SECONDS_TO_BEGIN = 30.0
SECONDS_TO_END = 20.0


class Here:
    """This machine as an :class:`~roadie.runs.Engine`. A run's id is its name, and a name is used once."""

    def __init__(self, state: Path, environment: Mapping[str, str] | None = None) -> None:
        """Keep runs, and what stands in for a registry and a repository, below `state`.

        Runs see the variables of `environment`; those of this process when it is left out.
        """
        self._state, self._environment = state.resolve(), environment
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def start(
        self, pipeline: Pipeline, name: str, arguments: Mapping[str, Any], *, description: str = "", cache: bool = True
    ) -> Run:
        """Start a run; see :meth:`roadie.runs.Engine.start`. There is no cache here, so `cache` means nothing.

        Empty places (``image``, ``gitops_repo``) get stand-ins below the state folder, as with ``roadie run``.
        """
        if not NAME.fullmatch(name):
            raise RunRefusedError(
                f"{name!r} cannot name a run: use letters, digits, '.', '_', '+' and '-', 200 at most"
            )
        job = {
            "state": str(self._state),
            "name": name,
            "pipeline": str(pipeline.path.resolve()),
            "arguments": dict(arguments),
            "description": description,
        }
        said = self._spawn(name, json.dumps(job).encode())
        if said.get("error"):
            raise RunError(f"the run {name} could not be started: {said['error']}")
        run = self.look(name)
        if not said.get("claimed") or run is None:
            raise RunError(f"there is a run {name} here already: look at it, or choose another name")
        return run

    def find(self, name: str) -> list[Run]:
        """The run of this name, if there is one."""
        run = self.look(name)
        return [run] if run else []

    def look(self, run_id: str) -> Run | None:
        """The run as it is now; None when its folder is not there (any more)."""
        self._reap()
        return read(folder_of(self._state, run_id)) if NAME.fullmatch(run_id) else None

    def stop(self, run_id: str) -> None:
        """End the run and its steps, if it goes on, and wait until they have ended."""
        folder = folder_of(self._state, run_id)
        if not NAME.fullmatch(run_id) or not alive(folder):
            return
        try:
            (folder / "stop").touch()
            process = int((folder / "pid").read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"the run {run_id} cannot be ended: its files in {folder} are damaged") from error
        for number in (signal.SIGTERM, signal.SIGKILL):
            # Who holds the lock is that process for sure, and not a later one with its number.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
            deadline = time.monotonic() + SECONDS_TO_END
            while time.monotonic() < deadline:
                if not alive(folder):
                    return
                time.sleep(0.02)
        raise RunError(f"the run {run_id} does not end: kill the process {process}")

    def recent(self, limit: int, model: str = "") -> list[Run]:
        """The last `limit` runs, the newest first; of one model only those that are named ``<model>-...``.

        Those that ``roadie run`` did itself are among them once they have ended.
        """
        self._reap()
        started = [read(folder) for folder in _folders(self._state / "started")]
        known = {str(run.outcome.get("folder", "")) for run in started if run}
        others = [read_unnamed(folder) for folder in _folders(self._state / "runs") if str(folder) not in known]
        runs = [run for run in (*started, *others) if run and run.name.startswith(f"{model}-" if model else "")]
        return sorted(runs, key=lambda run: (run.created, run.id), reverse=True)[:limit]

    def _spawn(self, name: str, job: bytes) -> dict[str, Any]:
        """Start the process and wait for its answer; it has taken the name then, or says why not."""
        reading, writing = os.pipe()
        with open(reading, "rb") as answers:  # noqa: PTH123 - a descriptor, not a path
            try:
                child = subprocess.Popen(
                    [sys.executable, "-m", "roadie.runs.detached", str(writing)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[writing],
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise RunError(f"no process can be started for the run {name}: {error.strerror}") from error
            finally:
                os.close(writing)
            with self._lock:
                self._children.append(child)
            with child.stdin as stdin, child.stderr as complaints:  # type: ignore[union-attr]
                with contextlib.suppress(BrokenPipeError):
                    stdin.write(job)
                    stdin.close()
                ready, _, _ = select.select([answers], [], [], SECONDS_TO_BEGIN)
                if not ready:
                    raise RunError(
                        f"the process of the run {name} did not begin in {SECONDS_TO_BEGIN:.0f} s; try again"
                    )
                said = answers.read()
                if not said:
                    last = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
                    raise RunError(f"the process of the run {name} ended before it began: {last or 'try again'}")
        return dict(json.loads(said))

    def _reap(self) -> None:
        """Take leave of the processes of ours that have ended."""
        with self._lock:
            self._children = [child for child in self._children if child.poll() is None]


def _folders(parent: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [folder for folder in parent.iterdir() if not folder.name.startswith(".")]
    return []
