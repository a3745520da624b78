"""Take fields out of what strangers send: each is there and of its type, or the whole is refused by the field's name.

Nothing of the body is repeated in an error: it may hold secrets, and it goes to logs.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from roadie.errors import TriggerError
from roadie.triggers.times import stamp

LONGEST_LINE = 300  # characters of a summary
LONGEST_VALUE = 4096  # characters of a label or a name
# What a message may hold in all, told before it is parsed: a value of two bytes takes a hundred in memory.
MOST_VALUES = 250_000
# Nobody has a billion of anything; a number of 400 digits is in JSON, but in no metric.
_MOST = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def decode(body: bytes | bytearray) -> Mapping[str, Any]:
    """The JSON object that `body` is. TriggerError when it is none, nests too deeply, or holds too many values.

    Of a bytearray nothing is left afterwards.
    """
    if body.count(b",") + body.count(b":") > 2 * MOST_VALUES:
        raise TriggerError(f"the body holds more than {MOST_VALUES:,} values; send less at once (max_alerts)")
    try:
        text = body.decode()
        if isinstance(body, bytearray):
            # Whoever read it has no more use for it, and it may be large.
            body.clear()
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        raise TriggerError("the body is not JSON; send the payload as it is documented") from None
    if not isinstance(document, dict):
        raise TriggerError("the body is not a JSON object; send the payload as it is documented")
    return document


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under `key`."""
    found: Mapping[str, Any] = _typed(document, key, dict, "an object")
    return found


def objects(document: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], ...]:
    """The objects of the array under `key`; null counts as an empty one."""
    found = _typed(document, key, list, "an array") if document.get(key) is not None else []
    if not all(isinstance(each, dict) for each in found):
        raise TriggerError(f"{key} has something else than objects in it; send the payload as it is documented")
    return tuple(found)


def count(document: Mapping[str, Any], key: str) -> int:
    """The number under `key`, which counts something; 0 where there is none."""
    found = document.get(key)
    if isinstance(found, int) and found >= _MOST:
        raise TriggerError(f"{key} is no number of alerts; send the payload as it is documented")
    return found if isinstance(found, int) and found > 0 else 0


def text(document: Mapping[str, Any], key: str) -> str:
    """The text under `key`, cleaned."""
    return clean(_typed(document, key, str, "text"))


def texts(document: Mapping[str, Any], key: str) -> dict[str, str]:
    """The object under `key`, whose values are all text, cleaned."""
    found = mapping(document, key)
    if not all(isinstance(value, str) for value in found.values()):
        raise TriggerError(f"{key} has something else than text in it; send the payload as it is documented")
    return {clean(name): clean(value) for name, value in found.items()}


def optional_text(document: object, key: str) -> str:
    """The text under `key`, cleaned; empty where there is none."""
    value = document.get(key) if isinstance(document, dict) else None
    return clean(value) if isinstance(value, str) else ""


def _typed(document: Mapping[str, Any], key: str, type_: type, what: str) -> Any:
    value = document.get(key)
    if not isinstance(value, type_):
        raise TriggerError(f"{key} is not {what}; send the payload as it is documented")
    return value


def clean(value: str, longest: int = LONGEST_VALUE) -> str:
    """`value` as text that any file can hold (JSON can spell half a character), cut to `longest`."""
    value = value[:longest]
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def line(value: str, longest: int = LONGEST_LINE) -> str:
    """`value` as one line without control characters, cut to `longest`."""
    flat = _CONTROL.sub(" ", clean(value)).strip()
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def moment(value: str, key: str) -> str:
    """A time of RFC 3339 in UTC and cut to milliseconds: `2026-11-23T02:31:03.891Z`."""
    try:
        time = datetime.fromisoformat(value)
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        time = _EPOCH
    # A window of data must fit before it.
    if time <= _EPOCH:
        raise TriggerError(f"{key} is not a time; write it like 2026-11-23T02:31:03.891Z")
    return stamp(time)
