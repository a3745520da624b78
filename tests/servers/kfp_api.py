"""The REST API of Kubeflow Pipelines on loopback, as far as Roadie asks it: no KFP can be had here.

It answers as a real Kubeflow Pipelines 2.17 did when it was recorded: tests/recordings/kfp has the calls and how runs
grew, and tests/unit/runs/test_recorded.py holds this double against them. What was not recorded is from the service's
source: multi-user mode, tokens, the filter on ``recurring_run_id``, and the log of a pod.
What the service keeps is in kfp_state.py, what it answers in kfp_answers.py; here is how it is asked and what goes
wrong on the way.

Within a test: ``with serving() as api``. For tests that kill processes: ``python -m tests.servers.kfp_api PORT FILE``,
which keeps everything in FILE and is told what to do with :class:`Remote`.
"""

import contextlib
import json
import random
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.kfp_state import Answer, Fault, Json, KfpApi, failure, task

__all__ = ["Fault", "KfpApi", "Remote", "serving", "task"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    api: KfpApi

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path.startswith("/double"):
            self._send(*self._double(path.removeprefix("/double").strip("/"), json.loads(content or b"{}")))
            return
        api = self.api
        with api.lock:
            api.asked.append(f"{self.command} {path}")
            fault = self._fault(path)
        if fault and fault.do == "drop":
            self._hang_up()
            return
        if fault and fault.do == "refuse":
            self._send(*failure(503, "upstream connect error or disconnect/reset before headers"))
            return
        if fault and fault.do == "garble":
            self._send(200, "<html>Please log in</html>", "text/html")
            return
        if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
            self._send(*failure(401, "Unauthenticated: Request header error: there is no user identity header."))
            return
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        answer = api.answer(self.command, path, query, content)
        if fault and fault.do == "lose":
            self._hang_up()
            return
        if fault and fault.do == "slow":
            time.sleep(fault.seconds)
        self._send(*answer)

    def _fault(self, path: str) -> Fault | None:
        for fault in self.api.faults:
            fits = fault.method in {"", self.command} and fault.path in path and fault.times != 0
            if fits and random.random() < fault.chance:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _double(self, verb: str, arguments: Json) -> Answer:
        """What :class:`Remote` asks for; none of it is KFP's."""
        with self.api.lock:
            if verb in {"order", "forget", "lose_workflow", "fault", "set"}:
                getattr(self.api, verb)(**arguments)
            return 200, {**self.api.to_dict(), "asked": self.api.asked}

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, content: Json | str, plain: str = "text/plain; charset=utf-8") -> None:
        page = isinstance(content, str)
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        with contextlib.suppress(OSError):  # who asked may be dead by now
            self.send_response(status)
            self.send_header("Content-Type", plain if page else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

    do_GET: Callable[[], None] = _serve
    do_POST: Callable[[], None] = _serve
    do_DELETE: Callable[[], None] = _serve
    do_PUT: Callable[[], None] = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet; `asked` keeps what was asked."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[KfpApi]:
    """Serve on a thread until the block ends; `settings` are attributes of :class:`KfpApi`."""
    api = KfpApi(**settings)
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api})) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


class Remote:
    """The same orders to a double that runs as its own process."""

    def __init__(self, url: str) -> None:
        self.url = url

    def order(self, run_id: str, state: str, tasks: list[Json] | None = None) -> None:
        """See :meth:`KfpApi.order`."""
        self._post("order", run_id=run_id, state=state, tasks=tasks)

    def forget(self, run_id: str) -> None:
        """See :meth:`KfpApi.forget`."""
        self._post("forget", run_id=run_id)

    def lose_workflow(self, run_id: str) -> None:
        """See :meth:`KfpApi.lose_workflow`."""
        self._post("lose_workflow", run_id=run_id)

    def fault(self, do: str, **what: Any) -> None:
        """See :meth:`KfpApi.fault`."""
        self._post("fault", do=do, **what)

    def set(self, **settings: Any) -> None:
        """See :meth:`KfpApi.set`."""
        self._post("set", **settings)

    def state(self) -> Json:
        """Everything: ``runs``, ``experiments`` and ``recurring`` by id, and ``asked``."""
        return self._post("state")

    def _post(self, verb: str, **arguments: Any) -> Json:
        request = urllib.request.Request(f"{self.url}/double/{verb}", json.dumps(arguments).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)  # type: ignore[no-any-return]


def main(port: int, file: Path) -> None:
    """Serve on `port` until killed; what was in `file` is there again."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    api = KfpApi(url=f"http://127.0.0.1:{port}", file=file, **kept)
    with _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"api": api})) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
