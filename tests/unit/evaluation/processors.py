"""Work of others on this machine: what a measurement of time is up against."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ENDLESS = "print(flush=True)\nwhile True: pass"


@contextmanager
def kept_busy() -> Iterator[None]:
    """Keep every processor busy with a process of its own."""
    count = os.cpu_count() or 1
    others = [subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()  # it computes from here on
        yield
    finally:
        for other in others:
            other.kill()
            other.communicate()
