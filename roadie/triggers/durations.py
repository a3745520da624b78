"""Durations as people and Prometheus write them, `90d` or `1h30m`, and as ISO 8601 does, `PT6H`."""

import re
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORT = re.compile("".join(rf"(?:(?P<{unit}>\d+){letter})?" for letter, unit in _UNITS.items()))
_ISO = TypeAdapter(timedelta)
_LONGEST = timedelta(days=36500)


def parse_duration(given: Any) -> timedelta:
    """A duration of zero to a hundred years. ValueError for anything else: a bare number does not say its unit."""
    if isinstance(given, timedelta):
        return given
    try:
        duration = _parsed(str(given).strip())
    except (ValidationError, OverflowError):
        duration = None
    if duration is None or not timedelta(0) <= duration <= _LONGEST:
        raise ValueError("is not a duration; write it like 30m, 6h, 90d or PT6H")
    return duration


def said(duration: timedelta) -> str:
    """A duration as it is written in the configuration: `1d12h`."""
    seconds = int(duration.total_seconds())
    parts = []
    for letter, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{letter}")
    return "".join(parts) or "0"


def _parsed(text: str) -> timedelta | None:
    if text == "0":
        return timedelta(0)
    if text.startswith("P"):
        return _ISO.validate_python(text)
    short = _SHORT.fullmatch(text) if text else None
    return timedelta(**{unit: int(count) for unit, count in short.groupdict("0").items()}) if short else None
