"""Who commits, and with which key."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import UsageError
from roadie.gitops.access import private_copy

_AUTHOR = re.compile(r"\s*([^<>\x00-\x1f]*[^<>\x00-\x20])\s*<([^<>\x00-\x20]+)>\s*")


@dataclass(frozen=True)
class Signature:
    """The author as `Name <mail>`, and the key to sign with: a GPG key's id or an SSH key's file, or ""."""

    author: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if self.author and not _AUTHOR.fullmatch(self.author):
            raise UsageError(f"{self.author[:80]!r} is not an author; write it like Roadie <roadie@example.com>")

    def people(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Author and committer as git's variables; without an author, those of the environment, or Roadie."""
        name = environ.get("GIT_AUTHOR_NAME") or "Roadie"
        mail = environ.get("GIT_AUTHOR_EMAIL") or "roadie@localhost"
        found = _AUTHOR.fullmatch(self.author)
        if found:
            name, mail = found.groups()
        people: dict[str, str] = {}
        for who in ("AUTHOR", "COMMITTER"):
            people |= {f"GIT_{who}_NAME": name, f"GIT_{who}_EMAIL": mail}
        return people

    def options(self, private: Path) -> list[str]:
        """What makes git sign by this key: options before the command; a copy of an SSH key is put at `private`."""
        if not self.key:
            return []
        if not Path(self.key).is_file():
            return ["-c", f"user.signingKey={self.key}"]
        return ["-c", "gpg.format=ssh", "-c", f"user.signingKey={private_copy(Path(self.key), private)}"]
