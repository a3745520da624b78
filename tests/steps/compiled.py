"""The compiled YAML as data, for tests that look at it as a cluster does."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / "compiled"
COMPONENTS = sorted((COMPILED / "components").glob("*.yaml"))
PIPELINES = sorted((COMPILED / "pipelines").glob("*.yaml"))


def documents(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A compiled file's specification, and what it says of Kubernetes."""
    found = list(yaml.safe_load_all(path.read_text()))
    return found[0], found[1] if len(found) > 1 else {}


def containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The container of each step by its name."""
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): body["container"] for name, body in executors.items()}


def tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every task by its name, whichever graph it is in."""
    dags = [spec["root"]["dag"], *(body["dag"] for body in spec["components"].values() if "dag" in body)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}
