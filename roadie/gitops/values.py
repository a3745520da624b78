"""Read and set one scalar of a YAML file, leaving every other byte as it is.

The scalar's own bytes are replaced in the text, the result is parsed again, and the parse events of both must
be the same but for that scalar. What cannot be proved that way is refused with a reason.
"""

from collections.abc import Sequence
from typing import NoReturn

from roadie.errors import GitOpsError
from roadie.gitops.events import MAX_BYTES, Event, ends, parse
from roadie.gitops.keypath import KeyPath, Match, Step, parse_path

_BOM = "\ufeff"


def get_scalar(text: bytes, path: str) -> str | None:
    """The scalar at `path` as it is written (`1.10` stays `1.10`); None when it is null or not there.

    Raises:
        GitOpsError: the file cannot be read safely, or `path` leads to a map or a list.
    """
    file = _File(text, parse_path(path))
    at = file.find()
    if at is None or file.events[at].is_null:
        return None
    return file.scalar(at).value


def has_key(text: bytes, path: str) -> bool:
    """Whether something stands at `path`, be it null."""
    return _File(text, parse_path(path)).find() is not None


def entries(text: bytes, path: str) -> dict[str, str]:
    """The entries of the map or list of maps at `path`: each one's own path by its key, or by its `name` in a list."""
    file = _File(text, parse_path(path))
    at = file.find()
    return {} if at is None else file.entries(at)


def set_scalar(text: bytes, path: str, value: str, *, create_missing: bool = False) -> bytes:
    """The file with the scalar at `path` replaced by `value` in double quotes; no other byte changes.

    `create_missing` adds the last key of `path` to its map, below the last one-line scalar there.

    Raises:
        GitOpsError: the change cannot be made, or not be proved to touch that scalar alone.
    """
    file = _File(text, parse_path(path))
    at = file.find()
    file.refuse_shared()
    if at is not None:
        start, end = file.span(at)
        new = " " * (start == end) + quoted(value)  # An empty value's place is right at its colon.
        removed, inserted = 1, [value]
    elif create_missing:
        start, at, new, inserted = file.room_for_a_key(value)
        end, removed = start, 0
    else:
        file.refuse("there is no such key; check the path, or add the key to the file first")
    result = file.text[:start] + new + file.text[end:]
    file.prove(result, at, removed, inserted)
    return (file.bom + result).encode()


def quoted(value: str) -> str:
    """`value` as a double-quoted scalar, which YAML 1.1 and 1.2 both read back as the same string."""
    if not value.isprintable():
        raise GitOpsError(f"the value {value[:80]!r} holds control characters; give printable text")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _File:
    """One values file as text and events, and the one path that is asked for."""

    def __init__(self, data: bytes, path: KeyPath) -> None:
        self.path = path
        if len(data) > MAX_BYTES:
            self.refuse(f"the file has {len(data)} bytes, over the limit of {MAX_BYTES}; split it")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse("the file is not UTF-8; save it as UTF-8")
        self.bom = _BOM if text.startswith(_BOM) else ""
        self.text = text.removeprefix(_BOM)
        self.events = self._parse(self.text)
        self.ends = ends(self.events)
        self.trail: list[int] = []

    def refuse(self, reason: str) -> NoReturn:
        raise GitOpsError(f"{self.path.text}: {reason}")

    def _parse(self, text: str) -> list[Event]:
        try:
            return parse(text)
        except GitOpsError as error:
            self.refuse(str(error))

    def find(self) -> int | None:
        """The event that `path` leads to, None when it is not there; `trail` is the way as far as it goes."""
        at: int | None = self._document()
        for step in self.path.steps:
            if at is None:
                return None
            self.trail.append(at)
            at = self._child(at, step)
        if at is not None:
            self.trail.append(at)
        return at

    def _document(self) -> int:
        starts = [index for index, event in enumerate(self.events) if event.kind == "document"]
        wanted = self.path.document
        if len(starts) > 1 and wanted is None:
            self.refuse(f"the file holds {len(starts)} documents; start the key with #0. for the first, and so on")
        if (wanted or 0) >= len(starts):
            self.refuse(f"the file holds {len(starts)} documents, not this one; check the path")
        return starts[wanted or 0] + 1

    def _child(self, at: int, step: Step) -> int | None:
        if self.events[at].kind == "alias":
            self.refuse("the path leads through an alias (*); write out what it stands for first")
        if isinstance(step, str):
            return self._value(at, step)
        if self.events[at].kind != "list":
            self.refuse("the path expects a list where the file has none; check the path")
        items = self._children(at)
        if isinstance(step, int):
            return items[step] if step < len(items) else None
        found = [item for item in items if self._holds(item, step)]
        if len(found) > 1:
            self.refuse(f"several elements of the list have {step.key}={step.value}; make them unique")
        return found[0] if found else None

    def _children(self, at: int) -> list[int]:
        children, index = [], at + 1
        while index < self.ends[at] - 1:
            children.append(index)
            index = self.ends[index]
        return children

    def _holds(self, item: int, step: Match) -> bool:
        if self.events[item].kind != "map":
            return False
        value = self._value(item, step.key)
        return value is not None and self.events[value].value == step.value

    def _value(self, at: int, key: str) -> int | None:
        if self.events[at].is_null:
            return None
        if self.events[at].kind != "map":
            self.refuse(f"the path expects a map that holds {key!r} where the file has none; check the path")
        children = self._children(at)
        keys = [self.events[child].value for child in children[::2]]
        if keys.count(key) > 1:
            self.refuse(f"the key {key!r} stands there more than once; remove the duplicate")
        if key in keys:
            return children[keys.index(key) * 2 + 1]
        if "<<" in keys:
            self.refuse(f"the key {key!r} may come from a merge (<<); write it out first")
        return None

    def entries(self, at: int) -> dict[str, str]:
        """Path by name, of what the node at `at` holds."""
        children = self._children(at)
        if self.events[at].kind == "map":
            names = [self.events[child].value or "" for child in children[::2]]
            return {name: f"{self.path.text}.{_step(name)}" for name in names}
        named = {}
        for child in children:
            name = self._value(child, "name") if self.events[child].kind == "map" else None
            if name is not None:
                value = self.events[name].value or ""
                named[value] = f"{self.path.text}[name={value}]"
        return named

    def refuse_shared(self) -> None:
        """Refuse when an alias elsewhere refers to a step on the way: setting it would change both."""
        aliases = {event.meaning.anchor for event in self.events if event.kind == "alias"}
        for at in self.trail:
            anchor = self.events[at].meaning.anchor
            if anchor in aliases and self.events[at].kind != "alias":
                self.refuse(f"the anchor &{anchor} on its way is used elsewhere too; write the value out first")

    def scalar(self, at: int) -> Event:
        event = self.events[at]
        if event.kind != "scalar":
            self.refuse("the path leads to a map, a list, an alias or an unquoted template, not to a value; check it")
        return event

    def span(self, at: int) -> tuple[int, int]:
        """Where in the text the scalar's own characters start and end, once that is certain."""
        event = self.scalar(at)
        style, value = event.meaning.style, event.value or ""
        if event.meaning.anchor or event.meaning.tag:
            self.refuse("the value has an anchor (&) or a tag (!); remove it first")
        if event.line != event.last_line or style in ("|", ">"):
            self.refuse("the value is a block or spans several lines; write it on one line first")
        if "{{" in value:
            self.refuse("the value is a template; replace it by a plain one first")
        span = self.text[event.start : event.end]
        whole = span[:1] == span[-1:] == style if style else span == value
        if not whole:
            self.refuse("where the value starts and ends is not certain; quote it first")
        return event.start, event.end

    def room_for_a_key(self, value: str) -> tuple[int, int, str, list[str]]:
        """Where the last key goes: text position, event index, text to insert, scalars that this adds."""
        key, parent = self.path.steps[-1], self.trail[-1]
        children = self._children(parent)
        if len(self.trail) < len(self.path.steps):
            self.refuse("the map that should hold this key is not there; check the path, or add the map by hand")
        is_block_map = self.events[parent].kind == "map" and not self.events[parent].meaning.flow
        if not isinstance(key, str) or not is_block_map or not children:
            self.refuse("there is no such key, and none can be added here; add it to the file by hand")
        entry = _step(key) + ": " + quoted(value)
        indent = " " * self.events[children[0]].column
        for first, last in reversed(list(zip(children[::2], children[1::2], strict=True))):
            event = self.events[last]
            line_end = self.text.find("\n", event.end) + 1
            one_line = event.kind == "scalar" and event.meaning.style not in ("|", ">")
            if one_line and line_end and self.events[first].line == event.last_line:
                ending = "\r\n" if self.text[line_end - 2] == "\r" else "\n"
                return line_end, last + 1, indent + entry + ending, [key, value]
        first = children[0]
        return self.events[first].start, first, f"{entry}\n{indent}", [key, value]

    def prove(self, result: str, at: int, removed: int, inserted: Sequence[str]) -> None:
        """Parse `result`: its events must be the old ones but for the inserted scalars, the last quoted."""
        events = self._parse(result)
        new = events[at : at + len(inserted)]
        old = self.events[:at] + self.events[at + removed :]
        kept = events[:at] + events[at + len(inserted) :]
        same = [event.meaning for event in old] == [event.meaning for event in kept]
        if not same or [event.value for event in new] != [*inserted] or new[-1].meaning.style != '"':
            self.refuse("the change would touch more than this value; simplify the file around it first")


def _step(key: str) -> str:
    """A key as a path or a file needs it: in quotes unless it is plain letters."""
    return key if key.replace("_", "").replace("-", "").isalnum() and key[:1].isalpha() else quoted(key)
