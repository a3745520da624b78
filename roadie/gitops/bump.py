"""Set values in a GitOps repository by one commit, whoever else pushes meanwhile."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_file, check_message, check_trailers, check_value
from roadie.gitops.failures import LostRaceError, UnreachableError
from roadie.gitops.history import SET, judge
from roadie.gitops.repository import Entry, Repository
from roadie.gitops.signature import Signature
from roadie.gitops.values import get_scalar, set_scalar


@dataclass(frozen=True)
class Edit:
    """One value to set: under `key` (see keypath) of `file`, a path inside the repository.

    `only_if_present` skips the edit where the key is missing; `create_missing` adds it there.
    """

    file: str
    key: str
    value: str
    only_if_present: bool = False
    create_missing: bool = False

    def __post_init__(self) -> None:
        check_file(self.file)
        check_value(self.key, self.value)

    @property
    def record(self) -> str:
        """The edit as its commit's trailer names it."""
        return f"{self.file}:{self.key}={self.value}"


@dataclass(frozen=True)
class Bumped:
    """What a bump did; `commit` is the new one, or when not `changed` the one that is there."""

    changed: bool
    commit: str
    branch: str
    files: tuple[str, ...] = ()
    review: str | None = None
    diff: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Deployed:
    """What a branch holds under a key (None: nothing), and the commit that was read."""

    value: str | None
    commit: str


def bump(
    repo: str,
    edits: Sequence[Edit],
    *,
    branch: str = "main",
    message: str = "",
    trailers: Mapping[str, str] = {},
    author: str = "",
    signing_key: str = "",
    again: bool = False,
    access: Access | None = None,
    budget: float = 120.0,
) -> Bumped:
    """Set all `edits` in one commit on `branch` of `repo` (a path or URL) and push it.

    A lost race is answered by fetching and editing anew until `budget` seconds are over. No commit is made where the
    values are there already, or where a run with a later `Roadie-Started` among its trailers has set one of them.
    A version that was rolled back is refused, unless `again`.

    Raises:
        UsageError: a value, file, branch, URL, message or trailer is not acceptable; nothing was tried.
        GitOpsError: nothing was pushed; the message says why and what to do.
    """
    if not edits:
        raise UsageError("there is nothing to set; give at least one edit")
    check_trailers(trailers)
    signature = Signature(author, signing_key)
    ours = ""
    with Repository(repo, branch, access) as repository:
        for _ in tries(budget):
            try:
                tip = repository.fetch()
                if ours and repository.contains(ours, tip):
                    break
                todo = plan(repository, tip, edits)
                if not todo.files:
                    return Bumped(False, tip, branch, reason="the values are there already")
                verdict = judge(repository.log(tip), todo.records, trailers, again=again)
                if verdict and verdict.refused:
                    raise GitOpsError(verdict.reason)
                if verdict:
                    return Bumped(False, verdict.commit, branch, reason=verdict.reason)
                ours = repository.commit(tip, todo.files, compose(message, todo.edits, trailers), signature)
                repository.push(ours)
                break
            except (LostRaceError, UnreachableError) as error:
                lost: GitOpsError = error
        else:
            raise GitOpsError(f"gave up on pushing to {repo} after {budget:.0f} s, because {lost}")
        return Bumped(True, ours, branch, tuple(sorted(todo.files)), diff=repository.diff(f"{ours}^", ours))


def read_value(repo: str, file: str, key: str, *, branch: str = "main", access: Access | None = None) -> Deployed:
    """What `branch` of `repo` holds in `file` under `key`; None when the file or the key is missing."""
    check_file(file)
    with Repository(repo, branch, access) as repository:
        tip = repository.fetch()
        entry = repository.find(tip, [file]).get(file)
        return Deployed(get_scalar(repository.read(entry), key) if entry else None, tip)


@dataclass(frozen=True)
class Plan:
    """What a bump is about to do to a commit: the files with their new bytes, and the edits that hold in them."""

    files: dict[str, tuple[Entry, bytes]]
    edits: tuple[Edit, ...]

    @property
    def records(self) -> list[str]:
        """The edits as their commit's trailers name them."""
        return [edit.record for edit in self.edits]


def plan(repository: Repository, tip: str, edits: Sequence[Edit]) -> Plan:
    """Read the files at `tip` and apply `edits` to them, all or none."""
    entries = repository.find(tip, sorted({edit.file for edit in edits}))
    before = {file: repository.read(entry) for file, entry in entries.items()}
    after = dict(before)
    held = []
    for edit in edits:
        if edit.file not in after:
            raise GitOpsError(f"{repository.repo} has no {edit.file} on {repository.branch}; check the path")
        try:
            current = get_scalar(after[edit.file], edit.key)
            if current is None and edit.only_if_present:
                continue
            held.append(edit)
            if current != edit.value:
                after[edit.file] = set_scalar(
                    after[edit.file], edit.key, edit.value, create_missing=edit.create_missing
                )
        except GitOpsError as error:
            raise GitOpsError(f"{edit.file}: {error}") from None
    files = {file: (entries[file], after[file]) for file in after if after[file] != before[file]}
    return Plan(files, tuple(held))


def compose(message: str, edits: Sequence[Edit], trailers: Mapping[str, str]) -> str:
    """`message` with the first edit's {file}, {key} and {value} filled in, then the trailers."""
    first = edits[0]
    text = message or "Set {key} to {value} in {file}"
    for name, value in (("file", first.file), ("key", first.key), ("value", first.value)):
        text = text.replace("{" + name + "}", value)
    lines = [f"{key}: {value}" for key, value in trailers.items()]
    lines += [f"{SET}: {edit.record}" for edit in edits]
    return check_message(text) + "\n\n" + "\n".join(lines) + "\n"


def tries(budget: float) -> Iterator[int]:
    """Count tries until `budget` seconds are over, waiting between them for longer and longer, at random.

    The wait grows with the time that a try takes, so that many who race for one branch spread out.
    """
    start = time.monotonic()
    number, began = 0, start
    while True:
        yield number
        number += 1
        now = time.monotonic()
        wait = random.uniform(0, min(now - began, 2.0) * min(2**number, 16))  # noqa: S311 - jitter
        if now - start + wait > budget:
            return
        time.sleep(wait)
        began = time.monotonic()
