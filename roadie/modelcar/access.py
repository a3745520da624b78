"""How a registry is reached, and what it answers: values without HTTP behind them, which is slow to import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Access:
    """How a registry is reached. `timeout` is in seconds and holds for every single socket operation.

    Without `username` the credentials come from the environment and Docker's configuration files (credentials.py);
    the environment's REGISTRY_USERNAME only when `own`: a base's registry must not get the image's password.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    plain_http: bool = False
    ca_file: str = ""
    timeout: float = 60.0
    own: bool = True

    @classmethod
    def from_environment(cls) -> "Access":
        """What a step in a cluster is told by REGISTRY_CA_FILE and REGISTRY_PLAIN_HTTP (1 or true)."""
        plain = os.environ.get("REGISTRY_PLAIN_HTTP", "").lower() in {"1", "true"}
        return cls(plain_http=plain, ca_file=os.environ.get("REGISTRY_CA_FILE", ""))


@dataclass(frozen=True)
class Answer:
    """What a server said: status, headers in lower case, and a body of at most 8 MiB (blobs are streamed)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
