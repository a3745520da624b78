"""A small JSON client for the hosts' REST APIs: retries, rate limits, pages, and errors of one sentence."""

import json
import re
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from roadie.errors import GitOpsError
from roadie.gitops.patience import CLOCK, PATIENCE, Clock, Patience
from roadie.http import Http, HttpError, RedirectError, Redirects, TooLargeError

_TIMEOUT = 30.0
_MAX_PAGES = 50
_TEMPORARY = {408, 500, 502, 503, 504}
_CONFLICTS = {405, 406, 409, 422}


class ConflictError(GitOpsError):
    """The host says that the request does not fit the state of things: 405, 406, 409 or 422, as `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """One API, at `base`; `headers` carry the token, which is in no error.

    A host that is away, or limits the rate of requests, is waited for, for `budget` seconds.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        ca_file: Path | None = None,
        budget: float = PATIENCE,
        clock: Clock = CLOCK,
    ) -> None:
        self.base = base.rstrip("/")
        self._budget, self._clock = budget, clock
        self._headers = {"Accept": "application/json", "User-Agent": "roadie", **headers}
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._http = Http(Redirects.ORIGIN, context=context)  # its headers carry the token

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Ask, and return the decoded JSON (None for an empty answer).

        Raises:
            ConflictError: the host refuses it in the present state of things.
            GitOpsError: it refuses it for good, or does not answer.
        """
        return self._call(method, f"{self.base}/{path}", body)[0]

    def pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """All elements of a list, over its pages (Link headers, RFC 8288)."""
        url = f"{self.base}/{path}?{urlencode(query)}"
        for _ in range(_MAX_PAGES):
            elements, headers = self._call("GET", url, None)
            if not isinstance(elements, list):
                raise GitOpsError(f"{self.base} answers with something else than a list; check the address of its API")
            yield from elements
            following = re.search(r'<([^>]+)>;\s*rel="next"', headers.get("Link", ""))
            if not following:
                return
            url = urljoin(url, following[1])
            if urlsplit(url)[:2] != urlsplit(self.base)[:2]:
                raise GitOpsError(f"{self.base} continues its list on another server; check the address of its API")

    def _call(self, method: str, url: str, body: Mapping[str, object] | None) -> tuple[Any, Message]:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http or https, see hosts
        patience = Patience(self._budget, self._clock)
        number = 0
        while True:
            try:
                answer = self._http.ask(request, _TIMEOUT)
                return self._decoded(answer.body), answer.headers
            except RedirectError:
                raise GitOpsError(f"{request.host} redirects to another server; name that one in --api-url") from None
            except HttpError as error:
                # Without a status there is no answer: the host is away, unless its certificate is refused.
                untrusted = isinstance(error.cause, ssl.SSLCertVerificationError)
                wait = _seconds_to_wait(error.status, error.headers) if error.status else 0.0
                over = untrusted or isinstance(error, TooLargeError) or wait is None or wait > patience.left
                if over or not patience.wait(number, at_least=wait or 0.0):
                    raise (self._refusal(error) if error.status else self._unreachable(error)) from None
            number += 1

    def _decoded(self, body: bytes) -> Any:
        try:
            return json.loads(body) if body.strip() else None
        except ValueError:
            raise GitOpsError(
                f"{self.base} answers with something else than JSON; check the address of its API"
            ) from None

    def _unreachable(self, error: HttpError) -> GitOpsError:
        if isinstance(error.cause, ssl.SSLCertVerificationError):
            return GitOpsError(f"the certificate of {self.base} is not trusted; name its CA's file in GIT_CA_FILE")
        said = type(error.cause).__name__ if error.cause else error.why
        return GitOpsError(f"{self.base} cannot be reached ({said}); check the address, the network and the proxy")

    def _refusal(self, error: HttpError) -> GitOpsError:
        status, said = error.status, _words(error)
        if status == HTTPStatus.UNAUTHORIZED:
            remedy = "does not accept the token; set GIT_TOKEN (or GIT_PASSWORD) to one that may open reviews"
        elif _is_rate_limit(status, error.headers):
            remedy = "limits the rate of requests; try again later"
        elif status == HTTPStatus.FORBIDDEN:
            remedy = "knows the token but forbids this; give it the right to open reviews"
        elif status == HTTPStatus.NOT_FOUND:
            remedy = "knows no such repository or review, or hides it from the token; check the address and the token"
        elif status in _CONFLICTS:
            return ConflictError(status, f"{self.base} refuses this now{said}; look at the review")
        else:
            remedy = f"answers with status {status}; try again later"
        return GitOpsError(f"{self.base} {remedy}{said}")


def _seconds_to_wait(status: int, headers: Message) -> float | None:
    """How long to wait at least before the next try; None when there should be none."""
    if status in _TEMPORARY:
        return 0.0
    if not _is_rate_limit(status, headers):
        return None
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdigit():
        return float(after)
    return max(0.0, float(reset) - time.time()) + 1 if reset.isdigit() else 0.0


def _is_rate_limit(status: int, headers: Message) -> bool:
    spent = headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in headers
    return status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and spent)


def field(answer: Any, *names: str) -> Any:
    """A field of an answer, which may be nested. GitOpsError when the answer does not have it."""
    for name in names:
        if not isinstance(answer, dict) or name not in answer:
            raise GitOpsError(f"the host's answer has no field {'.'.join(names)}; check the address of its API")
        answer = answer[name]
    return answer


def _words(error: HttpError) -> str:
    """What the host says in its answer, cut short."""
    try:
        answer = json.loads(error.body)
    except ValueError:
        return ""
    message = answer.get("message") or answer.get("error") or "" if isinstance(answer, dict) else ""
    details = answer.get("errors") if isinstance(answer, dict) else None
    text = " ".join(str(part) for part in (message, details) if part)
    return f" (it said: {' '.join(text.split())[:300]})" if text else ""
