"""A real Prometheus on loopback: it scrapes one target, evaluates rules, and tells an Alertmanager what fires."""

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.process import free_port, require, running

HOW_TO_GET_IT = "apt-get install prometheus"


@dataclass(frozen=True)
class PrometheusServer:
    """Where it answers."""

    url: str
    log: Path

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        quoted = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{quoted}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found


@contextlib.contextmanager
def serve_prometheus(
    directory: Path, rules: Mapping[str, Any], *, target: str, alertmanager: str, interval: str = "1s"
) -> Iterator[PrometheusServer]:
    """Run a Prometheus that scrapes `target` (host:port) and sends alerts to `alertmanager` (host:port)."""
    program = require("prometheus", HOW_TO_GET_IT)
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "rules.yml").write_text(json.dumps(rules))  # JSON is YAML
    configuration = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(directory / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [{"job_name": "drift", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yml").write_text(json.dumps(configuration))
    log = directory / "prometheus.log"
    command = [
        program,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}/",
        # How long it waits before it says again that an alert still fires: a minute, otherwise.
        f"--rules.alert.resend-delay={interval}",
    ]
    with running(command, port, log):
        yield PrometheusServer(f"http://127.0.0.1:{port}", log)
