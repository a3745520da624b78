"""What to set, and what that makes of the files of a commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadie.errors import GitOpsError
from roadie.gitops.checks import check_file, check_message, check_value
from roadie.gitops.history import SET
from roadie.gitops.remote import Entry
from roadie.gitops.repository import Repository
from roadie.gitops.values import get_scalar, has_key, set_scalar


@dataclass(frozen=True)
class Edit:
    """One value to set: under `key` (see keypath) of `file`, a path inside the repository.

    `only_if_present` skips the edit where the key is missing, `create_missing` adds it there. `expected` is what must
    stand there now, unless `value` does already; where something else does, nothing is committed.
    """

    file: str
    key: str
    value: str
    only_if_present: bool = False
    create_missing: bool = False
    expected: str | None = None

    def __post_init__(self) -> None:
        check_file(self.file)
        check_value(self.key, self.value)

    @property
    def record(self) -> str:
        """The edit as its commit's trailer names it."""
        return f"{self.file}:{self.key}={self.value}"


@dataclass(frozen=True)
class Plan:
    """What is about to be done to a commit: the files with their new bytes, and the edits that hold in them."""

    files: dict[str, tuple[Entry, bytes]]
    edits: tuple[Edit, ...]

    @property
    def records(self) -> list[str]:
        """The edits as their commit's trailers name them."""
        return [edit.record for edit in self.edits]


class UnexpectedValueError(GitOpsError):
    """Something else stands there than was expected."""


def plan(repository: Repository, tip: str, edits: Sequence[Edit]) -> Plan:
    """Read the files at `tip` and apply `edits` to them, all or none."""
    entries = repository.find(tip, sorted({edit.file for edit in edits}))
    before = {file: repository.read(entry) for file, entry in entries.items()}
    after = dict(before)
    for edit in edits:
        if edit.file not in after:
            raise GitOpsError(f"{repository.name} has no {edit.file} on {repository.branch}; check the path")
    try:
        held = tuple(edit for edit in edits if not edit.only_if_present or has_key(before[edit.file], edit.key))
        for edit in held:
            after[edit.file] = apply(after[edit.file], edit)
    except UnexpectedValueError:
        raise
    except GitOpsError as error:
        raise GitOpsError(f"{edit.file}: {error}") from None
    files = {file: (entries[file], after[file]) for file in after if after[file] != before[file]}
    return Plan(files, held)


def apply(text: bytes, edit: Edit) -> bytes:
    """The file with `edit` made in it; itself when it holds the value already."""
    current = get_scalar(text, edit.key)
    if current == edit.value:
        return text
    if edit.expected is not None and current != edit.expected:
        raise UnexpectedValueError(
            f"{edit.file}:{edit.key} is {current} by now, not {edit.expected}; nothing was changed, look again"
        )
    return set_scalar(text, edit.key, edit.value, create_missing=edit.create_missing)


def compose(message: str, edits: Sequence[Edit], trailers: Mapping[str, str]) -> str:
    """`message` with the first edit's {file}, {key} and {value} filled in, then the trailers."""
    first = edits[0]
    text = message or "Set {key} to {value} in {file}"
    for name, value in (("file", first.file), ("key", first.key), ("value", first.value)):
        text = text.replace("{" + name + "}", value)
    lines = [f"{key}: {value}" for key, value in trailers.items()]
    lines += [f"{SET}: {edit.record}" for edit in edits]
    return check_message(text) + "\n\n" + "\n".join(lines) + "\n"
