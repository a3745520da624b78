"""The journal: every event, what was decided about it, and the run that came of it, in one SQLite file."""

from pathlib import Path

from roadie.triggers.rows import Entry, RunRow


class Journal:
    """The journal at a path. Its methods may be called from any thread; each raises TriggerError when it fails."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def timeline(self, limit: int, before: int | None = None, model: str = "") -> list[Entry]:
        """The newest `limit` entries, newest first: those with an id below `before`, those that concern `model`."""
        raise NotImplementedError

    def runs(self, model: str = "", limit: int = 20) -> list[RunRow]:
        """The newest `limit` intents that were not held back, newest first, of one model or of all."""
        raise NotImplementedError
