"""How a run ended, for the places where people look."""

from collections.abc import Iterator
from dataclasses import dataclass

from roadie import rollout
from roadie.errors import NewsError
from roadie.trace.news import plain, post

_LONGEST = 2000


@dataclass(frozen=True)
class Ending:
    """How a run ended: of which model, started by what, its name, its final state, KFP's message of a failure, its id.

    With the id the run's page, its pods and its logs are found; the message often is empty.
    """

    model: str
    trigger: str
    run: str
    state: str
    error: str
    id: str = ""

    @property
    def failed(self) -> bool:
        """Whether it did not end as SUCCEEDED (kfp.local says SUCCESS) or SKIPPED."""
        return self.state not in {"SUCCEEDED", "SUCCESS", "SKIPPED"}

    @property
    def line(self) -> str:
        """The run in one line."""
        started = f", started by {self.trigger}," if self.trigger else ""
        why = f": {' '.join(self.error.split())}" if self.error else ""
        run = f"{self.run} ({self.id})" if self.id else self.run
        return f"{self.model}: run {run}{started} ended {self.state}{why}"


def report_end(ending: Ending, *, webhook: str = "", target: rollout.Target | None = None) -> Iterator[str]:
    """Tell of the end where it was asked for; gives the line for the log, and a sentence about each place that failed.

    A report that cannot be delivered does not fail the run that it is about.

    Args:
        ending: What to tell.
        webhook: An address that takes JSON with a `text`, as Slack, Mattermost and Teams do; it is a secret.
        target: The InferenceService that gets an Event.
    """
    yield ending.line
    if webhook:
        facts = {
            "text": plain(ending.line, _LONGEST),
            "model": ending.model,
            "run": ending.run,
            "id": ending.id,
            "state": ending.state,
        }
        try:
            post(webhook, facts)
        except NewsError as error:
            yield f"the webhook{error.what}"
    if target and target.inference_service:
        kind, reason = ("Warning", "RoadieRunFailed") if ending.failed else ("Normal", "RoadieRunSucceeded")
        if problem := rollout.record_event(target, reason=reason, message=ending.line, type=kind):
            yield problem
