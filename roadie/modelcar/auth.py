"""Who we are to a registry: nobody, a name and password, or a bearer token that a token service gives for a while.

The protocols are the distribution project's "Token Authentication Specification" (GET) and "OAuth2 Token
Authentication" (POST).
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.credentials import Credentials
from roadie.modelcar.documents import parse_json
from roadie.modelcar.retry import is_passing, retry_after
from roadie.modelcar.transport import Transport
from roadie.modelcar.urls import host_of, same_origin, split
from roadie.modelcar.words import words_of

# What a WWW-Authenticate header consists of: parameters, and schemes with or without a token after them.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_SCHEME = re.compile(rf"({_WORD})(?:\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$)))?")
# The specification's default and least lifetime of a token, in seconds.
_LIFETIME = 60.0
# Renewed when this share of its life is over: a token that expires during a request costs the whole request.
_FRESH = 0.7


@dataclass(frozen=True)
class _Token:
    header: str = field(repr=False)
    renew_at: float = float("inf")


def parse_challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Each challenge of WWW-Authenticate: its scheme in lower case, and its own parameters (RFC 9110, 11.6.1).

    Several may stand in one line, or in lines of their own, which are joined by commas before.
    """
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while position < len(header):
        if found and (parameter := _PARAMETER.match(header, position)):
            name, quoted, bare = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            found[-1][1].setdefault(name.lower(), value)
            position = parameter.end()
        elif scheme := _SCHEME.match(header, position):
            found.append((scheme[1].lower(), {}))
            position = scheme.end()
        else:
            position += 1
    return found


class Authorizer:
    """Makes the Authorization header for one repository; several threads may use it.

    `scope` is asked for whole at the first challenge, so that one token serves reading and writing. An `extra` scope
    (for a mount from another repository) gets a token of its own, because a token service may refuse it.
    """

    def __init__(self, transport: Transport, credentials: Credentials, url: str, scope: str) -> None:
        self._transport, self._credentials, self._url, self._scope = transport, credentials, url, scope
        self._lock = threading.Lock()
        self._challenges: dict[str, tuple[str, dict[str, str]]] = {}
        self._tokens: dict[str, _Token] = {}

    def headers(self, url: str, extra: str = "") -> dict[str, str]:
        """The header for a request to `url`; none before the first challenge, none for another server."""
        if not same_origin(url, self._url):
            return {}
        with self._lock:
            token = self._tokens.get(extra)
            if token and time.monotonic() > token.renew_at:
                token = self._renew(extra)
        return {"Authorization": token.header} if token else {}

    def challenged(self, answer: Answer, used: Mapping[str, str], extra: str = "") -> bool:
        """Take in a 401: whether a request with a new header is worth a try."""
        with self._lock:
            token = self._tokens.get(extra)
            if token and token.header != used.get("Authorization"):
                return True  # another thread has renewed it in the meantime
            challenge = self._choose(parse_challenges(answer.headers.get("www-authenticate", "")))
            if challenge is None or (token and _is_final(challenge)):
                return False
            self._challenges[extra] = challenge
            self._renew(extra)
            return True

    def _choose(self, challenges: Sequence[tuple[str, dict[str, str]]]) -> tuple[str, dict[str, str]] | None:
        """The challenge to answer: a token where one can be had, which also serves who has no password."""
        by_scheme = {scheme: (scheme, parameters) for scheme, parameters in reversed(challenges)}
        bearer, basic = by_scheme.get("bearer"), by_scheme.get("basic")
        if basic and not self._credentials.username:
            basic = None
        return bearer if bearer and (bearer[1].get("realm") or not basic) else basic

    def _renew(self, extra: str) -> _Token:
        scheme, parameters = self._challenges[extra]
        if scheme == "basic":
            token = _Token(self._credentials.basic)
        else:
            token = self._ask(parameters, [self._scope, *([extra] if extra else [])])
        self._tokens[extra] = token
        return token

    def _ask(self, parameters: Mapping[str, str], scopes: list[str]) -> _Token:
        realm, service = parameters.get("realm", ""), parameters.get("service", "")
        if not self._transport.is_safe(realm):
            raise RegistryError(
                f"The registry names {realm or 'no address'} as its token service, where a password would not be safe: "
                "it must be an https address, or plain HTTP be allowed."
            )
        started = time.monotonic()
        answer = (
            self._post(realm, service, scopes)
            if self._credentials.identity_token
            else self._get(realm, service, scopes)
        )
        if answer.status in {404, 405} and self._credentials.username:
            answer = self._post(realm, service, scopes)
        try:
            document = parse_json(answer.body)
            token = document.get("token") or document["access_token"]
            lifetime = float(document.get("expires_in") or _LIFETIME)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TokenRefusedError(host_of(realm), answer, self._credentials) from None
        return _Token(f"Bearer {token}", started + _FRESH * lifetime)

    def _get(self, realm: str, service: str, scopes: list[str]) -> Answer:
        query = [("service", service), *(("scope", scope) for scope in scopes)]
        headers = {"Authorization": self._credentials.basic} if self._credentials.username else {}
        joined = f"{realm}{'&' if split(realm).query else '?'}{urlencode([item for item in query if item[1]])}"
        return self._transport.send("GET", joined, headers)

    def _post(self, realm: str, service: str, scopes: list[str]) -> Answer:
        form = {"client_id": "roadie", "service": service, "scope": " ".join(scopes)}
        if self._credentials.identity_token:
            form |= {"grant_type": "refresh_token", "refresh_token": self._credentials.identity_token}
        else:
            form |= {
                "grant_type": "password",
                "username": self._credentials.username,
                "password": self._credentials.password,
            }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._transport.send("POST", realm, headers, urlencode(form).encode())


class TokenRefusedError(RegistryError):
    """The token service gave no token; a busy or broken one may give one later."""

    def __init__(self, host: str, answer: Answer, credentials: Credentials) -> None:
        self.status = answer.status
        self.retryable, self.retry_after = is_passing(answer.status), retry_after(answer)
        words = words_of(answer, credentials.secrets)
        said = f"HTTP {answer.status}{f': {words}' if str(words) else ''}"
        if self.retryable:
            advice = "it is busy or broken, try again later"
        elif credentials:
            advice = "check the registry credentials"
        else:
            advice = "log in first, there are no credentials for this registry"
        super().__init__(f"The token service {host} gave no token ({said}): {advice}.")


def _is_final(challenge: tuple[str, Mapping[str, str]]) -> bool:
    """Whether a challenge to a request that had credentials says that others will not help."""
    scheme, parameters = challenge
    return scheme != "bearer" or parameters.get("error") == "insufficient_scope"
