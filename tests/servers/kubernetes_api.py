"""The part of a Kubernetes API that serves one custom object, replaying the answers it is given.

No real API server can be had here; the paths, the bodies and the Status objects are those that Kubernetes documents.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "test",
    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    "users": [{"name": "test", "user": {"token": "a-token"}}],
}


@dataclass
class KubernetesApi:
    """Answers by path, each used once and the last one for ever; `asked` are the paths that were asked for."""

    kubeconfig: Path
    answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, *bodies: Any, status: int = 200) -> None:
        """Give `bodies`, one after the other, to who asks for `path`."""
        self.answers[path] = [(status, body) for body in bodies]

    def next(self, path: str) -> tuple[int, Any]:
        """The next answer for `path`; without one, the 404 that Kubernetes gives."""
        self.asked.append(path)
        waiting = self.answers.get(path)
        if not waiting:
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@contextlib.contextmanager
def serve_kubernetes(folder: Path) -> Iterator[KubernetesApi]:
    """Serve on loopback until the block ends, with a kubeconfig that leads there."""
    api = KubernetesApi(folder / "kubeconfig")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = api.next(self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_port}"
    config = {**KUBECONFIG, "clusters": [{"name": "test", "cluster": {"server": address}}]}
    api.kubeconfig.write_text(json.dumps(config))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
