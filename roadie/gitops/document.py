"""A YAML file as text and events, and where a path leads in it."""

from typing import NoReturn

from roadie.errors import GitOpsError
from roadie.gitops.events import MAX_BYTES, Event, ends, parse
from roadie.gitops.keypath import KeyPath, Match, Step

_BOM = "\ufeff"


class Document:
    """The file and the one path that is asked for. `at` is the path's event, None when it is not there.

    `trail` holds the events on the way to it, as far as it goes, and itself.
    """

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
        self.events = self.parse(self.text)
        self._ends = ends(self.events)
        self.trail: list[int] = []
        self.at = self._find()

    def refuse(self, reason: str) -> NoReturn:
        """Raise GitOpsError with the path and the reason."""
        raise GitOpsError(f"{self.path.text}: {reason}")

    def parse(self, text: str) -> list[Event]:
        """The events of `text`."""
        try:
            return parse(text)
        except GitOpsError as error:
            self.refuse(str(error))

    def _find(self) -> int | None:
        at: int | None = self._start()
        for step in self.path.steps:
            if at is None:
                return None
            self.trail.append(at)
            at = self._child(at, step)
        if at is not None:
            self.trail.append(at)
        return at

    def _start(self) -> int:
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
        items = self.children(at)
        if isinstance(step, int):
            return items[step] if step < len(items) else None
        found = [item for item in items if self._holds(item, step)]
        if len(found) > 1:
            self.refuse(f"several elements of the list have {step.key}={step.value}; make them unique")
        return found[0] if found else None

    def children(self, at: int) -> list[int]:
        """The nodes right under the one at `at`; of a map, keys and values in turn."""
        children, index = [], at + 1
        while index < self._ends[at] - 1:
            children.append(index)
            index = self._ends[index]
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
        children = self.children(at)
        keys = [self.events[child].value for child in children[::2]]
        if keys.count(key) > 1:
            self.refuse(f"the key {key!r} stands there more than once; remove the duplicate")
        if key in keys:
            return children[keys.index(key) * 2 + 1]
        if "<<" in keys:
            self.refuse(f"the key {key!r} may come from a merge (<<); write it out first")
        return None

    def entries(self) -> dict[str, str]:
        """Path by name, of what the map or the list of named maps at the path holds."""
        if self.at is None:
            return {}
        children = self.children(self.at)
        if self.events[self.at].kind == "map":
            names = [self.events[child].value or "" for child in children[::2]]
            return {name: f"{self.path.text}.{step_text(name)}" for name in names}
        places = [self._value(child, "name") for child in children if self.events[child].kind == "map"]
        names = [self.events[place].value or "" for place in places if place is not None]
        return {name: f"{self.path.text}[name={name}]" for name in names}

    def refuse_shared(self) -> None:
        """Refuse when an alias elsewhere refers to a step on the way: setting it would change both."""
        aliases = {event.meaning.anchor for event in self.events if event.kind == "alias"}
        for at in self.trail:
            anchor = self.events[at].meaning.anchor
            if anchor in aliases and self.events[at].kind != "alias":
                self.refuse(f"the anchor &{anchor} on its way is used elsewhere too; write the value out first")

    def scalar(self) -> Event:
        """The scalar at the path."""
        event = self.events[self.trail[-1]]
        if event.kind != "scalar":
            self.refuse("the path leads to a map, a list, an alias or an unquoted template, not to a value; check it")
        return event


def step_text(key: str) -> str:
    """A key as a path or a file needs it: in quotes unless it is plain letters and digits."""
    return key if key.replace("_", "").replace("-", "").isalnum() and key[:1].isalpha() else quoted(key)


def quoted(value: str) -> str:
    """`value` as a double-quoted scalar, which YAML 1.1 and 1.2 both read back as the same string."""
    if not value.isprintable():
        raise GitOpsError(f"the value {value[:80]!r} holds control characters; give printable text")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
