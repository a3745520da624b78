"""Cron expressions: what is taken, what is refused, and what the service is given."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.errors import UsageError
from roadie.runs import parse_cron


@pytest.mark.parametrize(
    ("five", "six"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("0 3 * * MON", "0 0 3 * * 1"),
        ("*/15 9-17 * jan,MAR 1-5", "0 */15 9-17 * JAN,MAR 1,2,3,4,5"),
        ("5/10 0 1,15 * ?", "0 5/10 0 1,15 * ?"),
        ("0 0 ? 1-6/2 *", "0 0 0 ? 1-6/2 *"),
        # To the service Sunday is 0 only.
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 * * FRI-SUN", "0 0 0 * * 0,5,6"),
        ("0 0 29 2 *", "0 0 0 29 2 *"),
    ],
)
def test_five_fields_become_six(five: str, six: str) -> None:
    assert parse_cron(five).six == six


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 3 * *", "has 4 fields, but takes five"),
        ("0 0 3 * * *", "has 6 fields, but takes five"),
        ("@daily", "has 1 fields, but takes five"),
        ("", "has 0 fields, but takes five"),
        ("60 * * * *", "the minute '60'"),
        ("* 24 * * *", "the hour '24'"),
        ("* * 0 * *", "the day of month '0'"),
        ("* * * FEBRUARY *", "the month 'FEBRUARY' .* JAN to DEC"),
        ("* * * * 8", "the day of week '8' .* SUN to SAT"),
        ("30-10 * * * *", "the minute '30-10'"),
        ("*/0 * * * *", r"the minute '\*/0'"),
        ("? * * * *", r"the minute '\?'"),
        ("*-5 * * * *", r"the minute '\*-5'"),
        ("1,,2 * * * *", "the minute ''"),
        ("0 0 L * *", "the day of month 'L'"),
        ("0 0 * * 1#2", "the day of week '1#2'"),
        ("٣ * * * *", "the minute '٣'"),
        ("0 0 31 2,4 *", "never comes: no such month has a day 31"),
    ],
)
def test_what_is_no_expression_is_refused_by_field(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_cron(text)


def firings(text: str, start: datetime, days: int) -> list[str]:
    cron = parse_cron(text)
    minutes = (start + timedelta(minutes=number) for number in range(days * 24 * 60))
    return [f"{minute:%a %d %H:%M}" for minute in minutes if cron.fires_in(minute)]


def test_an_expression_fires_when_crontab_says() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday
    assert firings("30 3 * * SUN", start, 10) == ["Sun 01 03:30", "Sun 08 03:30"]
    assert firings("0 */12 2 * *", start, 5) == ["Mon 02 00:00", "Mon 02 12:00"]
    # Restricted both ways, a day needs to fit one of them only.
    assert firings("0 0 3 * WED", start, 12) == ["Tue 03 00:00", "Wed 04 00:00", "Wed 11 00:00"]
    assert firings("0 0 * 4 *", start, 20) == []


FIELDS = [(0, 59), (0, 23), (1, 28), (1, 12), (0, 7)]


@st.composite
def expressions(draw: st.DrawFn) -> str:
    def field(low: int, high: int) -> str:
        value = st.integers(low, high)
        first, second = sorted((draw(value), draw(value)))
        step = draw(st.integers(1, 9))
        return draw(st.sampled_from(["*", f"*/{step}", f"{first}", f"{first}-{second}", f"{first},{second}"]))

    return " ".join(field(*limits) for limits in FIELDS)


@given(expressions())
def test_what_is_taken_has_six_fields_within_the_services_limits(text: str) -> None:
    cron = parse_cron(text)
    assert len(cron.six.split()) == 6
    assert cron.six.startswith("0 ")
    assert "7" not in cron.six.split()[5].partition("/")[0]
    assert all((cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays))
