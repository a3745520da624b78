"""Whether what a branch has held so far forbids a commit that is about to be made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from roadie.gitops.edits import Edit
from roadie.gitops.history import ROLLED_BACK, RUN, SET, STARTED, Commit, started, time_of
from roadie.gitops.past import Past, Row, standing


@dataclass(frozen=True)
class Verdict:
    """Why no commit is to be made: `commit` is the one that says so; `refused` when that is a failure.

    `done` tells that the same run has made its commit already.
    """

    commit: str
    reason: str
    refused: bool = False
    done: bool = False


def judge(
    pasts: Mapping[str, Past],
    edits: Sequence[Edit],
    trailers: Mapping[str, str],
    *,
    again: bool = False,
    now: datetime | None = None,
) -> Verdict | None:
    """Whether the past of the files of `edits` forbids to make them; None when it does not.

    It does when one of the values was taken back since it was set (`again` lifts that), when the same run has made the
    commit already (it was killed after its push), and when a run that started later has set one of the keys. A commit
    is believed what it says of a key only where it changed that key, and a start only where it was before the commit.
    """
    now = now or datetime.now(UTC)
    mine = time_of(trailers.get(STARTED, ""))
    rows = {edit: pasts[edit.file].rows(edit.key) for edit in edits if _may_matter(pasts[edit.file], edit, trailers)}
    if not again:
        for edit, theirs in rows.items():
            # A digest goes with its version; that it came and went says nothing.
            if not edit.only_if_present and edit.value in standing(theirs, edit.key).bad:
                reason = (
                    f"{edit.record} was rolled back by a commit since; train a new version, or insist on this one"
                    " (roadie gitops bump --again)"
                )
                return Verdict(theirs[0].commit.sha, reason, refused=True)
    records = {edit.record for edit in edits}
    for edit, theirs in rows.items():
        for row in theirs:
            if row.value == edit.value and _is_of(row, trailers.get(RUN), records):
                return Verdict(row.commit.sha, f"this run made commit {row.commit.sha[:10]} already", done=True)
    for edit, theirs in rows.items():
        for row in theirs:
            begun = started(row.trailers, row.commit.time, now)
            if mine and begun and begun > mine:
                place = edit.record.rpartition("=")[0]
                return Verdict(row.commit.sha, f"a run that started later has set {place} by {row.commit.sha[:10]}")
    return None


def _is_of(row: Row, run: str | None, records: set[str]) -> bool:
    return run in row.trailers.get(RUN, ()) and records.issubset(row.trailers.get(SET, ()))


def _may_matter(past: Past, edit: Edit, trailers: Mapping[str, str]) -> bool:
    """Whether it is worth to read the file as it was at each of its changes: for a new version hardly ever."""
    commits = [step.commit for step in past.steps]
    merged = any(len(commit.parents) > 1 for commit in commits)
    return merged or past.mentions(edit.value) or suspicious(commits, [edit], trailers)


def suspicious(commits: Iterable[Commit], edits: Sequence[Edit], trailers: Mapping[str, str]) -> bool:
    """Whether a message, be it believed or not, speaks of one of the edits, or of its key in a later run."""
    mine, run = time_of(trailers.get(STARTED, "")), trailers.get(RUN)
    places = {edit.record.rpartition("=")[0] + "=" for edit in edits}
    records = {edit.record for edit in edits}
    for commit in commits:
        if "Roadie-" not in commit.message:
            continue
        for group in commit.told:
            set_there = {*group.get(SET, ()), *group.get(ROLLED_BACK, ())}
            begun = time_of(next(iter(group.get(STARTED, ())), ""))
            later = mine and begun and begun > mine
            if set_there & records or (run and run in group.get(RUN, ())):
                return True
            if later and any(record.rpartition("=")[0] + "=" in places for record in set_there):
                return True
    return False
