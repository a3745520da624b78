"""A model in a process of its own: without secrets, within limits, in a folder with its own files and nothing else."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadie.errors import EvaluationError
from roadie.evaluation.model_files import ModelFiles

CHILD = Path(__file__).with_name("child.py")
STARTING = 120.0  # seconds for Python and the runtime to be there, which say nothing of the model
MEMORY = 4 << 30  # bytes of address space beside four times the model's own files
LARGEST_FACTS = 64 << 20
# Whatever else is set may be a secret.
KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "TMPDIR", "OPENBLAS_CORETYPE")


class UnusableModelError(EvaluationError):
    """A model that cannot be scored; `role` is challenger or champion."""

    def __init__(self, role: str, why: str) -> None:
        super().__init__(f"The {role} cannot be scored: {why}")
        self.role = role


class AnswerError(Exception):
    """The runtime refuses the model or what it is asked, in its own words."""


class ModelProcess:
    """A started process; it ends with `close`, or with this object."""

    def __init__(self, role: str, files: ModelFiles, seconds: float) -> None:
        self._role, self._seconds, self._left = role, seconds, STARTING
        folder = tempfile.TemporaryDirectory(prefix="roadie-model-")
        try:
            files.lay_out(Path(folder.name))
        except OSError as error:
            folder.cleanup()
            raise UnusableModelError(role, f"its files cannot be read ({error.strerror or error})") from error
        self._pipe, theirs = Pipe()
        limits = (MEMORY + 4 * files.size, int(seconds) + 60)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(CHILD), str(theirs.fileno()), *map(str, limits), files.model],
                cwd=folder.name,
                env={name: os.environ[name] for name in KEPT if name in os.environ},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.close = weakref.finalize(self, _end, self._process, self._pipe, folder)
        self._exchange(None, 1)
        self._left = seconds

    def load(self) -> bytes:
        """What the model says of itself, as JSON; AnswerError when it does not load."""
        return self._exchange(b"l", LARGEST_FACTS)

    def ask(self, kind: bytes, matrix: NDArray[np.float32], most_bytes: int) -> NDArray[Any]:
        """The process's answer to a matrix [cases, features]; AnswerError when it fails on it."""
        content = io.BytesIO()
        np.save(content, matrix, allow_pickle=False)
        answer = self._exchange(kind + content.getvalue(), most_bytes)
        try:
            return np.asarray(np.load(io.BytesIO(answer), allow_pickle=False))
        except (ValueError, EOFError, OSError) as error:
            raise AnswerError("it answers with something else than numbers") from error

    def _exchange(self, request: bytes | None, most_bytes: int) -> bytes:
        """Send a request, and wait as long as the model has time left; killing the process ends any wait."""
        late, began = threading.Event(), time.monotonic()

        def end() -> None:
            late.set()
            self._process.kill()

        watch = threading.Timer(max(self._left, 0), end)
        watch.daemon = True
        watch.start()
        try:
            if request is not None:
                self._pipe.send_bytes(request)
            answer = self._pipe.recv_bytes(most_bytes + 4096)
        except (EOFError, OSError) as error:
            self._process.kill()
            raise UnusableModelError(self._role, self._ended(late.is_set())) from error
        finally:
            watch.cancel()
            self._left -= time.monotonic() - began
        if answer[:1] != b"=":
            raise AnswerError(" ".join(answer[1:].decode(errors="replace").split())[:300])
        return answer[1:]

    def _ended(self, late: bool) -> str:
        code = self._process.wait()
        if late or code == -signal.SIGXCPU:
            return (
                f"it does not answer within {self._seconds:g} s, which is what the gate's maximum_seconds allows; "
                "export it without loops that do not end, or allow more"
            )
        if code == -signal.SIGKILL:
            return "its process was killed, as machines do that have no memory left; give the step more memory"
        return f"its process ended ({signal.Signals(-code).name if code < 0 else code}); export the model again"


def _end(process: subprocess.Popen[bytes], pipe: Connection, folder: "tempfile.TemporaryDirectory[str]") -> None:
    pipe.close()
    process.kill()
    process.wait()
    folder.cleanup()
