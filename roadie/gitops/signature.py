"""Who commits, and with which key."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import UsageError
from roadie.gitops.access import private_copy

_AUTHOR = re.compile(r"\s*([^<>\x00-\x1f]*[^<>\x00-\x20])\s*<([^<>\x00-\x20]+)>\s*")


_YES, _NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Signature:
    """What a host's push rules ask of a commit.

    The author as `Name <mail>`, the key to sign with (a GPG key's id or an SSH key's file, or ""), whether to sign
    off, and the pattern of the subject, in which `{subject}` stands for what it would be ("" for just that).
    """

    author: str = ""
    key: str = ""
    sign_off: bool = False
    subject: str = ""

    @classmethod
    def from_environment(cls, author: str = "", key: str = "", environ: Mapping[str, str] = os.environ) -> "Signature":
        """What is given here, and else what GIT_SIGNING_KEY, GIT_SIGN_OFF and GIT_COMMIT_SUBJECT say.

        Raises:
            UsageError: one of them is malformed.
        """
        asked = environ.get("GIT_SIGN_OFF", "").strip().lower()
        if asked not in _YES | _NO:
            raise UsageError(f"GIT_SIGN_OFF is {asked[:80]!r}; set it to true or false")
        subject = environ.get("GIT_COMMIT_SUBJECT", "").strip()
        return cls(author, key or environ.get("GIT_SIGNING_KEY", ""), asked in _YES, subject)

    def __post_init__(self) -> None:
        if self.author and not _AUTHOR.fullmatch(self.author):
            raise UsageError(f"{self.author[:80]!r} is not an author; write it like Roadie <roadie@example.com>")
        if self.subject and ("{subject}" not in self.subject or not self.subject.isprintable()):
            raise UsageError(
                f"GIT_COMMIT_SUBJECT is {self.subject[:80]!r}; write one line that holds {{subject}}, such as"
                " 'chore(deploy): {subject}'"
            )

    def words(self, text: str) -> str:
        """The message `text`, which ends in trailers, with the subject as the pattern has it, and signed off."""
        subject, line_break, rest = text.partition("\n")
        if self.subject:
            subject = self.subject.replace("{subject}", subject)
        people = self.people()
        signed = f"Signed-off-by: {people['GIT_COMMITTER_NAME']} <{people['GIT_COMMITTER_EMAIL']}>\n"
        return subject + line_break + rest + (signed if self.sign_off else "")

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
