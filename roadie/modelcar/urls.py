"""URLs as registries use them."""

import contextlib
import ipaddress
from urllib.parse import SplitResult, urljoin, urlsplit

from roadie.errors import RegistryError

_PORTS = {"http": 80, "https": 443}


def split(url: str) -> SplitResult:
    """The parts of a URL, which may come from a registry; RegistryError when it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is looked at only now
    except ValueError as error:
        raise RegistryError(f"The registry names {url[:80]!r}, which is no address: is it one at all?") from error
    return parts


def absolute(asked: str, location: str) -> str:
    """The Location in the answer to `asked`, which may be relative, as a URL.

    One server has many spellings: capitals, a default port, a final dot. A registry behind a proxy that ends TLS may
    name itself by http. All these are taken as the address it was reached by; user information is dropped.
    """
    if not location:
        raise RegistryError(f"{host_of(asked)} sent no Location: it does not speak the OCI distribution protocol.")
    split(location)
    here, parts = split(asked), split(urljoin(asked, location))
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    if _is_same_server(here, parts):
        parts = parts._replace(scheme=here.scheme, netloc=here.netloc)
    return parts.geturl()


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs lead to the same server in the same way, so that credentials for one may go to the other."""
    first, second = split(one), split(other)
    return (first.scheme, host_name(first), _port(first)) == (second.scheme, host_name(second), _port(second))


def host_of(url: str) -> str:
    """The host and port, and nothing of the query, which may carry a registry's session state."""
    return split(url).netloc.rpartition("@")[2]


def host_name(parts: SplitResult) -> str:
    """The host in the spelling that hosts are compared by."""
    name = (parts.hostname or "").rstrip(".")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    if not name.isascii():
        with contextlib.suppress(UnicodeError):
            return name.encode("idna").decode()
    return name


def is_loopback(parts: SplitResult) -> bool:
    """Whether a URL leads to this machine, by its host's address and not by how it is spelt."""
    name = host_name(parts)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _is_same_server(here: SplitResult, parts: SplitResult) -> bool:
    """The same host; and the same port, or the usual one of either scheme."""
    ports = {_port(here), _port(parts)}
    usual = _port(here) == _PORTS.get(here.scheme) and _port(parts) == _PORTS.get(parts.scheme)
    return host_name(here) == host_name(parts) and (len(ports) == 1 or usual)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 0)
