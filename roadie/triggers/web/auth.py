"""Whether a request comes from who has the secret, told in constant time over the raw bytes.

- Alertmanager sends the secret as a bearer token (RFC 6750), GitLab in ``X-Gitlab-Token``: both before the body.
- GitHub and Gitea sign the body with it (HMAC-SHA256): ``X-Hub-Signature-256: sha256=<hex>``, and Gitea's own
  ``X-Gitea-Signature: <hex>``.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Sequence

# Wrong credentials in a minute that are answered at once; rotated secrets and typing errors are no more.
_FREE, _MINUTE, _PAUSE = 20, 60.0, 1.0
Headers = Sequence[tuple[bytes, bytes]]  # as ASGI has them: names in small letters

SIGNED = {"github": (b"x-hub-signature-256",), "gitea": (b"x-hub-signature-256", b"x-gitea-signature")}


class Guesses:
    """Makes whoever guesses wait: after some wrong ones in a minute, each further one is answered a second later."""

    def __init__(self) -> None:
        self._since, self._count = float("-inf"), 0

    async def wrong(self) -> None:
        """Credentials were wrong; return when that may be said."""
        now = time.monotonic()
        if now - self._since > _MINUTE:
            self._since, self._count = now, 0
        self._count += 1
        if self._count > _FREE:
            await asyncio.sleep(_PAUSE)


def may_send(source: str, headers: Headers, secret: str) -> bool:
    """Whether the head of a request lets its body be read: the right token, or a signature to check it by."""
    if source == "alertmanager":
        scheme, _, token = _single(headers, b"authorization").partition(b" ")
        return scheme.lower() == b"bearer" and _equal(token.strip(), secret.encode())
    if source == "gitlab":
        return _equal(_single(headers, b"x-gitlab-token"), secret.encode())
    return any(_single(headers, name) for name in SIGNED[source])


def is_signed(source: str, headers: Headers, body: bytes | bytearray, secret: str) -> bool:
    """Whether the body is what the sender signed; true for senders that do not sign."""
    if source not in SIGNED:
        return True
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    given = [_single(headers, name).removeprefix(b"sha256=") for name in SIGNED[source]]
    # There has to be one, and every one that was sent has to be right.
    return any(given) and all(_equal(signature, expected) for signature in given if signature)


def _single(headers: Headers, name: bytes) -> bytes:
    """The header's value; empty where it is missing, or there twice so that nobody knows which one is meant."""
    found = [value for each, value in headers if each == name]
    return found[0] if len(found) == 1 else b""


def _equal(given: bytes, expected: bytes) -> bool:
    return bool(expected) and hmac.compare_digest(given, expected)
