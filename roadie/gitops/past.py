"""What a branch held under a key over time, which of it was taken back, and who set it.

The branch's own history counts, that of the first parents: what a merged branch held was never deployed. Values are
those of the file at each of its changes, and messages only tell what the values bear out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from roadie.errors import GitOpsError
from roadie.gitops.checks import DIGEST
from roadie.gitops.history import DIGEST as DIGEST_TRAILER
from roadie.gitops.history import ROLLED_BACK, Commit, Trailers, identity
from roadie.gitops.keypath import parse_path
from roadie.gitops.repository import Repository, Step
from roadie.gitops.values import get_scalar

# What a values file says before anything was ever deployed.
PLACEHOLDERS = frozenset({None, "", "latest"})
_REVERTS = ("Revert ", "revert: ", "This reverts ", "Reverts ")


@dataclass(frozen=True)
class Row:
    """A value that the branch held for a while: from `commit` on, which has `trailers` about it.

    `last` is the newest change of the file that still held it. `sure` tells whether that commit is known to have set
    the value; it is not where the history was cut. `taken_back` are the values that its messages say were taken back.
    """

    value: str | None
    commit: Commit
    last: Step
    sure: bool
    trailers: Trailers
    taken_back: frozenset[str] = frozenset()


class Past:
    """The changes of one file, from `tip` back, as far as the history was fetched; see `Repository.steps`."""

    def __init__(self, repository: Repository, tip: str, file: str) -> None:
        self._repository, self.file = repository, file
        self.steps = repository.steps(tip, file)
        self._value = cache(self._read)
        self.rows = cache(self._rows)

    @property
    def whole(self) -> bool:
        """Whether nothing lies before the first step."""
        return not any(step.cut for step in self.steps)

    def mentions(self, text: str) -> bool:
        """Whether `text` stands anywhere in the file as it was at some time."""
        return any(text.encode() in self._repository.text(step.after) for step in self.steps if step.after)

    def value_at(self, step: Step, key: str) -> str | None:
        """What `step` left under `key`; None where that cannot be read."""
        try:
            return self._value(step.after, key)
        except GitOpsError:
            return None

    def _rows(self, key: str) -> list[Row]:
        """The values under `key`, newest first; what stood in a file that cannot be read is passed over.

        Raises:
            GitOpsError: the file cannot be read as it is now.
        """
        rows: list[Row] = []
        for step in reversed(self.steps):
            try:
                value = self._value(step.after, key)
            except GitOpsError as error:
                if step is self.steps[0]:
                    raise GitOpsError(f"{self.file}: {error}") from None
                continue
            if rows and rows[-1].value == value:
                rows[-1] = replace(rows[-1], last=step)
            else:
                rows.append(self._row(key, value, step))
        return rows[::-1]

    def _read(self, blob: str, key: str) -> str | None:
        return get_scalar(self._repository.text(blob), key) if blob else None

    def _row(self, key: str, value: str | None, step: Step) -> Row:
        if step.cut:
            return Row(value, step.commit, step, sure=False, trailers={})
        place, record = f"{self.file}:{key}", f"{self.file}:{key}={value}"
        told, taken_back = step.commit.told_of(record), step.commit.rolled_back(place)
        for brought in self._brought(step, key) if len(step.commit.parents) > 1 else ():
            taken_back |= brought.commit.rolled_back(place)
            if not told and self.value_at(brought, key) == value:
                told = brought.commit.told_of(record)
        return Row(value, step.commit, step, True, told, frozenset(taken_back))

    def _brought(self, step: Step, key: str) -> Iterator[Step]:
        """What a merge brought in of commits that set `key`, newest first."""
        for brought in self._repository.brought(step.commit, self.file):
            try:
                if brought.cut or self._value(brought.before, key) != self._value(brought.after, key):
                    yield brought
            except GitOpsError:
                continue


@dataclass(frozen=True)
class Standing:
    """Of the values that a key had, those that could be gone back to, best first; and those that were taken back."""

    good: tuple[str, ...]
    bad: frozenset[str]


def standing(rows: Sequence[Row], key: str) -> Standing:
    """Judge the values of `rows` (newest first). A value that was left for an EARLIER one was taken back.

    It does not matter how: by a rollback, `git revert`, a host's button or by hand; nor where it was said, since the
    values tell. One that was set again since is as good as new. Where `key` does not hold versions, values may come
    and go, and only those count that a message says were reverted.
    """
    versions = parse_path(key).steps[-1] in ("version", "tag", "digest")
    chain: list[str | None] = []
    bad: set[str] = set()
    for row in reversed(rows):
        value = row.value or None
        if value in chain:
            above = chain[chain.index(value) + 1 :]
            del chain[chain.index(value) + 1 :]
            if versions or any(line.startswith(_REVERTS) for line in row.commit.message.splitlines()):
                bad.update(each for each in above if each)
        else:
            chain.append(value)
        bad = (bad | row.taken_back) - {value}
    good = [value for value in chain[-2::-1] if value not in PLACEHOLDERS and value not in bad]
    return Standing(tuple(value for value in good if value), frozenset(bad))


def past_of(repository: Repository, tip: str, file: str, enough: Callable[[Past], bool]) -> Past:
    """The file's past, as far back as it takes until it is `enough`."""
    while True:
        past = Past(repository, tip, file)
        if not past.steps or past.whole or enough(past) or not repository.deepen():
            return past


@dataclass(frozen=True)
class Identity:
    """What a version is made of: its digest ("" when nobody has told it), and the trailers that say so."""

    digest: str
    trailers: dict[str, str]


def identity_of(past: Past, key: str, rows: Sequence[Row], version: str) -> Identity:
    """What `rows` (newest first) of `key`'s version tell about `version`: the newest that tells a digest is right.

    A commit that only went back to a version may say little; the one that deployed it first says all.
    """
    digest = ""
    trailers: dict[str, str] = {}
    for row in (row for row in rows if row.value == version):
        told = identity(row.trailers)
        theirs = past.value_at(row.last, f"{key}.digest") or told.get(DIGEST_TRAILER, "")
        theirs = theirs if DIGEST.fullmatch(theirs) else ""
        if told.get(DIGEST_TRAILER, theirs) != theirs:
            told = {}
        if digest and theirs != digest:
            continue
        digest = digest or theirs
        trailers = {**told, **trailers}
    if digest:
        trailers[DIGEST_TRAILER] = digest
    else:
        trailers.pop(DIGEST_TRAILER, None)
    return Identity(digest, trailers)


def was_rolled_back_to(row: Row) -> bool:
    """Whether the value was set by a rollback."""
    return ROLLED_BACK in row.trailers
