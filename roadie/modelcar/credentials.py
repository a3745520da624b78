"""Where a user's name and password for a registry come from.

The order: what was given explicitly, REGISTRY_USERNAME with REGISTRY_PASSWORD (both for the registry of the image
alone, never for the one a base comes from), then the files that docker and podman write, and the secret that a cluster
mounts.
"""

import base64
import binascii
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadie.errors import UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.reference import Reference

MOUNTED_SECRET = Path("/var/run/secrets/roadie/registry/.dockerconfigjson")
_HELPER_TIMEOUT = 30.0


@dataclass(frozen=True)
class Credentials:
    """A name with a password, or an identity token that a token service takes in its place."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(secret for secret in (self.password, self.identity_token) if secret)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(reference: Reference, access: Access, environment: Mapping[str, str] | None = None) -> Credentials:
    """The credentials for a registry; empty ones when there are none. UsageError for a file that cannot be read."""
    environment = os.environ if environment is None else environment
    if access.username:
        return Credentials(access.username, access.password)
    if access.own and environment.get("REGISTRY_USERNAME"):
        if not environment.get("REGISTRY_PASSWORD"):
            raise UsageError("REGISTRY_USERNAME is set and REGISTRY_PASSWORD is not: set both, or neither.")
        return Credentials(environment["REGISTRY_USERNAME"], environment["REGISTRY_PASSWORD"])
    for path in _files(environment):
        if found := _from_file(path, reference, environment):
            return found
    return Credentials()


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    if path := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(path)
    if path := environment.get("DOCKER_CONFIG"):
        yield Path(path, "config.json")
    yield MOUNTED_SECRET
    if path := environment.get("XDG_RUNTIME_DIR"):
        yield Path(path, "containers", "auth.json")
    if environment.get("HOME"):
        yield _home_file(environment)


def _home_file(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME", ""), ".docker", "config.json")


def _from_file(path: Path, reference: Reference, environment: Mapping[str, str]) -> Credentials:
    try:
        config = json.loads(path.read_text("utf-8"))
        helpers, auths = config.get("credHelpers") or {}, config.get("auths") or {}
        for key in _keys(reference):
            if helper := helpers.get(key):
                return _ask_helper(helper, key, environment)
            if (entry := auths.get(key)) and (found := _from_entry(entry)):
                return found
        if store := config.get("credsStore"):
            return _ask_helper(store, _keys(reference)[-1], environment)
    except (FileNotFoundError, NotADirectoryError):
        if str(path) == environment.get("REGISTRY_AUTH_FILE"):
            raise UsageError(
                f"REGISTRY_AUTH_FILE names {path}, which is not there: log in with it, or unset it."
            ) from None
        return Credentials()
    except OSError as error:
        # A container's arbitrary user is often given root's home.
        if isinstance(error, PermissionError) and path == _home_file(environment):
            return Credentials()
        raise UsageError(f"{path} cannot be read ({error.strerror}): make it readable or remove it.") from error
    except (ValueError, AttributeError, TypeError) as error:
        # Not chained: the text of a decoding error quotes what it could not read.
        raise UsageError(f"{path} is not a Docker configuration ({type(error).__name__}): log in again.") from None
    return Credentials()


def _keys(reference: Reference) -> list[str]:
    """Names under which a file may hold the credentials, most specific first (containers-auth.json(5))."""
    host, parts = reference.registry, reference.repository.split("/")
    keys = ["/".join([host, *parts[:count]]) for count in range(len(parts), 0, -1)]
    keys += [host, f"https://{host}", f"https://{host}/v1/", f"https://{host}/v2/", f"http://{host}"]
    return [*keys, "https://index.docker.io/v1/"] if host in {"docker.io", "index.docker.io"} else [*keys, host]


def _from_entry(entry: Mapping[str, Any]) -> Credentials:
    if token := entry.get("identitytoken"):
        return Credentials(identity_token=str(token))
    if auth := entry.get("auth"):
        try:
            username, _, password = base64.b64decode(auth, validate=True).decode().rstrip("\0").partition(":")
        except binascii.Error:
            raise ValueError from None
        return Credentials(username, password)
    return Credentials(str(entry.get("username") or ""), str(entry.get("password") or ""))


def _ask_helper(helper: str, server: str, environment: Mapping[str, str]) -> Credentials:
    """Ask docker-credential-HELPER (docker-credential-helpers protocol); none when it knows none."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            timeout=_HELPER_TIMEOUT,
            env=dict(environment),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{program} did not run ({type(error).__name__}): install it, or log in without it.") from None
    if done.returncode:
        return Credentials()
    answer = json.loads(done.stdout)
    username, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    return Credentials(identity_token=secret) if username == "<token>" else Credentials(username, secret)
