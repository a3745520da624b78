"""The node of the tests: what its kubelet says when the API server asks it for a container's log."""

import functools
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.servers.kubernetes_server import KubernetesServer

NODE = "node"
# By ``pod/container`` or, for a life that is over, ``pod/container/previous``.
LOGS: dict[str, str] = {}


@functools.cache
def start_kubelet(server: KubernetesServer) -> None:
    """Let `server` have a node with a kubelet, for as long as this process lasts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.certificate, server.folder / "apiserver.key")
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Kubelet)
    listener.daemon_threads = True
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    node = {
        "metadata": {"name": NODE},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": listener.server_port}},
        },
    }
    server.ask("POST", "/api/v1/nodes", node)
    server.ask("PUT", f"/api/v1/nodes/{NODE}/status", node)


class _Kubelet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        _, _, _, pod, container = parts.path.split("/")
        said = LOGS.get(f"{pod}/{container}" + "/previous" * (query.get("previous") == "true"))
        if said is None:
            self._answer(400, f'previous terminated container "{container}" in pod "{pod}" not found')
        else:
            self._answer(200, "".join(said.splitlines(keepends=True)[-int(query.get("tailLines", 1_000)) :]))

    def _answer(self, status: int, text: str) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
