"""Passwords and signatures in addresses: refused where a run would be given one, hidden wherever text is shown.

Parameters of a run are no secrets: they stand in its log, in the receiver's journal, and in Kubeflow's own pages.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from roadie.errors import UsageError

# What comes after "//" in an address of the web, up to the "@" before its host; a user alone counts, it may be a token.
_IN_WEB = re.compile(r"(?<=://)(?<=http://|ttps://)(?:[^\s/?#@]+|[^\s/?#:@]*:(?!\d{1,5}(?:[/?#]|$))[^\s@]*)(?=@)", re.I)
# Elsewhere a user is none: ssh://git@host.
_ELSEWHERE = re.compile(r"(?<=://)[^\s/?#:@]*:[^\s/?#@]+(?=@)")
_NAMES = (
    r"(?:x-(?:amz|goog|oss|cos)-(?:signature|credential|security-token)|(?:aws|google|oss)access(?:key)?id"
    r"|(?:[\w-]*[_-])?(?:signature|sig|sign|token|auth|password|passwd|pwd|secret|credentials?|api-?key|access-?key|key)"
    r"|apikey|accesskey|api_key|access_key|accountkey|accountaccesskey|sharedaccesssignature)"
)
_IN_QUERY = re.compile(rf"(?<=[?&;#])({_NAMES})=[^&#\s;]+", re.I)
_NAMED = re.compile(r"(?:[\w-]*_)?(?:password|passwd|api_?key|access_?key|secret_?key|access_token)|token", re.I)
_HIDDEN = "***"


def redact(text: str) -> str:
    """`text` without the passwords and signatures of the addresses in it."""
    if "://" in text:
        text = _ELSEWHERE.sub(_HIDDEN, _IN_WEB.sub(_HIDDEN, text))
    return _IN_QUERY.sub(rf"\1={_HIDDEN}", text)


def found_in(name: str, value: Any) -> Iterator[str]:
    """What in the parameter `name` is a secret, in words that do not repeat it; also deep inside."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from found_in(str(key), each)
    elif isinstance(value, list):
        for each in value:
            yield from found_in("", each)
    elif isinstance(value, str) and value:
        if _NAMED.fullmatch(name):
            yield f"{name} is a secret"
        elif redact(value) != value:
            yield "holds a password, token or signature"


def refuse_secrets(parameters: Mapping[str, Any]) -> None:
    """Let no run begin with a secret among its parameters.

    Raises:
        UsageError: one of them holds a password, token or signature; the sentence names the parameter alone.
    """
    for name, value in parameters.items():
        for what in found_in(name, value):
            told = what if what.startswith(f"{name} ") else f"{name} {what}"
            raise UsageError(f"{told}, and all who may see a run see its parameters: put it into a secret instead")
