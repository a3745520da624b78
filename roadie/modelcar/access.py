"""How a registry is reached, and what it answers: values without HTTP behind them, which is slow to import."""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from roadie.errors import UsageError

PATIENCE = 600.0


class Clock:
    """The time that retries see, in seconds; tests hand in one of their own."""

    def now(self) -> float:
        """The time since some moment."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait; True when `stop` was set meanwhile."""
        return stop.wait(seconds)


@dataclass(frozen=True)
class Access:
    """How a registry is reached. `timeout` is in seconds and holds for every single socket operation.

    `patience` is how many seconds a registry may be away before that fails anything. One that has never answered is
    taken for a wrong address and hardly waited for, unless it is `known` to be right.
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
    patience: float = PATIENCE
    known: bool = False
    clock: Clock = field(default_factory=Clock, repr=False, compare=False)

    @classmethod
    def from_environment(cls) -> "Access":
        """What a step is told by variables.

        REGISTRY_CA_FILE, REGISTRY_PLAIN_HTTP (1 or true), REGISTRY_PATIENCE (seconds), REGISTRY_MAX_UNPACKED (bytes).
        """
        plain = os.environ.get("REGISTRY_PLAIN_HTTP", "").lower() in {"1", "true"}
        ca_file = os.environ.get("REGISTRY_CA_FILE", "")
        return cls(
            plain_http=plain,
            ca_file=ca_file,
            max_unpacked=_number("REGISTRY_MAX_UNPACKED", 0),
            patience=_number("REGISTRY_PATIENCE", int(PATIENCE)),
        )


def _number(name: str, default: int) -> int:
    """A variable that is a whole number."""
    text = os.environ.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(f"{name} is {text!r}, which is no whole number: set it right, or unset it.")
    return int(text or default)


@dataclass(frozen=True)
class Answer:
    """What a server said: status, headers in lower case, and a body of at most 8 MiB (blobs are streamed).

    `origin` is the scheme and host that was asked at last, `proxy` the host that a request in plain HTTP went by, and
    that may have answered in the server's place.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    origin: str = ""
    proxy: str = ""
