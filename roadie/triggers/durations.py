"""Durations as people and Prometheus write them, `90d` or `1h30m`, and as ISO 8601 does, `PT6H`."""

import re
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_SHORT = re.compile("".join(rf"(?:(?P<{unit}>\d+){letter})?" for letter, unit in _UNITS.items()))
_ISO = TypeAdapter(timedelta)


def parse_duration(given: Any) -> timedelta:
    """A duration of zero or more. ValueError for anything else: a bare number does not say its unit."""
    if isinstance(given, timedelta):
        return given
    text = str(given).strip()
    short = _SHORT.fullmatch(text)
    try:
        if short and text:
            return timedelta(**{unit: int(number) for unit, number in short.groupdict(default="0").items()})
        if text.startswith("P"):
            return _ISO.validate_python(text)
    except (ValidationError, OverflowError):
        pass
    if text == "0":
        return timedelta(0)
    raise ValueError("is not a duration; write it like 30m, 6h, 90d or PT6H")
