"""A few threads that share a list of tasks, and stop together."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from roadie.modelcar.retry import CancelledError

T = TypeVar("T")

# How long (seconds) workers may take to give up by themselves before their connections are cut.
_GRACE = 3.0


def run_all(tasks: Sequence[Callable[[], T]], workers: int, stop: threading.Event, cut: Callable[[], None]) -> list[T]:
    """The tasks' results, in the tasks' order; tasks start in that order too.

    The first failure, or Ctrl-C, sets `stop`, waits for the others, calls `cut` if they take long, and is raised.
    """
    results: dict[int, T] = {}
    failures: list[BaseException] = []
    waiting = list(enumerate(tasks))[::-1]
    lock = threading.Lock()

    def work() -> None:
        while not stop.is_set():
            with lock:
                if not waiting:
                    return
                position, task = waiting.pop()
            try:
                results[position] = task()
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                failures.append(error)
                stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(max(1, workers), len(tasks)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        _end(threads, stop, cut)
        raise
    if failures:
        raise next((error for error in failures if not isinstance(error, CancelledError)), failures[0])
    return [results[position] for position in range(len(tasks))]


def _end(threads: Sequence[threading.Thread], stop: threading.Event, cut: Callable[[], None]) -> None:
    stop.set()
    _join(threads, _GRACE)
    cut()
    _join(threads, _GRACE)


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for all of them, that long in all."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
