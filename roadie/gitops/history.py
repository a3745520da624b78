"""What a commit says in its trailers, wherever they stand in its message."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# What a commit deployed, and where.
MODEL, ENVIRONMENT, VERSION, DIGEST = "Roadie-Model", "Roadie-Environment", "Roadie-Version", "Roadie-Digest"
# What a commit set, as `file:key=value`, one trailer each; and what a rollback took back, and why.
SET = "Roadie-Set"
ROLLED_BACK = "Roadie-Rolled-Back"
REASON = "Roadie-Reason"
# Where a promotion took the version from.
PROMOTED_FROM = "Roadie-Promoted-From"
# Which run made the commit, and when that run started (ISO 8601).
RUN = "Roadie-Run"
STARTED = "Roadie-Started"

# What is about one commit, and not about the version that it deploys.
_OF_ONE_COMMIT = {MODEL, ENVIRONMENT, RUN, STARTED, SET, ROLLED_BACK, REASON, PROMOTED_FROM}
# A message says each of these once: said again, and otherwise, it is about another commit that was squashed into it.
_SINGLE = {MODEL, ENVIRONMENT, VERSION, DIGEST, RUN, STARTED}
_TRAILER = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9-]*): +(\S.*?)\s*")

Trailers = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Commit:
    """A commit of the history: its id, when it was made (Unix seconds), its message, its parents."""

    sha: str
    time: int
    message: str
    parents: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The message's first line."""
        return self.message.strip().partition("\n")[0]

    @property
    def told(self) -> list[dict[str, list[str]]]:
        """The trailers (`Key: value` lines; a key may be repeated) of each commit that the message is about.

        They stand in any paragraph that has a `Roadie-` line: buttons that squash add paragraphs, indent, and put the
        messages of several commits into one.
        """
        groups: list[dict[str, list[str]]] = []
        for paragraph in re.split(r"\n\s*\n", self.message.replace("\r\n", "\n")):
            found = _trailers(paragraph)
            if not any(key.startswith("Roadie-") for key in found):
                continue
            if not groups or any(groups[-1].get(key, found[key]) != found[key] for key in _SINGLE & found.keys()):
                groups.append({})
            for key, values in found.items():
                mine = groups[-1].setdefault(key, [])
                mine += [value for value in values if value not in mine]
        return groups

    def told_of(self, record: str) -> dict[str, list[str]]:
        """The trailers of the one who set `record` (`file:key=value`), or else deployed that version; none by others.

        The caller has seen that the commit did so: anybody can write anything into a message.
        """
        value = record.rpartition("=")[2]
        groups = self.told
        by_record = [group for group in groups if record in group.get(SET, ())]
        by_version = [group for group in groups if SET not in group and group.get(VERSION) == [value]]
        return next(iter(by_record or by_version), {})

    def rolled_back(self, place: str) -> set[str]:
        """The values of `place` (`file:key`) that the message says were taken back."""
        records = [record for group in self.told for record in group.get(ROLLED_BACK, ())]
        return {record.rpartition("=")[2] for record in records if record.rpartition("=")[0] == place}


def _trailers(paragraph: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in paragraph.splitlines():
        match = _TRAILER.fullmatch(line)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


def identity(trailers: Trailers) -> dict[str, str]:
    """Of `trailers` those that tell what a version is made of: digest, manifests, data, code, and the like."""
    told = {name: values[0] for name, values in trailers.items() if name.startswith("Roadie-") and values}
    return {name: value for name, value in told.items() if name not in _OF_ONE_COMMIT and value.isprintable()}


def time_of(text: str) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone; None when it is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def started(trailers: Trailers, made: int, now: datetime) -> datetime | None:
    """When the run that made a commit started; None where that would be after the commit (made at `made`) or `now`."""
    time = time_of(next(iter(trailers.get(STARTED, ())), ""))
    try:
        latest = min(now, datetime.fromtimestamp(made, UTC) + timedelta(seconds=1))
    except (OverflowError, ValueError, OSError):
        return None
    return time if time and time <= latest else None
