"""Addresses of repositories, as the Git hosts and people write them: by what they are told apart."""

import re
from urllib.parse import urlsplit

# user@host:path, as ssh's own tools write an address
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)")
# Ports say how a repository is reached, not which one it is; another port of the web may be another server.
_PORTS = {"https": 443, "http": 80}


def normalise(repository: str) -> str:
    """A repository's address by which it is told from others: `git.example.com/team/model`.

    Scheme, credentials, `.git` and a usual port do not tell repositories apart, nor do capital letters of the host.
    """
    address = repository.strip()
    if "://" in address:
        host, path = _of_url(address)
    elif found := _SCP_LIKE.fullmatch(address):
        host, path = found["host"].lower(), found["path"]
    else:
        host, _, path = address.rpartition("@")[2].partition("/")
        host = host.lower()
    return f"{host}/{path.strip('/').removesuffix('.git')}".strip("/")


def _of_url(address: str) -> tuple[str, str]:
    """Host and path; what is no address, whoever sent it, stays as it is."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return address, ""
    if port and port != _PORTS.get(parts.scheme, port):
        host = f"{host}:{port}"
    return host, parts.path
