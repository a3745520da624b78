"""How many rows there are to train on, counted in a process of its own: tables take memory that a receiver has not."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from roadie.errors import DataError

SECONDS = 600.0
_PROGRAM = "roadie.triggers.work.counting"


def count_rows(charts: str) -> int:
    """The chart entries at `charts`, a source as :func:`roadie.data.load_charts` takes it.

    Raises:
        DataError: the tables cannot be had or read, or not within ten minutes.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", _PROGRAM], input=charts, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise DataError(
            f"the rows of the charts were not counted within {SECONDS:.0f} s; look at their store"
        ) from None
    except OSError as error:
        raise DataError(f"the rows of the charts cannot be counted ({error.strerror}); free memory") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise DataError(
            f"counting the rows of the charts ended with exit code {done.returncode}; free memory"
        ) from None
    if "error" in answer:
        raise DataError(str(answer["error"]))
    return int(answer["rows"])


def main() -> None:
    """Read a source on standard input, and write what there is as JSON on standard output."""
    from roadie.data import load_charts
    from roadie.errors import RoadieError

    try:
        with tempfile.TemporaryDirectory(prefix="roadie-rows-") as scratch:
            answer: dict[str, object] = {"rows": load_charts(sys.stdin.read(), Path(scratch) / "examples").rows}
    except RoadieError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    os.umask(0o077)
    main()
