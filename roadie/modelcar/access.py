"""How a registry is reached, and what it answers: values without HTTP behind them, which is slow to import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from roadie.errors import UsageError


@dataclass(frozen=True)
class Access:
    """How a registry is reached. `timeout` is in seconds and holds for every single socket operation.

    `max_unpacked` is how many bytes a pulled image may unpack to; 0 for the rule in unpack.py.

    Without `username` the credentials come from the environment and Docker's configuration files (credentials.py);
    the environment's REGISTRY_USERNAME only when `own`: a base's registry must not get the image's password.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    plain_http: bool = False
    ca_file: str = ""
    timeout: float = 60.0
    own: bool = True
    max_unpacked: int = 0

    @classmethod
    def from_environment(cls) -> "Access":
        """What a step is told by REGISTRY_CA_FILE, REGISTRY_PLAIN_HTTP (1, true) and REGISTRY_MAX_UNPACKED (bytes)."""
        plain = os.environ.get("REGISTRY_PLAIN_HTTP", "").lower() in {"1", "true"}
        ca_file = os.environ.get("REGISTRY_CA_FILE", "")
        return cls(plain_http=plain, ca_file=ca_file, max_unpacked=_number("REGISTRY_MAX_UNPACKED"))


def _number(name: str) -> int:
    """A variable that is a whole number, 0 when it is not set."""
    text = os.environ.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(f"{name} is {text!r}, which is no whole number: set it right, or unset it.")
    return int(text or 0)


@dataclass(frozen=True)
class Answer:
    """What a server said: status, headers in lower case, and a body of at most 8 MiB (blobs are streamed)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
