"""Where a value stands in a YAML file: `applications.jukebox.version`, `apps[name=x].tag`, `"a.b"[0]`."""

import re
from dataclasses import dataclass

from roadie.errors import UsageError


@dataclass(frozen=True)
class Match:
    """The element of a list whose `key` holds `value`: `[name=jukebox]`."""

    key: str
    value: str


Step = str | int | Match

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_KEY = re.compile(rf"(?P<quoted>{_QUOTED})|(?P<bare>[^.\[\]\"]+)")
_ELEMENT = re.compile(rf"\[(?:(?P<index>\d{{1,6}})|(?P<key>[^\]\[=\"]+)=(?P<value>{_QUOTED}|[^\]\"]*))\]")
_DOCUMENT = re.compile(r"#(\d{1,6})\.")


@dataclass(frozen=True)
class KeyPath:
    """A parsed path: its steps, and after a leading `#N.` the document (from 0) of a file with several."""

    text: str
    steps: tuple[Step, ...]
    document: int | None = None


def parse_path(text: str) -> KeyPath:
    """Parse a path; a key that holds a dot stands in double quotes. UsageError when it is malformed."""
    document = _DOCUMENT.match(text)
    position = document.end() if document else 0
    steps: list[Step] = []
    while position < len(text):
        bracket = text[position] == "["
        if steps and not bracket:
            if text[position] != ".":
                break
            position += 1
        found = (_ELEMENT if bracket else _KEY).match(text, position)
        if not found:
            break
        steps.append(_element(found) if bracket else _unquoted(found[0]))
        position = found.end()
    if not steps or position != len(text) or text.endswith("."):
        raise UsageError(
            f"the key {text[:200]!r} is not a path; write it like applications.jukebox.values.version,"
            ' list[name=x].key or "dotted.key"[0]'
        )
    return KeyPath(text, tuple(steps), int(document[1]) if document else None)


def _element(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return int(found["index"])
    return Match(found["key"], _unquoted(found["value"]))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
