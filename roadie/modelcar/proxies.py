"""Which proxy a request takes: http_proxy, https_proxy and no_proxy, in either case, as curl and Go read them."""

import ipaddress
import os
import re
from urllib.parse import SplitResult, unquote, urlsplit

from roadie.modelcar.urls import host_name, is_loopback


def proxy_for(parts: SplitResult) -> SplitResult | None:
    """The proxy for a URL; none for loopback, and none for what no_proxy names."""
    value = _variable(f"{parts.scheme}_proxy")
    if not value or is_loopback(parts):
        return None
    proxy = urlsplit(value if "://" in value else f"http://{value}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return None if not proxy.hostname or is_exempt(host_name(parts), port, _variable("no_proxy")) else proxy


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether an entry of `no_proxy` names the host: an address, a network (CIDR), a domain with all below it, or `*`.

    An entry may end in a port, and then holds for that alone.
    """
    return any(_matches(host, port, entry) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """What the proxy is told of who we are."""
    if not proxy.username:
        return {}
    from base64 import b64encode

    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _matches(host: str, port: int, entry: str) -> bool:
    name, colon, entry_port = entry.rpartition(":")
    if not colon or not entry_port.isdigit() or (":" in name and not name.endswith("]")):
        name, entry_port = entry, ""
    if entry_port and int(entry_port) != port:
        return False
    name = name.strip("[]")
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        domain = name.lstrip("*").strip(".")
        return name == "*" or (bool(domain) and (host == domain or host.endswith(f".{domain}")))
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""
