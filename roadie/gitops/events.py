"""A YAML file as its list of parse events: with anchors, aliases and positions, which parsed objects lack."""

from typing import Any, NamedTuple

import yaml

from roadie.errors import GitOpsError, why_no_yaml

MAX_BYTES = 1 << 20
MAX_DEPTH = 100

# libyaml's parser is ten times as fast as the one in Python, and gives the same events and positions.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KINDS = {
    yaml.DocumentStartEvent: "document",
    yaml.MappingStartEvent: "map",
    yaml.SequenceStartEvent: "list",
    yaml.ScalarEvent: "scalar",
    yaml.AliasEvent: "alias",
    yaml.MappingEndEvent: "end",
    yaml.SequenceEndEvent: "end",
}


class Meaning(NamedTuple):
    """What an event says: two files with equal meanings differ in white space and comments only."""

    kind: str
    value: str | None
    style: str | None
    anchor: str | None
    tag: str | None
    implicit: object
    flow: object
    rest: object


class Event(NamedTuple):
    """One parse event; positions are in characters, lines and columns count from 0."""

    meaning: Meaning
    start: int
    end: int
    line: int
    last_line: int
    column: int

    @property
    def kind(self) -> str:
        """One of document, map, list, scalar, alias, end, or another event's class name."""
        return self.meaning.kind

    @property
    def value(self) -> str | None:
        """A scalar's text as YAML reads it; None for all else."""
        return self.meaning.value

    @property
    def is_null(self) -> bool:
        """Whether this is a scalar that YAML's core schema resolves to null (YAML 1.2.2, section 10.3.2)."""
        plain = self.kind == "scalar" and not self.meaning.style and not self.meaning.tag
        return plain and self.value in {"", "~", "null", "Null", "NULL"}


def parse(text: str) -> list[Event]:
    """The events of `text`. GitOpsError when it is not YAML, or nests deeper than MAX_DEPTH."""
    events: list[Event] = []
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise GitOpsError(f"the file nests deeper than {MAX_DEPTH} levels; flatten it")
            events.append(_event(event))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else why_no_yaml(error)
        raise GitOpsError(
            f"the file is not plain YAML ({reason}); mend it, and keep templates out of values files"
        ) from None
    return events


def _event(event: Any) -> Event:
    get = vars(event).get
    meaning = Meaning(
        kind=_KINDS.get(type(event), type(event).__name__),
        value=get("value"),
        style=get("style"),
        anchor=get("anchor"),
        tag=get("tag"),
        implicit=get("implicit"),
        flow=get("flow_style"),
        rest=(get("explicit"), get("version"), get("tags")),
    )
    start, end = event.start_mark, event.end_mark
    return Event(meaning, start.index, end.index, start.line, end.line, start.column)


def ends(events: list[Event]) -> list[int]:
    """For each event, the index just after the node that it starts."""
    result = list(range(1, len(events) + 1))
    open_nodes: list[int] = []
    for index, event in enumerate(events):
        if event.kind in ("map", "list"):
            open_nodes.append(index)
        elif event.kind == "end":
            result[open_nodes.pop()] = index + 1
    return result
