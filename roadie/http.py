"""HTTP for all of Roadie's clients but the registry's: time-outs, redirects, authorities and sizes in one place.

Built on urllib, so that proxies and SSL_CERT_FILE are those of the usual variables. Whoever asks turns an HttpError,
which never holds the address, into a sentence of its own.
"""

import http.client
import ipaddress
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

MOST_BYTES = 16 << 20
_SAID = 65_536  # bytes of an error's body that are kept
_CHUNK = 1 << 20
_PORTS = {"http": 80, "https": 443}


class Redirects(Enum):
    """Which redirects are followed: none; to the same scheme, host and port; or outwards.

    Outwards is to any host that is no nearer to this machine than the one that redirects: a server of the internet
    leads to none of this network, and no other host to this machine or to link-local addresses (a cloud's metadata).
    """

    NONE = "none"
    ORIGIN = "origin"
    OUTWARDS = "outwards"


class HttpError(Exception):
    """There is no good answer.

    `status` is 0 where nothing was answered; `why` is a few words; `cause` is what broke, such as a
    ``ssl.SSLCertVerificationError``.
    """

    def __init__(
        self,
        why: str,
        status: int = 0,
        headers: Message | None = None,
        body: bytes = b"",
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(why)
        self.why, self.status, self.headers, self.body, self.cause = why, status, headers or Message(), body, cause


class TooLargeError(HttpError):
    """More bytes than allowed."""


class RedirectError(HttpError):
    """A redirect that is not followed."""


@dataclass(frozen=True)
class Answer:
    """A 2xx; `headers` are asked for in any case."""

    status: int
    headers: Message
    body: bytes


class Http:
    """A client; `context` says whom it trusts, by default whom the machine and SSL_CERT_FILE name."""

    def __init__(self, redirects: Redirects, *, context: ssl.SSLContext | None = None) -> None:
        handler = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(handler, _Redirector(redirects))

    def ask(self, request: urllib.request.Request, seconds: float, most_bytes: int = MOST_BYTES) -> Answer:
        """Send a request to an http or https address, and wait up to `seconds` for each piece of the answer.

        Raises:
            HttpError: it is not answered with 2xx, or breaks off; a TooLargeError for more than `most_bytes`.
        """
        with _translated(), self._opener.open(request, timeout=seconds) as response:
            body = response.read(most_bytes + 1)
            if len(body) > most_bytes:
                raise TooLargeError(f"the answer is larger than {most_bytes:,} bytes")
            return Answer(response.status, response.headers, body)

    def save(self, request: urllib.request.Request, file: IO[bytes], seconds: float, most_bytes: int) -> None:
        """Write what is answered to a file, whose own errors are an OSError.

        Raises:
            HttpError: as `ask`; also when fewer bytes come than were announced.
        """
        with _translated():
            response = self._opener.open(request, timeout=seconds)
        with response:
            announced, size = int(response.headers.get("Content-Length") or -1), 0
            while size <= most_bytes and announced <= most_bytes:
                with _translated():
                    chunk = response.read(_CHUNK)
                if not chunk:
                    break
                file.write(chunk)
                size += len(chunk)
        if max(size, announced) > most_bytes:
            raise TooLargeError(f"it is larger than {most_bytes:,} bytes")
        if size < announced:  # which http.client, reading in pieces, does not notice
            raise HttpError(f"the connection broke off after {size:,} of {announced:,} bytes")


@contextmanager
def _translated() -> Iterator[None]:
    # Nothing is chained: urllib's own errors may hold the address with a token in it.
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(
                f"HTTP {error.code} {error.reason}".rstrip(), error.code, error.headers, _said(error)
            ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        cause = reason if isinstance(reason, BaseException) else error
        why = getattr(cause, "strerror", None) or type(cause).__name__
        raise HttpError(str(why), cause=cause) from None


def _said(error: urllib.error.HTTPError) -> bytes:
    try:
        return bytes(error.read(_SAID))
    except (OSError, http.client.HTTPException):
        return b""


class _Redirector(urllib.request.HTTPRedirectHandler):
    def __init__(self, redirects: Redirects) -> None:
        self._redirects = redirects

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if self._redirects is Redirects.NONE:
            return None  # then the answer is the error that it is: a 302 makes a GET of a POST, whose 200 says nothing
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        same = _origin(old) == _origin(new)
        if new.scheme not in ("https", old.scheme) or (self._redirects is Redirects.ORIGIN and not same):
            raise RedirectError(f"HTTP {code}, a redirect to {new.scheme}://{new.hostname or ''}", code, headers)
        if not same and _nearness(new.hostname or "") > _nearness(old.hostname or ""):
            raise HttpError(
                f"HTTP {code}, a redirect to {new.hostname}, which is inside of this network", code, headers
            )
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request and same:  # urllib hands unredirected headers to nobody
            for name, value in req.unredirected_hdrs.items():
                if name == "Authorization":
                    request.add_unredirected_header(name, value)
        return request


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or _PORTS.get(address.scheme)


def _nearness(host: str) -> int:
    """0 for the internet and names that nobody here knows, 1 for private networks, 2 for this machine and its link."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return 0  # a proxy may know it
    addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in found]
    mapped = [getattr(each, "ipv4_mapped", None) or each for each in addresses]
    if any(each.is_loopback or each.is_link_local or each.is_unspecified or each.is_multicast for each in mapped):
        return 2
    return int(any(each.is_private for each in mapped))
