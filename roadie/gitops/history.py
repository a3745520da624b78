"""What earlier commits say in their trailers, and what follows for a commit that is about to be made."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# What a commit deployed, and where.
MODEL, ENVIRONMENT, VERSION, DIGEST = "Roadie-Model", "Roadie-Environment", "Roadie-Version", "Roadie-Digest"
# What a commit set, as `file:key=value`, one trailer each; and what a rollback took back.
SET = "Roadie-Set"
ROLLED_BACK = "Roadie-Rolled-Back"
# Which run made the commit, and when that run started (ISO 8601).
RUN = "Roadie-Run"
STARTED = "Roadie-Started"

_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40})", re.MULTILINE)


@dataclass(frozen=True)
class Commit:
    """A commit of the history: its id, when it was made (Unix seconds), its message, its parent where it was asked."""

    sha: str
    time: int
    message: str
    parent: str = ""

    @property
    def trailers(self) -> dict[str, list[str]]:
        """The last paragraph's `Key: value` lines (git-interpret-trailers(1)); a key may be repeated."""
        found: dict[str, list[str]] = {}
        for line in self.message.strip().rpartition("\n\n")[2].splitlines():
            key, colon, value = line.partition(": ")
            if colon and re.fullmatch(r"[A-Za-z0-9-]+", key):
                found.setdefault(key, []).append(value.strip())
        return found


@dataclass(frozen=True)
class Verdict:
    """Why no commit is to be made: `commit` is the one that says so; `refused` when that is a failure."""

    commit: str
    reason: str
    refused: bool = False


def time_of(text: str) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone; None when it is not one."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def judge(
    commits: Iterable[Commit], records: Sequence[str], trailers: Mapping[str, str], *, again: bool = False
) -> Verdict | None:
    """Whether `commits` (newest first) forbid one that sets `records` (`file:key=value`); None when they do not.

    They do when the same run has made it already (it was killed after its push), when a run that started later
    has set one of the keys, and when one of the records was rolled back; `again` lifts the last.
    """
    mine = time_of(trailers.get(STARTED, ""))
    open_records, open_keys = set(records), {_key(record) for record in records}
    reverted: set[str] = set()
    for commit in commits:
        theirs = commit.trailers
        done = set(theirs.get(SET, []))
        if trailers.get(RUN) in theirs.get(RUN, []) and done.issuperset(records):
            return Verdict(commit.sha, f"this run made commit {commit.sha[:10]} already")
        bad = open_records.intersection(done if commit.sha in reverted else theirs.get(ROLLED_BACK, []))
        if bad and not again:
            reason = f"{bad.pop()} was rolled back by a commit since; train a new version, or insist on this one"
            return Verdict(commit.sha, reason, refused=True)
        touched = open_keys.intersection(map(_key, done))
        theirs_started = time_of(theirs.get(STARTED, [""])[0])
        if touched and mine and theirs_started and theirs_started > mine:
            return Verdict(commit.sha, f"a run that started later has set {touched.pop()} by {commit.sha[:10]}")
        if commit.sha not in reverted:
            reverted.update(_REVERTS.findall(commit.message))
        # What was set anew since is no longer taken back.
        open_records -= done
    return None


def _key(record: str) -> str:
    """`file:key` of `file:key=value`; a key may hold `=`, a value may not."""
    return record.rpartition("=")[0]
