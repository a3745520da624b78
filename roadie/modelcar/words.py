"""A server's own words for a refusal: whatever form they come in, as one line that can be shown."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from roadie.modelcar.access import Answer
from roadie.modelcar.documents import parse_json

_LONGEST = 400
# No sentence stands further down than this many bytes of a page.
_READ = 64 << 10
_TAGS = re.compile(r"<(script|style|head|title)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
# Under these names servers put a sentence: registries, token services (RFC 6749, 5.2), problem details (RFC 9457).
_NAMES = ("message", "error_description", "error_message", "detail", "details", "title", "reason", "msg", "error")


@dataclass(frozen=True)
class Words:
    """The code that a registry gave, and its text; `is_page` when it is a web page or plain text and not an API's."""

    code: str = ""
    text: str = ""
    is_page: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.text) if part)


def words_of(answer: Answer, secrets: Sequence[str] = ()) -> Words:
    """What a server says about its status (OCI distribution specification, "Error Codes", and whatever else occurs)."""
    body = answer.body[:_READ]
    try:
        found = parse_json(body) if body.lstrip()[:1] in {b"{", b"["} else None
    except ValueError:
        found = None
    if found is not None:
        errors = found.get("errors") if isinstance(found, dict) else found
        items = errors if isinstance(errors, list) and errors else [found]
        code = items[0].get("code", "") if isinstance(items[0], dict) else ""
        texts = list(dict.fromkeys(text for item in items[:5] for text in _texts(item)))
        return Words(_clean(str(code), secrets), _clean("; ".join(texts), secrets))
    page = body.decode("utf-8", "replace")
    title = _TITLE.search(page)
    text = f"{title[1] if title else ''} {_TAGS.sub(' ', page)}"
    if not text.strip():
        described = re.search(r'error_description="([^"]*)"', answer.headers.get("www-authenticate", ""))
        return Words("", _clean(described[1] if described else "", secrets))
    return Words("", _clean(text, secrets), is_page=True)


def _texts(item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield item
    if not isinstance(item, dict):
        return
    for name in _NAMES:
        value = item.get(name)
        if value in (None, "", [], {}):
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict) and name == "error":
            yield from _texts(value)
        else:
            yield json.dumps(value)


def _clean(text: str, secrets: Sequence[str]) -> str:
    """One printable line without secrets, cut short."""
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
