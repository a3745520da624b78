"""A real Alertmanager on loopback, with whatever configuration a test gives it."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.servers.process import free_port, require, running

HOW_TO_GET_IT = "apt-get install prometheus-alertmanager"


@dataclass(frozen=True)
class AlertmanagerServer:
    """Where it answers, and where it keeps silences and its notification log."""

    url: str
    storage: Path
    log: Path

    @property
    def host(self) -> str:
        """Its address, as Prometheus' configuration names it."""
        return self.url.removeprefix("http://")

    def fire(self, *labels: Mapping[str, str], minutes: float = 10.0, **annotations: str) -> None:
        """Say that alerts with these labels fire, as Prometheus does; for `minutes`, unless it is said again."""
        now = datetime.now(UTC)
        ends = (now + timedelta(minutes=minutes)).isoformat()
        self.post("alerts", [{"labels": each, "annotations": annotations, "endsAt": ends} for each in labels])

    def resolve(self, *labels: Mapping[str, str]) -> None:
        """Say that these alerts are over."""
        ends = datetime.now(UTC).isoformat()
        self.post("alerts", [{"labels": each, "endsAt": ends} for each in labels])

    def post(self, path: str, body: Any) -> None:
        """POST to its API, version 2."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/{path}", data, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def get(self, path: str) -> Any:
        """GET from its API, version 2."""
        with urllib.request.urlopen(f"{self.url}/api/v2/{path}", timeout=10) as answer:
            return json.load(answer)


def webhook(url: str, secret_file: Path, **timing: str) -> dict[str, Any]:
    """A configuration that sends everything to one receiver; `timing` is group_wait, group_interval and the like."""
    http_config = {
        "authorization": {"type": "Bearer", "credentials_file": str(secret_file)},
        "follow_redirects": False,
    }
    times = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s", **timing}
    return {
        "route": {"receiver": "roadie", "group_by": ["model"], **times},
        "receivers": [{"name": "roadie", "webhook_configs": [{"url": url, "http_config": http_config}]}],
    }


@contextlib.contextmanager
def serve_alertmanager(
    directory: Path, configuration: Mapping[str, Any], *, port: int = 0, options: Sequence[str] = ()
) -> Iterator[AlertmanagerServer]:
    """Run an Alertmanager that keeps everything in `directory`; the same directory again is a restart with its data."""
    program = require("prometheus-alertmanager", HOW_TO_GET_IT)
    port = port or free_port()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "alertmanager.yml"
    path.write_text(json.dumps(configuration))  # JSON is YAML
    storage, log = directory / "data", directory / "alertmanager.log"
    command = [
        program,
        f"--config.file={path}",
        f"--storage.path={storage}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=debug",
        *options,
    ]
    with running(command, port, log):
        yield AlertmanagerServer(f"http://127.0.0.1:{port}", storage, log)
