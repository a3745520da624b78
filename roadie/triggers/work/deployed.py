"""What is deployed where, as the GitOps repository said when it was last read; for the page, and for runs' commits."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from roadie.errors import RoadieError
from roadie.triggers.config import GitOps
from roadie.triggers.journal.journal import Journal
from roadie.triggers.times import utc_now

if TYPE_CHECKING:
    from roadie.gitops import Deployment

_log = logging.getLogger(__name__)
_RUN = "Roadie-Run"


class Deployed:
    """The deployments in memory, refreshed in the background.

    Attributes:
        rows: Every model in every environment; those of the last time that the repository could be read.
        at: When that was; None before the first time.
        error: Why it could not be read since; empty when it could.
    """

    def __init__(self, config: GitOps, journal: Journal, clock: Callable[[], datetime] = utc_now) -> None:
        self._config, self._journal, self._clock = config, journal, clock
        self._lock = threading.Lock()
        self.rows: Sequence[Deployment] = ()
        self.at: datetime | None = None
        self.error = ""

    def refresh(self) -> None:
        """Read the repository, and note the commits that name a run of the journal. Never raises RoadieError."""
        from roadie import gitops

        config = self._config
        with self._lock:
            try:
                self.rows = gitops.status(config.repository, config.environments, branch=config.branch)
                self.at, self.error = self._clock(), ""
                for row in sorted(self.rows, key=lambda row: row.time):
                    self._note(row)
            except RoadieError as error:
                self.error = str(error)
                _log.warning("deployments not read", extra={"fields": {"why": error}})

    def _note(self, row: "Deployment") -> None:
        """Note the row's commit, and what it deployed, with the run that it names."""
        if run_id := next(iter(row.trailers.get(_RUN, ())), ""):
            self._journal.note_deployed(run_id, row.commit, row.version, row.digest)
