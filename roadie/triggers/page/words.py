"""How the page says times, digests, commits and addresses: short, and never a link that runs something."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit, urlunsplit

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Moment:
    """A time for people: `iso` to the second (UTC), `day` and `clock` as read, `ago` relative to when it is shown."""

    iso: str
    day: str
    clock: str
    ago: str


@dataclass(frozen=True)
class Commit:
    """A commit: its sha, and where people look at it ("" where that is not known)."""

    sha: str
    url: str = ""

    @property
    def short(self) -> str:
        """Ten characters, as `roadie gitops` prints them."""
        return self.sha[:10]


def moment(time: datetime, now: datetime) -> Moment:
    """`time` as it is shown at `now`; both know their zone."""
    utc = time.astimezone(UTC)
    year = "" if utc.year == now.astimezone(UTC).year else f" {utc.year}"
    return Moment(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc.day} {utc:%b}{year}", f"{utc:%H:%M:%S}", ago(time, now))


def parse(text: str) -> datetime | None:
    """A time of ISO 8601, UTC where it names no zone; None where it is none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def ago(time: datetime, now: datetime) -> str:
    """How long ago, in one unit; clocks differ, so that what lies ahead by little is now."""
    seconds = (now - time).total_seconds()
    if seconds < -_MINUTE:
        return f"in {_in_one_unit(-seconds)}"
    return "just now" if seconds < _MINUTE / 2 else f"{_in_one_unit(seconds)} ago"


def _in_one_unit(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h"
    days = int(seconds // _DAY)
    return "1 day" if days == 1 else f"{days} days"


def lasted(span: timedelta) -> str:
    """A duration in at most two units."""
    seconds = max(0, round(span.total_seconds()))
    minutes, hours, days = seconds // _MINUTE, seconds // _HOUR, seconds // _DAY
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{minutes} min {seconds % _MINUTE} s"
    return f"{hours} h {minutes % 60} min" if seconds < _DAY else f"{days} d {hours % 24} h"


def web_address(url: str) -> str:
    """`url` where a link to it does nothing but open it (http or https, a host, no credentials shown); else ""."""
    # What browsers read otherwise than we do is no address: blanks, control characters, a slash of the wrong kind.
    if not url.isprintable() or " " in url or "\\" in url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def commit(repository: str, sha: str) -> Commit:
    """A commit of `repository`, with its page where the repository is on the web."""
    base = web_address(repository)
    if not base or not sha:
        return Commit(sha)
    parts = urlsplit(base)
    path = parts.path.rstrip("/").removesuffix(".git")
    # GitLab keeps its own pages below "-"; GitHub, Gitea and Forgejo do not.
    page = "/-/commit/" if "gitlab" in (parts.hostname or "") else "/commit/"
    return Commit(sha, urlunsplit((parts.scheme, parts.netloc, f"{path}{page}{quote(sha, safe='')}", "", "")))


def short_image(image: str) -> str:
    """`jukebox@sha256:0123456789ab` of an image by digest, however long its registry's name is."""
    name, at, digest = image.rpartition("@")
    last = name.rpartition("/")[2].partition(":")[0]
    return f"{last}{at}{short_digest(digest)}" if at or image.startswith("sha256:") else image.rpartition("/")[2]


def short_digest(digest: str) -> str:
    """`sha256:0123456789ab` of a digest."""
    algorithm, colon, value = digest.rpartition(":")
    return f"{algorithm}{colon}{value[:12]}"
