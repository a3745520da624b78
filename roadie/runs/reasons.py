"""Why a run failed or does not begin: Kubeflow Pipelines keeps the reasons of Argo and the words of a step to itself.

What a step said is read from its pod's log, through the service or else through the Kubernetes API, where this process
may ask that; what Argo says from the Workflow. Where nothing can be had, the sentence names the command that shows it.
An hour after its end KFP deletes a run's Workflow and pods.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from roadie import rollout
from roadie.errors import RolloutError, RunError
from roadie.runs.connection import Connection
from roadie.runs.local import error_in
from roadie.runs.outcome import StepRun
from roadie.runs.tasks import failed_pods, message_of

NAMESPACE = "kubeflow"  # of the runs, where Kubeflow has no profiles
WORKFLOWS = rollout.Kind("argoproj.io", "v1alpha1", "workflows")
TAIL = 200  # lines of a log that are read through the Kubernetes API

# Lines that KFP's launcher and executor and Argo write around those of the step.
_AROUND = re.compile(
    r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ |time=\S+ level=|Error: exit status \d+$|\[KFP Executor |"
    r"\[notice\] |WARNING: Running pip as "
)


def last_words(log: str) -> str:
    """The step's own error in the log of its main container; empty when it said nothing."""
    said = "\n".join(line for line in log.splitlines() if line.strip() and not _AROUND.match(line.strip()))
    return error_in(said) if said else ""


class Reasons:
    """Asks for them. No method raises an error: without an answer there is a command instead."""

    def __init__(self, connection: Connection, namespace: str = "") -> None:
        self._connection, self._namespace = connection, namespace or NAMESPACE

    def of_failure(self, run: Any, steps: Sequence[StepRun]) -> str:
        """Why a run (V2beta1Run) failed, in a sentence: the first of its steps that did, and what it said."""
        failed = next((step for step in steps if step.state == "failed"), None)
        if failed is None:
            going = next((step.name for step in reversed(steps) if step.state == "running"), "")
            where = f"it ended while the step {going} went on: " if going else ""
            said = message_of(run) or self._argo(run.run_id, "message") or self._show("message", run.run_id)
            return f"{where}{said}"
        return f"the step {failed.name} failed: {failed.error or self._words(run)}"

    def of_waiting(self, run_id: str) -> str:
        """Why pods of a run do not begin, in a sentence."""
        return self._argo(run_id, "nodes") or self._show("nodes.*.message", run_id)

    def _words(self, run: Any) -> str:
        pods = failed_pods(run)
        for read in (self._connection.log, self._kubernetes_log):
            for pod in pods:
                try:
                    if words := last_words(read(run.run_id, pod)):
                        return words
                except (RunError, RolloutError):
                    continue  # there is another way, and in the end the command
        if not pods:
            return self._show("message", run.run_id)
        return f"its log says why: `kubectl logs --namespace {self._namespace} --container main {pods[0]}`"

    def _kubernetes_log(self, _run_id: str, pod: str) -> str:
        query = {"container": "main", "tailLines": TAIL}
        answer = rollout.Cluster().ask("get", rollout.PODS, self._namespace, f"{pod}/log", **query)
        return str(answer.data.decode(errors="replace"))

    def _argo(self, run_id: str, what: str) -> str:
        """What Argo says of the Workflow (`message`), or of those of its nodes that wait; empty when it is not told."""
        try:
            cluster = rollout.Cluster()
            found = cluster.ask("list", WORKFLOWS, self._namespace, labelSelector=f"pipeline/runid={run_id}")
            statuses = [each.get("status", {}) for each in json.loads(found.data)["items"]]
        except (RolloutError, ValueError, LookupError, TypeError, AttributeError):
            return ""  # the command is told instead
        if what == "message":
            said = [status.get("message", "") for status in statuses]
        else:
            nodes = [node for status in statuses for node in (status.get("nodes") or {}).values()]
            said = [node.get("message", "") for node in nodes if node.get("phase") in {"Pending", "Error"}]
        return next((" ".join(str(each).split())[:500] for each in said if each), "")

    def _show(self, what: str, run_id: str) -> str:
        return (
            f"the service does not say why, but `kubectl get workflows --namespace {self._namespace} --selector "
            f"pipeline/runid={run_id} --output jsonpath='{{.items[*].status.{what}}}'` does"
        )
