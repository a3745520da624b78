"""Cron expressions: the five fields that people write, checked, and the six that Kubeflow Pipelines takes. Pure.

Five fields as in crontab(5): minute, hour, day of month, month, day of week, each ``*``, a value, a range, a list of
them, or with a step; months and days may be named. The service reads six with github.com/robfig/cron (v1), seconds
first, in which Sunday is 0 and never 7.
"""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from roadie.errors import UsageError

_PART = re.compile(r"(?P<from>\*|\?|\w+)(?:-(?P<to>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_LONGEST = {month: 29 if month == 2 else calendar.monthrange(2001, month)[1] for month in range(1, 13)}  # noqa: PLR2004


@dataclass(frozen=True)
class _Field:
    what: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    any_day: bool = False  # whether `?` may stand for `*`


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, any_day=True),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS, any_day=True),
)


@dataclass(frozen=True)
class Cron:
    """A checked expression. `six` is the service's form; the sets are the values of each field, Sunday being 0."""

    text: str
    six: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def fires_in(self, minute: datetime) -> bool:
        """Whether it fires in the minute of this moment (UTC).

        A day fits when day of month and day of week both do; when both are restricted, one of them is enough.
        """
        day, weekday = minute.day in self.days, minute.isoweekday() % 7 in self.weekdays
        fits = (day and weekday) if self.any_day or self.any_weekday else (day or weekday)
        return minute.minute in self.minutes and minute.hour in self.hours and minute.month in self.months and fits


def parse_cron(text: str) -> Cron:
    """Check an expression of five fields.

    Raises:
        UsageError: it is none, or no day ever fits; the message names the field.
    """
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(each.what for each in _FIELDS)
        raise UsageError(f"the cron expression {text!r} has {len(parts)} fields, but takes five: {names}")
    minutes, hours, days, months, weekdays = (
        _values(part, each, text) for part, each in zip(parts, _FIELDS, strict=True)
    )
    any_day, any_weekday = (parts[place].startswith(("*", "?")) for place in (2, 4))
    if any_weekday and not any(min(days) <= _LONGEST[month] for month in months):
        raise UsageError(f"the cron expression {text!r} never comes: no such month has a day {min(days)}")
    sundays = frozenset(day % 7 for day in weekdays)
    if not any_weekday:
        parts[4] = ",".join(str(day) for day in sorted(sundays))
    six = " ".join(["0", *parts])
    return Cron(" ".join(text.split()), six, minutes, hours, days, months, sundays, any_day, any_weekday)


def _values(part: str, each: _Field, text: str) -> frozenset[int]:
    values: set[int] = set()
    last = len(_DAYS) - 1 if each.names is _DAYS else each.high  # the seventh day is the first once more
    for piece in part.split(","):
        found = _PART.fullmatch(piece)
        if not found or (found["from"] == "?" and not each.any_day) or (found["from"] in "*?" and found["to"]):
            raise _wrong(piece, each, text)
        step = int(found["step"] or 1)
        if found["from"] in "*?":
            low, high = each.low, last
        else:
            low = _value(found["from"], piece, each, text)
            high = _value(found["to"], piece, each, text) if found["to"] else (last if found["step"] else low)
            if found["to"] == "SUN" and low > 0:
                high = 7  # a week that ends with Sunday
        if low > high or step < 1:
            raise _wrong(piece, each, text)
        values.update(range(low, high + 1, step))
    return frozenset(values)


def _value(word: str, piece: str, each: _Field, text: str) -> int:
    value = each.names.get(word, int(word) if word.isdecimal() else -1)
    if not each.low <= value <= each.high:
        raise _wrong(piece, each, text)
    return value


def _wrong(piece: str, each: _Field, text: str) -> UsageError:
    named = f" or {next(iter(each.names))} to {list(each.names)[-1]}" if each.names else ""
    return UsageError(
        f"the {each.what} {piece!r} of the cron expression {text!r} is none: use {each.low} to {each.high}{named}, "
        "a range (1-5), a list (1,3), a step (*/2), or *"
    )
