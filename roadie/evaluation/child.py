"""The process that one model runs in: it loads a file, answers what it is asked, and may take so much and no more.

Started by its path, as ``python -P child.py PIPE MEMORY SECONDS FILE``: it imports nothing of Roadie, and what a model
does to a process it does to this one. On the pipe, requests are a letter and a matrix (numpy's own format, no pickles):
``r`` to run it, ``t`` to time it row by row. Answers begin with ``=``, and with ``!`` where they are an error's words.
"""

import contextlib
import ctypes
import io
import json
import resource
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

OUTPUT = "probabilities"


def main(pipe: Connection, memory: int, seconds: int, path: str) -> None:
    """Serve until the other end closes."""
    _limit(memory, seconds)
    pipe.send_bytes(b"=")
    session = None
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request = pipe.recv_bytes()
            try:
                if request == b"l":
                    session = _load(path)
                    answer = json.dumps(_facts(session)).encode()
                else:
                    answer = _answer(session, request[:1], np.load(io.BytesIO(request[1:]), allow_pickle=False))
                pipe.send_bytes(b"=" + answer)
            except Exception as error:  # noqa: BLE001 - onnxruntime's own exceptions share no base class
                pipe.send_bytes(b"!" + f"{type(error).__name__}: {error}".encode()[:2000])


def _limit(memory: int, seconds: int) -> None:
    limits = {"RLIMIT_AS": memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    for name, wanted in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a stricter limit stands already, or this system has none
            resource.setrlimit(getattr(resource, name), (wanted, wanted))
    with contextlib.suppress(OSError, AttributeError):  # Linux: end with the parent, however that ends (prctl(2))
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    with contextlib.suppress(OSError):  # where memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _load(path: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _facts(session: Any) -> dict[str, object]:
    return {
        "inputs": [value.name for value in session.get_inputs()],
        "outputs": {value.name: value.type for value in session.get_outputs()},
        "properties": session.get_modelmeta().custom_metadata_map,
    }


def _answer(session: Any, kind: bytes, matrix: Any) -> bytes:
    names = [value.name for value in session.get_inputs()]

    def feed(rows: Any) -> dict[str, Any]:
        if len(names) == 1:
            return {names[0]: rows}
        return {name: rows[:, [index]] for index, name in enumerate(names)}

    if kind == b"t":
        taken = []
        for row in range(len(matrix)):
            asked, started = feed(matrix[row : row + 1]), time.perf_counter()
            session.run([OUTPUT], asked)
            taken.append(time.perf_counter() - started)
        result = np.asarray(np.median(taken))
    else:
        result = np.asarray(session.run([OUTPUT], feed(matrix))[0])
    content = io.BytesIO()
    np.save(content, result, allow_pickle=False)
    return content.getvalue()


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
