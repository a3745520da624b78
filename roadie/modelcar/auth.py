"""Who we are to a registry: nobody, a name and password, or a bearer token that a token service gives for a while.

The protocols are the distribution project's "Token Authentication Specification" (GET) and "OAuth2 Token
Authentication" (POST).
"""

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.credentials import Credentials
from roadie.modelcar.transport import Transport
from roadie.modelcar.urls import host_of, same_origin, split

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
# The specification's default and least lifetime of a token, in seconds.
_LIFETIME = 60.0
# Renewed when this share of its life is over: a token that expires during a request costs the whole request.
_FRESH = 0.7


@dataclass(frozen=True)
class _Token:
    header: str = field(repr=False)
    renew_at: float = float("inf")


def parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    """The scheme in lower case and the parameters of a WWW-Authenticate header (RFC 9110, 11.6.1)."""
    scheme, _, rest = header.strip().partition(" ")
    return scheme.lower(), {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}


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
            scheme, parameters = parse_challenge(answer.headers.get("www-authenticate", ""))
            refused = bool(token) and (scheme != "bearer" or parameters.get("error") == "insufficient_scope")
            if refused or scheme not in {"basic", "bearer"} or (scheme == "basic" and not self._credentials.username):
                return False
            self._challenges[extra] = (scheme, parameters)
            self._renew(extra)
            return True

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
            document = json.loads(answer.body)
            token = document.get("token") or document["access_token"]
            lifetime = float(document.get("expires_in") or _LIFETIME)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TokenRefusedError(host_of(realm), answer.status) from None
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

    def __init__(self, host: str, status: int) -> None:
        super().__init__(f"The token service {host} gave no token (HTTP {status}): check the registry credentials.")
        self.retryable = status in {429, 500, 502, 503, 504}
