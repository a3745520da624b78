"""Making a connection: TLS or not, by way of a proxy or not, and what it means when there is none."""

import errno
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult

from roadie.errors import RegistryError, UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.proxies import proxy_for, proxy_headers
from roadie.modelcar.retry import BRIEF, is_passing
from roadie.modelcar.urls import is_loopback, split


class ConnectionFailedError(RegistryError):
    """The connection broke, timed out or could not be made: nothing is known of what the server did.

    `retryable` is False where a second try cannot help, such as an untrusted certificate; `brief` where it hardly will,
    since the server has never answered.
    """

    def __init__(self, message: str, *, retryable: bool = True, brief: bool = False) -> None:
        super().__init__(message)
        self.retryable, self.most = retryable, BRIEF if brief else float("inf")


class Connector:
    """Opens connections as `access` says; plain HTTP goes to loopback alone, unless it was asked for.

    And to loopback only from loopback: a registry elsewhere must not make this machine ask itself.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._from_here = True
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def scheme(self, host: str) -> str:
        """How the registry at `host` is asked.

        By `http` on loopback or when it was asked for, otherwise by `https`; a CA file always means `https`.
        """
        self._from_here = is_loopback(split(f"//{host}"))
        plain = self._access.plain_http or self._from_here
        return "http" if plain and not self._access.ca_file else "https"

    def is_allowed(self, parts: SplitResult) -> bool:
        """Whether a URL may be followed; a registry may name others in redirects and as its token service."""
        plain = self._access.plain_http or (self._from_here and is_loopback(parts))
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and plain))

    def connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        """An open connection to the server of a URL; OSError when there is none."""
        if not self.is_allowed(parts):
            raise RegistryError(
                f"{parts.netloc or 'The registry'} would be reached without TLS: allow plain HTTP if that is safe here."
            )
        host, port, timeout = parts.hostname or "", parts.port, self._access.timeout
        proxy = proxy_for(parts)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            at = (proxy.hostname or "", proxy.port) if proxy else (host, port)
            connection = http.client.HTTPSConnection(*at, timeout=timeout, context=self._tls_context())
            if proxy:
                connection.set_tunnel(host, port, proxy_headers(proxy))
        elif proxy:
            connection = ProxiedConnection(proxy.hostname or "", proxy.port, timeout=timeout)
            connection.proxy_headers = proxy_headers(proxy)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.connect()
        except OSError as error:
            if proxy and str(error).startswith("Tunnel connection failed"):
                raise _tunnel_refused(proxy, host, str(error)) from error
            raise
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


def _tunnel_refused(proxy: SplitResult, host: str, said: str) -> ConnectionFailedError:
    status = re.search(r"[0-9]{3}", said)
    return ConnectionFailedError(
        f"The proxy {proxy.hostname} does not let {host} through ({said}): ask who runs it, or name it in NO_PROXY.",
        retryable=bool(status) and is_passing(int(status[0])) if status else False,
    )


def failure(method: str, host: str, timeout: float, error: Exception, *, absent: bool) -> ConnectionFailedError:
    """What an exception of sockets, TLS or http.client means; `absent` when the server has never answered."""
    if isinstance(error, TimeoutError):
        said = f"{host} did not go on with {method} within {timeout:g} s: is it overloaded?"
        return ConnectionFailedError(said, brief=absent)
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"The certificate of {host} is not trusted ({error.verify_message}): give its CA file."
        return ConnectionFailedError(said, retryable=False)
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in str(error):
        said = f"{host} does not speak TLS: allow plain HTTP (REGISTRY_PLAIN_HTTP=1) if that is what you want."
        return ConnectionFailedError(said, retryable=False)
    if said := _unreachable(host, error):
        return ConnectionFailedError(said, retryable=not absent)
    said = f"The connection to {host} broke at {method} ({type(error).__name__}): try again."
    return ConnectionFailedError(said, brief=absent)


def _unreachable(host: str, error: Exception) -> str:
    """What it means that there was no connection at all; empty where it was not that."""
    if isinstance(error, ConnectionRefusedError):
        return f"{host} refuses connections: is the registry running, and is this its port?"
    if isinstance(error, socket.gaierror):
        return f"{host} has no address: is the registry's name right?"
    if isinstance(error, OSError) and error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return f"There is no way to {host} ({error.strerror}): is the network up?"
    return ""
