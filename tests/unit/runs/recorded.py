"""What a real Kubeflow Pipelines 2.17 said, as tests/recordings/kfp keeps it."""

import json
import re
from pathlib import Path
from typing import Any

from tests.servers.kfp_api import KfpApi

FOLDER = Path(__file__).parents[2] / "recordings" / "kfp"
SENT = "(the document as it was sent)"


def calls() -> list[dict[str, Any]]:
    """Each request of the recording, with its answer."""
    return json.loads((FOLDER / "calls.json").read_text())  # type: ignore[no-any-return]


def growth(story: str) -> list[dict[str, Any]]:
    """How the document of a run grew, look by look; with a pipeline that has the steps it tells of."""
    looks = [each["response"] for each in json.loads((FOLDER / f"run-{story}.json").read_text())]
    names = {name for look in looks for name in _steps(look)}
    for look in looks:
        look["pipeline_spec"] = document(names)
    return looks


def document(steps: set[str], **parameters: dict[str, Any]) -> dict[str, Any]:
    """A pipeline with these steps."""
    tasks = {name: {"componentRef": {"name": f"comp-{name}"}, "taskInfo": {"name": name}} for name in sorted(steps)}
    return {
        "pipelineInfo": {"name": "training"},
        "schemaVersion": "2.1.0",
        "components": {f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in steps},
        "root": {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": parameters}},
    }


def _steps(look: dict[str, Any]) -> set[str]:
    """Those of the named tasks that have an executor: neither graphs nor drivers."""
    graph = re.compile(r"(root|exit-handler|condition|for-loop|iteration|executor|training|promo).*|.*(-driver|\))")
    told = look.get("run_details", {}).get("task_details", [])
    return {each["display_name"] for each in told if each.get("display_name")} - {
        name for each in told if graph.fullmatch(name := each.get("display_name", ""))
    }


def replay(api: KfpApi, look: dict[str, Any]) -> str:
    """Let the double hold a run as it was recorded; its id."""
    api.runs[look["run_id"]] = look
    api.experiments.setdefault(look["experiment_id"], {"experiment_id": look["experiment_id"], "display_name": "x"})
    api.ghosts.add(look["run_id"])  # nothing moves it
    return str(look["run_id"])
