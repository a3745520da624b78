"""Where runs happen: one interface over a cluster and this machine, for whoever starts runs and follows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from roadie.errors import RunError
from roadie.runs.pipeline import Pipeline

ENDED = frozenset({"succeeded", "failed", "canceled"})


class RunRefusedError(RunError):
    """The engine will never take this run as it is: nothing was created, and to try again is of no use."""


@dataclass(frozen=True)
class Run:
    """A run of a pipeline, wherever it runs.

    Attributes:
        id: The engine's own id of it.
        name: Its display name. Names are not unique to KFP, so whoever needs one run a name has to look first.
        state: pending, running, succeeded, failed or canceled.
        created: When it was created (UTC).
        ended: When it ended; None while it goes on.
        error: Why it failed, in a sentence; may be empty.
        url: Where people look at it; may be empty.
        outcome: What it came to as :meth:`roadie.runs.Outcome.to_dict` tells it, where the engine knows; else empty.
    """

    id: str
    name: str
    state: str
    created: datetime
    ended: datetime | None = None
    error: str = ""
    url: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values, for ``--json``."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "created": self.created.isoformat(),
            "ended": self.ended.isoformat() if self.ended else None,
            "error": self.error,
            "url": self.url,
            "outcome": dict(self.outcome),
        }


class Engine(Protocol):
    """What starts runs. Every method raises RunError when the engine refuses or cannot be reached."""

    def start(
        self, pipeline: Pipeline, name: str, arguments: Mapping[str, Any], *, description: str = "", cache: bool = True
    ) -> Run:
        """Create a run. Whoever must not create two calls :meth:`find` first, and again afterwards.

        Raises:
            RunRefusedError: the pipeline, its arguments or the name are at fault.
            RunError: it may or may not have been created; :meth:`find` tells.
        """
        ...

    def find(self, name: str) -> list[Run]:
        """Every run with this very display name, the oldest first (then by id)."""
        ...

    def look(self, run_id: str) -> Run | None:
        """The run as it is now; None when the engine does not know it any more."""
        ...

    def stop(self, run_id: str) -> None:
        """End the run, if it goes on; its state becomes canceled."""
        ...
