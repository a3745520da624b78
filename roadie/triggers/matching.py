"""Which models an event concerns: labels of alerts; repositories, branches and paths of pushes."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from roadie.triggers.config import Model, Push
from roadie.triggers.events import Event

# user@host:path, as ssh's own tools write an address
_SCP_LIKE = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>.+)")
# Ports say how a repository is reached, not which one it is; another port of the web may be another server.
_PORTS = {"https": 443, "http": 80}


def concerned(event: Event, models: Mapping[str, Model]) -> tuple[str, ...]:
    """The names of the models that wait for such an event, in the configuration's order."""
    return tuple(name for name, model in models.items() if _matches(event, name, model))


def _matches(event: Event, name: str, model: Model) -> bool:
    if event.kind == "alert":
        wanted = model.alerts if model.alerts is not None else {"model": name, "retrain": "true"}
        return all(event.labels.get(label) == value for label, value in wanted.items())
    return any(_pushed(event, push) for push in model.pushes)


def _pushed(event: Event, push: Push) -> bool:
    branch, repository = event.names.get("branch", ""), event.names.get("repository", "")
    return (
        normalise(repository) == normalise(push.repository)
        and any(fnmatchcase(branch, pattern) for pattern in push.branches)
        and _touches(event.paths, push.paths)
    )


def _touches(changed: tuple[str, ...] | None, patterns: tuple[str, ...]) -> bool:
    """Whether one of the changed files is meant; when they are not all known (None), one of them may be."""
    if not patterns or changed is None:
        return True
    return any(fnmatchcase(path, pattern) for path in changed for pattern in patterns)


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
