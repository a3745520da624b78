"""Making a connection: TLS or not, by way of a proxy or not, and what it means when there is none."""

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from roadie.errors import RegistryError, UsageError
from roadie.modelcar.access import Access

_LOOPBACK = ("127.", "localhost", "[::1]")


class ConnectionFailedError(RegistryError):
    """The connection broke, timed out or could not be made: nothing is known of what the server did.

    `retryable` is False where a second try cannot help: an untrusted certificate, a name without an address.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Connector:
    """Opens connections as `access` says; plain HTTP goes to loopback alone, unless it was asked for."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def scheme(self, host: str) -> str:
        """`http` on loopback or when it was asked for, otherwise `https`; a CA file always means `https`."""
        plain = self._access.plain_http or host.startswith(_LOOPBACK)
        return "http" if plain and not self._access.ca_file else "https"

    def is_allowed(self, parts: SplitResult) -> bool:
        """Whether a URL may be followed; a registry may name others in redirects and as its token service."""
        plain = self._access.plain_http or parts.netloc.startswith(_LOOPBACK)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and plain))

    def connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        """An open connection to the server of a URL; OSError when there is none."""
        if not self.is_allowed(parts):
            raise RegistryError(
                f"{parts.netloc or 'The registry'} would be reached without TLS: allow plain HTTP if that is safe here."
            )
        host, port, timeout = parts.hostname or "", parts.port, self._access.timeout
        proxy = _proxy(parts)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            at = (proxy.hostname or "", proxy.port) if proxy else (host, port)
            connection = http.client.HTTPSConnection(*at, timeout=timeout, context=self._tls_context())
            if proxy:
                connection.set_tunnel(host, port, _proxy_headers(proxy))
        elif proxy:
            connection = ProxiedConnection(proxy.hostname or "", proxy.port, timeout=timeout)
            connection.proxy_headers = _proxy_headers(proxy)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        connection.connect()
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context()
                if path := self._access.ca_file:
                    try:
                        self._tls.load_verify_locations(path)
                    except OSError as error:
                        why = error.strerror or "no certificate in it"
                        raise UsageError(f"CA file {path} cannot be used ({why}): give a PEM file.") from error
            return self._tls


class ProxiedConnection(http.client.HTTPConnection):
    """Plain HTTP by way of a proxy, which wants the whole URL in the request line."""

    proxy_headers: Mapping[str, str]


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The proxy for a URL from http_proxy, https_proxy and no_proxy, in either case; never for loopback."""
    name = f"{parts.scheme}_proxy"
    value = os.environ.get(name) or os.environ.get(name.upper())
    if not value or parts.netloc.startswith(_LOOPBACK):
        return None
    from urllib.request import proxy_bypass

    proxy = urlsplit(value if "://" in value else f"http://{value}")
    return None if proxy_bypass(parts.netloc) or not proxy.hostname else proxy


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    from base64 import b64encode

    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def failure(method: str, host: str, timeout: float, error: Exception, *, absent: bool) -> ConnectionFailedError:
    """What an exception of sockets, TLS or http.client means; `absent` when the server was never there."""
    if isinstance(error, TimeoutError):
        return ConnectionFailedError(f"{host} did not go on with {method} within {timeout:g} s: is it overloaded?")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailedError(
            f"The certificate of {host} is not trusted ({error.verify_message}): give its CA file.", retryable=False
        )
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in str(error):
        return ConnectionFailedError(
            f"{host} does not speak TLS: allow plain HTTP if that is what you want.", retryable=False
        )
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailedError(
            f"{host} refuses connections: is the registry running, and is this its port?", retryable=not absent
        )
    if isinstance(error, socket.gaierror):
        return ConnectionFailedError(f"{host} has no address: is the registry's name right?", retryable=False)
    return ConnectionFailedError(f"The connection to {host} broke at {method} ({type(error).__name__}): try again.")
