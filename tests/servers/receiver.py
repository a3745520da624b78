"""`roadie listen` as a process of its own, for tests and benchmarks that measure it or kill it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests-0123456789"

# The smallest pipeline that a cluster takes.
PIPELINE: dict[str, Any] = {
    "pipelineInfo": {"name": "tiny"},
    "components": {"comp-train": {"executorLabel": "exec-train"}},
    "deploymentSpec": {"executors": {"exec-train": {"container": {"image": "python:3.11", "command": ["true"]}}}},
    "root": {
        "dag": {"tasks": {"train": {"componentRef": {"name": "comp-train"}, "taskInfo": {"name": "train"}}}},
        "inputDefinitions": {
            "parameters": {"trigger": {"parameterType": "STRING", "defaultValue": "manual", "isOptional": True}}
        },
    },
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
}


class Receiver:
    """A receiver that can be killed and started again; its journal, configuration and log are in `folder`."""

    def __init__(self, folder: Path, port: int, config: Mapping[str, Any], name: str = "receiver") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text(yaml.safe_dump(PIPELINE))
        self.port, self._folder, self._name = port, folder, name
        self._config = folder / f"{name}.yaml"
        hooks = {"alertmanager": {"secret": {"env": "HOOK_TOKEN"}}}
        given = {"journal": str(folder / "journal.db"), "listen": {"port": port}, "hooks": hooks, **config}
        self._config.write_text(yaml.safe_dump(given))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it is started with."""
        return {**os.environ, "HOOK_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}

    def start(self) -> None:
        """Start it, without waiting until it answers."""
        with (self._folder / f"{self._name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "roadie", "listen", "--config", str(self._config)],
                cwd=self._folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, seconds: float = 120.0) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        log = self._folder / f"{self._name}.log"
        raise RuntimeError(f"the receiver does not answer; its log ends: {log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """End it as a node that loses power does."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()


def alert(fingerprint: str, starts_at: str = "2026-01-31T12:00:00.123456Z", **labels: str) -> dict[str, Any]:
    """A firing alert as Alertmanager's webhook has it."""
    return {
        "status": "firing",
        "labels": {"alertname": "DriftOfTheCharts", "model": "jukebox", "retrain": "true", **labels},
        "annotations": {"summary": "the charts drift"},
        "startsAt": starts_at,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=drift",
        "fingerprint": fingerprint,
    }


def payload(alerts: Sequence[Mapping[str, Any]]) -> bytes:
    """A message of Alertmanager's webhook, version 4."""
    message = {"version": "4", "status": "firing", "receiver": "roadie", "groupKey": "{}", "truncatedAlerts": 0}
    return json.dumps({**message, "alerts": list(alerts)}).encode()


def post(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, Any]:
    """POST a message to the hook: the status, and the answer's JSON."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    connection.request("POST", "/hooks/alertmanager", body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")
