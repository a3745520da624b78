"""How git gets in: credentials, keys and certificates, handed to git through its environment only.

Nothing secret is in a URL, an argument, a file of the repository or a message: the password is a header in
GIT_CONFIG_* variables (git-config(1)), the key as a private file that git's ssh is pointed at.
"""

import base64
import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from roadie.errors import GitOpsError, UsageError

# GitHub, GitLab, Gitea and Forgejo take a token as the password of any user.
TOKEN_USER = "x-access-token"  # noqa: S105 - a user's name
# What holds whatever this machine's own git configuration says.
_SETTINGS = [
    # A server that stops answering is given up after a minute.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("core.hooksPath", os.devnull),
    # The repository is gone before it could need any upkeep.
    ("maintenance.auto", "false"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
]
_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Access:
    """Credentials for one Git host; `password` may be a token."""

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Access":
        """Read the GIT_ variables: USERNAME, PASSWORD or TOKEN, SSH_KEY_FILE, SSH_KNOWN_HOSTS_FILE, CA_FILE.

        A mounted secret is named by GIT_USERNAME_FILE, GIT_PASSWORD_FILE or GIT_TOKEN_FILE.
        """
        return cls(
            username=_secret(environ, "GIT_USERNAME"),
            password=_secret(environ, "GIT_PASSWORD") or _secret(environ, "GIT_TOKEN"),
            ssh_key=_path(environ, "GIT_SSH_KEY_FILE"),
            known_hosts=_path(environ, "GIT_SSH_KNOWN_HOSTS_FILE"),
            ca_file=_path(environ, "GIT_CA_FILE"),
        )

    def check(self, repo: str) -> None:
        """Refuse to send a password to `repo` where all on the way could read it (plain HTTP, but not to this machine).

        Raises:
            UsageError: the password would go over plain HTTP.
        """
        url = urlsplit(repo)
        if self.password and url.scheme.lower() == "http" and not is_loopback(url.hostname or ""):
            raise UsageError(
                f"the password for {self.redact(repo)} would go over plain HTTP, where all on the way can read it;"
                " use its https address"
            )

    def environment(self, repo: str, address: str, private: Path) -> dict[str, str]:
        """The variables that let git into `repo`, which is the remote `origin` at `address`.

        `private` is a folder for a copy of the key.
        """
        variables = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
            "LC_ALL": "C",
        }
        settings = [*_SETTINGS, ("remote.origin.url", address)]
        url = urlsplit(repo) if "://" in repo else None
        if url and url.scheme in ("http", "https") and self.password:
            user = self.username or url.username or TOKEN_USER
            token = base64.b64encode(f"{user}:{self.password}".encode()).decode()
            server = f"{url.scheme}://{url.netloc.rpartition('@')[2]}/"
            settings += [
                (f"http.{server}.extraHeader", f"Authorization: Basic {token}"),
                # git would send the header on to wherever it is redirected.
                ("http.followRedirects", "false"),
                ("credential.helper", ""),
            ]
        if self.ca_file:
            variables["GIT_SSL_CAINFO"] = str(self.ca_file)
        if self.ssh_key or self.known_hosts or not os.environ.get("GIT_SSH_COMMAND"):
            variables["GIT_SSH_COMMAND"] = self._ssh_command(private)
        return variables | _as_config(settings)

    def _ssh_command(self, private: Path) -> str:
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=20", "ServerAliveInterval=20"]
        command = ["ssh"]
        if self.ssh_key:
            command += ["-i", str(private_copy(self.ssh_key, private / "ssh-key"))]
            options.append("IdentitiesOnly=yes")
        if self.known_hosts:
            options.append(f"UserKnownHostsFile={self.known_hosts}")
        return shlex.join(command + [part for option in options for part in ("-o", option)])

    def redact(self, text: str) -> str:
        """`text` without the password in any of the forms in which git or curl could repeat it."""
        if self.password:
            pair = f"{self.username or TOKEN_USER}:{self.password}".encode()
            for form in (self.password, quote(self.password, safe=""), base64.b64encode(pair).decode()):
                text = text.replace(form, "***")
        return _IN_URL.sub("***@", text)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its address and not by what a name may come to mean."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _secret(environ: Mapping[str, str], name: str) -> str:
    file = environ.get(f"{name}_FILE")
    if not file:
        return environ.get(name, "")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise GitOpsError(f"{name}_FILE names {file}, which cannot be read; mount the secret there") from None


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    if value and not Path(value).is_file():
        raise GitOpsError(f"{name} names {value}, which is not a file; mount the secret there")
    return Path(value) if value else None


def private_copy(key: Path, copy: Path) -> Path:
    """The key as ssh wants it, private and with a final line break; mounted secrets are often neither."""
    try:
        text = key.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"
    except OSError:
        raise GitOpsError(f"the key {key} cannot be read; mount it where this user may read it") from None
    copy.touch(mode=0o600)
    copy.write_bytes(text)
    return copy


def _as_config(settings: list[tuple[str, str]]) -> dict[str, str]:
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings, start=first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
