"""A model server on loopback that answers the Open Inference Protocol v2 with ONNX runtime."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


@dataclass
class ModelServer:
    """What it serves, how it misbehaves, and what it was asked.

    `not_ready` questions are answered with 503 before it is ready. `answer` takes the place of an inference's answer,
    as bytes, when it is set.
    """

    model: Path
    name: str
    url: str = ""
    not_ready: int = 0
    status: int = 200
    answer: bytes | None = None
    asked: list[Any] = field(default_factory=list)

    def infer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to an inference request."""
        session = onnxruntime.InferenceSession(self.model.read_bytes(), providers=["CPUExecutionProvider"])
        feed = {each["name"]: np.array(each["data"], np.float32).reshape(each["shape"]) for each in request["inputs"]}
        outputs = [output["name"] for output in request["outputs"]]
        results = zip(outputs, session.run(outputs, feed), strict=True)
        return {
            "model_name": self.name,
            "outputs": [
                {"name": name, "datatype": "FP32", "shape": list(values.shape), "data": values.ravel().tolist()}
                for name, values in results
            ],
        }


@contextlib.contextmanager
def serve_model(model: Path, name: str = "jukebox") -> Iterator[ModelServer]:
    """Serve a model until the block ends."""
    served = ModelServer(model, name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/v2/models/{name}/ready":
                self.reply(404, b'{"error": "model not found"}')
                return
            served.not_ready -= 1
            self.reply(503 if served.not_ready >= 0 else 200, b'{"error": "loading"}' if served.not_ready >= 0 else b"")

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(request)
            answer = served.answer if served.answer is not None else json.dumps(served.infer(request)).encode()
            self.reply(served.status, answer)

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
