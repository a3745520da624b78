"""A real SSH server (OpenSSH) on loopback that lets one key in."""

import contextlib
import getpass
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import free_port, require, running

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


@dataclass(frozen=True)
class SshServer:
    """`prefix` and an absolute path are a repository's URL; `key` may enter, `known_hosts` holds the server's key."""

    prefix: str
    key: Path
    known_hosts: Path


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[SshServer]:
    """Run sshd with keys made in `folder` until the block ends."""
    remedy = "apt-get install openssh-server"
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or require("sshd", remedy)
    keygen = require("ssh-keygen", "apt-get install openssh-client")
    folder.mkdir()
    for name in ("host", "client"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "client.pub").read_text())
    port = free_port()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
    # sshd insists on its folder for privilege separation, which a service manager makes elsewhere.
    with contextlib.suppress(PermissionError):
        Path("/run/sshd").mkdir(exist_ok=True)
    with running([sshd, "-D", "-e", "-f", str(folder / "config")], port, folder / "log"):
        yield SshServer(f"ssh://{getpass.getuser()}@127.0.0.1:{port}", folder / "client", folder / "known")
