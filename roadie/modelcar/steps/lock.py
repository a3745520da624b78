"""A lock file: which distributions, in which versions, and the archives that they may come from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import UsageError

_HASH = re.compile(r"\s--hash[= ]sha256:([0-9a-f]{64})")
# What a lock of pip-tools or uv may say besides pins, and what would add distributions that are not pinned here.
_OPTION = re.compile(r"^--?[a-z]")
_MORE = re.compile(r"^(-r|-e|--requirement|--editable)\b")


@dataclass(frozen=True)
class Pin:
    """One distribution that this interpreter needs; `hashes` are the sha256 of the archives that hold it."""

    name: str
    version: str
    hashes: frozenset[str]


def read_lock(path: Path) -> tuple[Pin, ...]:
    """The pins whose markers hold for this interpreter, sorted by name.

    Raises UsageError for a file that cannot be read, and for a line that does not pin one version.
    """
    from packaging.requirements import InvalidRequirement

    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", "") or "not UTF-8"
        raise UsageError(f"The lock {path} cannot be read ({why}): name a file of pins.") from error
    pins: dict[str, Pin] = {}
    for number, line in _lines(text):
        try:
            pin = _pin(line)
        except (InvalidRequirement, ValueError):
            raise UsageError(
                f"Line {number} of {path} pins no version ({line[:60]}): lock it, with `uv pip compile` or pip-tools."
            ) from None
        if pin and pin.version != pins.setdefault(pin.name, pin).version:
            raise UsageError(f"{path} names two versions of {pin.name}: lock it anew.")
    if not pins:
        raise UsageError(f"{path} names nothing that this Python needs: is it a lock file?")
    return tuple(pins[name] for name in sorted(pins))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without comments, and with what is continued after a backslash."""
    whole, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if whole else number
        whole += re.sub(r"(^|\s)#.*", "", line).rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        if whole.strip() and (_MORE.match(whole) or not _OPTION.match(whole)):
            yield first, whole.strip()
        whole = ""


def _pin(line: str) -> Pin | None:
    """A line's pin; None when its marker does not hold here. ValueError when it is none."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    requirement = Requirement(_HASH.sub("", line))
    pinned = list(requirement.specifier)
    if requirement.url or [each.operator for each in pinned] != ["=="] or pinned[0].version.endswith("*"):
        raise ValueError(line)
    if requirement.marker and not requirement.marker.evaluate():
        return None
    return Pin(canonicalize_name(requirement.name), pinned[0].version, frozenset(_HASH.findall(line)))
