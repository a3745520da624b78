"""`{name}` in the values of `parameters`: which names there are, and what stands in their place.

A name is one of :data:`roadie.triggers.config.NAMES` or `labels.NAME`; a brace that means itself is doubled.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|(?P<stray>[{}])")
# Prometheus' data model, "Metric names and labels".
# The host may be followed by a port.
_ENDS_A_HOST = re.compile(r"\b(?:https?|ssh|git)://[^/?#\s]*\{[^{}]*\}(?::\d*)?(?:[/?#]|$)")
_LABEL = re.compile(r"labels\.[a-zA-Z_][a-zA-Z0-9_]*")


def names_in(value: Any) -> Iterator[str]:
    """The names in the text of `value`, also deep inside it; "{" or "}" for a brace that has no partner."""
    for text in _texts(value):
        for found in _PLACEHOLDER.finditer(text):
            if found["stray"]:
                yield found["stray"]
            elif found["name"] is not None:
                yield found["name"]


def is_label(name: str) -> bool:
    """Whether `name` is one of an alert's labels, as `labels.severity`."""
    return bool(_LABEL.fullmatch(name))


def ends_a_host(value: Any) -> bool:
    """Whether a text in `value` is an address whose host ends in a name: `https://git.{labels.region}/x`."""
    return any(_ENDS_A_HOST.search(text) for text in _texts(value))


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """`value` with the names in its text replaced by `values`; a name that is not among them becomes empty."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _meaning(found, values), value)
    if isinstance(value, Mapping):
        return {key: fill(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, values) for each in value]
    return value


def _meaning(found: re.Match[str], values: Mapping[str, str]) -> str:
    # A doubled brace is a brace.
    return found[0][0] if found["name"] is None else values.get(found["name"], "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
