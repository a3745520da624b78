"""News for people in a chat: text in which nobody else can speak, and one way to send it.

An address that takes news is a secret itself: it is in no error, and no redirect carries anything elsewhere.
"""

import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from roadie.errors import NewsError
from roadie.http import Http, HttpError, Redirects, TooLargeError

SECONDS = 15.0
_LONGEST = 500
# Nobody sees it, and it parts what would be a mention, a link or an image in Mattermost's and Teams' Markdown.
_PART = "\u200b"
_ALIVE = re.compile(r"(?<!\w)@(?=\w)|\](?=[(\[:])|!(?=\[)|`(?=`)")


def plain(text: str, longest: int = _LONGEST) -> str:
    """`text` in one line of at most `longest` letters that pings nobody, and hides no address behind other words.

    An address by itself stays: it shows where it leads.

    See docs.slack.dev/messaging/formatting-message-text, "Escaping text", and docs.mattermost.com, "Format messages".
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest]).split())
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ALIVE.sub(lambda found: found[0] + _PART, line)


def link(url: str, name: str) -> str:
    """`url` as a link of Slack's, called `name`; empty where it is no address of the web."""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        return ""
    if not fit or not url.isprintable() or any(letter in url for letter in "<>| "):
        return ""
    return f"<{url.replace('&', '&amp;')}|{name}>"


def post(url: str, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
    """POST `payload` as JSON to `url`, and return once it was taken (2xx).

    Raises:
        NewsError: it was not, or may not have been.
    """
    try:
        host = urlsplit(url).hostname if url.startswith(("http://", "https://")) else None
        if not host:
            raise ValueError
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            url,
            json.dumps(payload).encode(),
            {"Content-Type": "application/json", "User-Agent": "roadie", **(headers or {})},
        )
    except ValueError:
        message = "the address to tell outcomes to is no http or https address; mend its secret"
        raise NewsError(message, "'s address is no http address: correct the secret") from None
    try:
        Http(Redirects.NONE).ask(request, SECONDS, most_bytes=1)
    except TooLargeError:
        return  # it was taken: what is said to that is nobody's news
    except HttpError as error:
        if error.status:
            message = f"{host} answered {error.status} to the news of a run; see what it logs"
            raise NewsError(message, f" answered {error.status}: correct its address in the secret") from None
        message = f"{host} did not take the news of a run ({error.why}); check its address and the way there"
        raise NewsError(message, f" cannot be reached ({error.why}): correct its address in the secret") from None
