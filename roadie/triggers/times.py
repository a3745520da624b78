"""Times as the journal writes them: UTC with milliseconds, so that texts compare as times do."""

from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def stamp(time: datetime) -> str:
    """`2026-01-31T12:00:00.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def after(time: datetime, seconds: float) -> str:
    """The stamp of `seconds` after `time`."""
    return stamp(time + timedelta(seconds=seconds))


def moment(text: str | None) -> datetime | None:
    """What a stamp says; None for none."""
    return datetime.fromisoformat(text) if text else None
