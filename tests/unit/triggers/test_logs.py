"""The log: one line an event, whatever is in it."""

import json
import logging
import re
import sys

import pytest

from roadie.triggers.logs import KeyValue


def line(message: str, error: BaseException | None = None, **fields: object) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("roadie", logging.WARNING, "x.py", 1, message, (), info)
    record.created = 1767225600.25
    record.fields = fields
    return KeyValue().format(record)


def test_a_line_starts_with_time_level_and_event() -> None:
    assert line("request", method="POST", status=200, ms=1.5) == (
        "time=2026-01-01T00:00:00.250Z level=warning event=request method=POST status=200 ms=1.5"
    )


def test_what_is_empty_is_left_out() -> None:
    assert line("request", why="", client=None, count=0).endswith("event=request count=0")


@pytest.mark.parametrize(
    "value",
    ["two words", 'a "quote"', "x=1 level=error", "line\nbreak", "\x1b[31mred", "\u2028", "tab\there", "\\n", "é ü"],
)
def test_no_value_breaks_the_line_or_passes_for_another_field(value: str) -> None:
    written = line("request", path=value, status=404)
    assert written.isprintable()
    fields = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', written))
    assert list(fields) == ["time", "level", "event", "path", "status"]
    assert json.loads(fields["path"]) == value


def test_letters_stay_readable() -> None:
    assert 'why="für élise"' in line("request", why="für élise")


def test_an_exception_is_in_the_same_line_with_its_traceback() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        written = line("request", error=sys.exception())
    assert "exception=ValueError" in written
    assert "test_logs.py" in written
    assert "\n" not in written
