"""What a run came to, told from what its steps gave."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadie.runs.pipeline import Step


@dataclass(frozen=True)
class StepRun:
    """One step of a run. `state` is running, succeeded, failed or skipped; `seconds` is its wall time.

    `task` is its task's key in the compiled pipeline; the turns of a loop share it.
    """

    name: str
    component: str
    state: str
    seconds: float = 0.0
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    log: str = ""
    task: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run came to. Paths are of this machine; what the run did not come to is empty."""

    state: str
    steps: tuple[StepRun, ...]
    folder: Path

    @property
    def failed(self) -> StepRun | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.state == "failed"), None)

    @property
    def decision(self) -> str:
        """What the gate decided: promote, reject, inconclusive or unchanged."""
        return str(self._output("evaluate", "Output"))

    @property
    def reason(self) -> str:
        """Why the gate decided so, in a sentence."""
        return str(self._metadata("evaluate", "metrics").get("reason", ""))

    @property
    def champion(self) -> str:
        """The version that was deployed when the run began."""
        return str(self._output("find-champion", "version"))

    @property
    def version(self) -> str:
        """The version that the run deployed."""
        return str(self._output("push-modelcar", "version"))

    @property
    def image(self) -> str:
        """The image that the run pushed, by digest."""
        return str(self._output("push-modelcar", "image"))

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits that the run made, in their order."""
        bumps = [step.outputs for step in self.steps if step.component.startswith("bump-version")]
        return tuple(str(bump["commit"]) for bump in bumps if bump.get("changed"))

    @property
    def report(self) -> str:
        """The path of the gate's report."""
        artifact = self._output("evaluate", "report")
        return str(artifact.get("path", "")) if isinstance(artifact, Mapping) else ""

    def _output(self, component: str, name: str) -> Any:
        return next((step.outputs.get(name, "") for step in self.steps if step.component == component), "")

    def _metadata(self, component: str, name: str) -> Mapping[str, Any]:
        artifact = self._output(component, name)
        return artifact.get("metadata", {}) if isinstance(artifact, Mapping) else {}

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, for ``--json``."""
        return {
            "state": self.state,
            "decision": self.decision,
            "reason": self.reason,
            "champion": self.champion,
            "version": self.version,
            "image": self.image,
            "commits": list(self.commits),
            "report": self.report,
            "folder": str(self.folder),
            "steps": [
                {
                    "name": step.name,
                    "state": step.state,
                    "seconds": round(step.seconds, 3),
                    "error": step.error,
                    "log": step.log,
                }
                for step in self.steps
            ],
        }


def with_skipped(steps: Iterable[StepRun], declared: Mapping[str, Step]) -> tuple[StepRun, ...]:
    """`steps` in the order they ran, and after them those of `declared` (by task) that never did."""
    ran = list(steps)
    tasks = {step.task for step in ran}
    skipped = [
        StepRun(step.name, step.component, "skipped", task=task) for task, step in declared.items() if task not in tasks
    ]
    return (*ran, *skipped)
