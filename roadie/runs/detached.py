"""The process of one run on this machine; it outlives whoever started it.

It reads one JSON object on standard input (state, name, pipeline, arguments, description), takes the name, says so in
one JSON object to the file descriptor in its argument, and then runs the pipeline and writes down what came of it.
Whoever waits to be told may be dead by then: the run goes on all the same, for its name is taken and will be found.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from roadie.errors import RoadieError
from roadie.runs.defaults import with_embedded_defaults
from roadie.runs.local import run_here
from roadie.runs.outcome import Outcome
from roadie.runs.pipeline import load_pipeline
from roadie.runs.started import claim, folder_of, write_whole


class _Ended(BaseException):
    """Somebody sent SIGTERM."""


def main() -> int:
    """Do the run that standard input describes; 0 when its name was taken by another, or its end is written down."""
    signal.signal(signal.SIGTERM, _end)
    job = json.load(sys.stdin)
    state = Path(job["state"])
    try:
        lock = claim(state, job["name"], {**job, "created": datetime.now(UTC).isoformat()})
    except OSError as error:
        _answer(error=f"{state / 'started'} cannot be written: {error.strerror}")
        return 1
    _answer(claimed=lock is not None)
    if lock is None:
        return 0
    with lock:
        folder = folder_of(state, job["name"])
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        told = _told(job, state, folder)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        write_whole(folder / "outcome.json", json.dumps({**told, "ended": datetime.now(UTC).isoformat()}))
    return 0


def _answer(**said: Any) -> None:
    answer = int(sys.argv[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(answer, json.dumps(said).encode())
    os.close(answer)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def _told(job: Mapping[str, Any], state: Path, folder: Path) -> dict[str, Any]:
    """Run the pipeline; what came of it, whatever that is."""
    try:
        pipeline = load_pipeline(job["pipeline"])
        with _alone(state):
            arguments = with_embedded_defaults(pipeline, job["arguments"], state)
        outcome = run_here(pipeline, arguments, state)
        return {"state": outcome.state, "error": _sentence(outcome), "outcome": outcome.to_dict()}
    except _Ended:
        asked = (folder / "stop").exists()
        error = "" if asked else "it was ended from outside, by SIGTERM: start it again"
        return {"state": "canceled" if asked else "failed", "error": error, "outcome": {}}
    except RoadieError as error:
        return {"state": "failed", "error": str(error), "outcome": {}}
    except Exception as error:  # noqa: BLE001 - whatever it was, the run has ended, and that has to be written down
        traceback.print_exc()
        said = f"an unforeseen {type(error).__name__}: {error}; {folder / 'log'} says where it comes from"
        return {"state": "failed", "error": said, "outcome": {}}


@contextlib.contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One process at a time: what stands in for a repository is made by the first run that needs it."""
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sentence(outcome: Outcome) -> str:
    step = outcome.failed
    return f"the step {step.name} failed: {step.error} (its log: {step.log})" if step else ""


if __name__ == "__main__":
    sys.exit(main())
