"""Read and set one scalar of a YAML file, leaving every other byte as it is.

The scalar's own bytes are replaced in the text, the result is parsed again, and the parse events of both must
be the same but for that scalar. What cannot be proved that way is refused with a reason.
"""

from typing import NamedTuple

from roadie.gitops.document import Document, quoted, step_text
from roadie.gitops.keypath import parse_path


def get_scalar(text: bytes, path: str) -> str | None:
    """The scalar at `path` as it is written (`1.10` stays `1.10`); None when it is null or not there.

    Raises:
        GitOpsError: the file cannot be read safely, or `path` leads to a map or a list.
    """
    document = Document(text, parse_path(path))
    if document.at is None or document.events[document.at].is_null:
        return None
    return document.scalar().value


def has_key(text: bytes, path: str) -> bool:
    """Whether something stands at `path`, be it null."""
    return Document(text, parse_path(path)).at is not None


def entries(text: bytes, path: str) -> dict[str, str]:
    """The entries of the map or list of maps at `path`: each one's own path by its key, or by its `name` in a list."""
    return Document(text, parse_path(path)).entries()


def set_scalar(text: bytes, path: str, value: str, *, create_missing: bool = False) -> bytes:
    """The file with the scalar at `path` replaced by `value` in double quotes; no other byte changes.

    `create_missing` adds the last key of `path` to its map, below the last one-line scalar there.

    Raises:
        GitOpsError: the change cannot be made, or not be proved to touch that scalar alone.
    """
    document = Document(text, parse_path(path))
    document.refuse_shared()
    if document.at is not None:
        change = _replacement(document, document.at, value)
    elif create_missing:
        change = _addition(document, value)
    else:
        document.refuse("there is no such key; check the path, or add the key to the file first")
    result = document.text[: change.start] + change.text + document.text[change.end :]
    _prove(document, change, result)
    return (document.bom + result).encode()


class _Change(NamedTuple):
    """Text that replaces `start` to `end`, and what it does to the events: at `at`, `removed` give way to `added`."""

    start: int
    end: int
    text: str
    at: int
    removed: int
    added: list[str | None]


def _replacement(document: Document, at: int, value: str) -> _Change:
    """The scalar's own characters give way to the new value, once it is certain which they are."""
    event = document.scalar()
    style, old = event.meaning.style, event.value or ""
    if event.meaning.anchor or event.meaning.tag:
        document.refuse("the value has an anchor (&) or a tag (!); remove it first")
    if event.line != event.last_line or style in ("|", ">"):
        document.refuse("the value is a block or spans several lines; write it on one line first")
    if "{{" in old:
        document.refuse("the value is a template; replace it by a plain one first")
    span = document.text[event.start : event.end]
    whole = span[:1] == span[-1:] == style if style else span == old
    if not whole:
        document.refuse("where the value starts and ends is not certain; quote it first")
    # An empty value's place is right at its colon.
    return _Change(event.start, event.end, " " * (not span) + quoted(value), at, 1, [value])


def _addition(document: Document, value: str) -> _Change:
    """A line of its own for the path's last key, in a map that is there or where nothing is yet."""
    key, parent = document.path.steps[-1], document.events[document.trail[-1]]
    if len(document.trail) < len(document.path.steps):
        document.refuse("the map that should hold this key is not there; check the path, or add the map by hand")
    if isinstance(key, str) and parent.kind == "map" and not parent.meaning.flow:
        return _sibling(document, key, f"{step_text(key)}: {quoted(value)}", value)
    if not isinstance(key, str) or not parent.is_null or parent.start != parent.end:
        document.refuse("there is no such key, and none can be added here; add it to the file by hand")
    return _first_entry(document, key, f"{step_text(key)}: {quoted(value)}", value)


def _sibling(document: Document, key: str, entry: str, value: str) -> _Change:
    children = document.children(document.trail[-1])
    indent = " " * document.events[children[0]].column
    for first, last in reversed(list(zip(children[::2], children[1::2], strict=True))):
        event = document.events[last]
        one_line = event.kind == "scalar" and event.meaning.style not in ("|", ">")
        if one_line and document.events[first].line == event.last_line and "\n" in document.text[event.end :]:
            start, ending = _next_line(document.text, event.end)
            return _Change(start, start, indent + entry + ending, last + 1, 0, [key, value])
    first = children[0]
    start = document.events[first].start
    return _Change(start, start, f"{entry}\n{indent}", first, 0, [key, value])


def _first_entry(document: Document, key: str, entry: str, value: str) -> _Change:
    """The first line of a map in place of an empty value: of a file of just `---`, or of a key without one."""
    at = document.trail[-1]
    indent = " " * (document.events[at - 1].column + 2) if len(document.trail) > 1 else ""
    start, ending = _next_line(document.text, document.events[at].start)
    before = "" if document.text[:start].endswith("\n") else ending
    return _Change(start, start, before + indent + entry + ending, at, 1, [None, key, value, None])


def _next_line(text: str, position: int) -> tuple[int, str]:
    """Where the line after `position` starts, and the line ending that the file uses there."""
    if position and text[position - 1] == "\n":
        return position, "\r\n" if text[:position].endswith("\r\n") else "\n"
    end = text.find("\n", position) + 1
    return end or len(text), "\r\n" if end and text[end - 2] == "\r" else "\n"


def _prove(document: Document, change: _Change, result: str) -> None:
    """Parse `result`: its events must be the old ones but for those that were added, whose scalar is quoted."""
    events = document.parse(result)
    at, count = change.at, len(change.added)
    added = events[at : at + count]
    old = document.events[:at] + document.events[at + change.removed :]
    kept = events[:at] + events[at + count :]
    same = [event.meaning for event in old] == [event.meaning for event in kept]
    styles = [event.meaning.style for event in added if event.kind == "scalar"]
    if not same or [event.value for event in added] != change.added or styles[-1:] != ['"']:
        document.refuse("the change would touch more than this value; simplify the file around it first")
