"""Every way into a Git host: TLS with a private CA, proxies, SSH; and every way to be kept out, by name."""

import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadie.errors import GitOpsError
from roadie.gitops import Access, Edit, bump, create_bare, read_value
from tests.servers import git_http, sshd
from tests.servers.git_http import GitServer
from tests.servers.process import require

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
FILE, KEY = "test/values.yaml", "applications.jukebox.values.version"
EDITS = [Edit(FILE, KEY, "1.2.0")]


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    """A server whose certificate is its own CA's: tmp_path/ca.pem."""
    openssl = require("openssl", "apt-get install openssl")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    pem = tmp_path / "server.pem"
    pem.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "ca.pem").read_text())
    with git_http.serving(tmp_path / "repositories", pem) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.create("x.git", EXAMPLE)
        yield server


def test_a_private_ca_is_named_by_its_file(
    tls_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(GitOpsError, match="certificate .* is not trusted; name its CA's file in GIT_CA_FILE"):
        bump(f"{tls_server.url}/x.git", EDITS)
    monkeypatch.setenv("GIT_CA_FILE", str(tmp_path / "ca.pem"))
    assert bump(f"{tls_server.url}/x.git", EDITS).changed


class _Tunnel(socketserver.StreamRequestHandler):
    """A CONNECT proxy (RFC 9110, section 9.3.6)."""

    def handle(self) -> None:
        lines = []
        while line := self.rfile.readline().strip():
            lines.append(line.decode())
        self.server.seen.extend(lines)  # type: ignore[attr-defined]
        host, _, port = lines[0].split()[1].partition(":")
        with socket.create_connection((host, int(port))) as upstream:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self._pump, args=(upstream, self.connection))
            back.start()
            self._pump(self.connection, upstream)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_a_proxy_is_used_with_its_own_credentials(
    tls_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CA_FILE", str(tmp_path / "ca.pem"))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Tunnel) as proxy:
        proxy.daemon_threads = True
        proxy.seen = []  # type: ignore[attr-defined]
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pr0xy-secret@127.0.0.1:{proxy.server_address[1]}")
        assert bump(f"{tls_server.url}/x.git", EDITS).changed
        proxy.shutdown()
    assert any(line.startswith("CONNECT 127.0.0.1") for line in proxy.seen)  # type: ignore[attr-defined]


def test_a_proxy_that_is_away_is_told_without_its_password(
    tls_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pr0xy-secret@127.0.0.1:9")
    with pytest.raises(GitOpsError, match="cannot be reached; check the address, the network and the proxy") as away:
        bump(f"{tls_server.url}/x.git", EDITS, budget=1)
    assert "pr0xy-secret" not in str(away.value)


def test_a_key_and_known_hosts_let_a_bump_in_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_bare(EXAMPLE, tmp_path / "x.git")
    with sshd.serving(tmp_path / "ssh") as server:
        repo = f"{server.prefix}{tmp_path}/x.git"
        # As a secret is mounted: readable by all, and without the final line break that ssh wants.
        mounted = tmp_path / "mounted"
        mounted.write_text(server.key.read_text().rstrip("\n"))
        mounted.chmod(0o644)
        monkeypatch.setenv("GIT_SSH_KEY_FILE", str(mounted))
        monkeypatch.setenv("GIT_SSH_KNOWN_HOSTS_FILE", str(server.known_hosts))
        assert bump(repo, EDITS).changed
        assert read_value(repo, FILE, KEY).value == "1.2.0"

        server.known_hosts.write_text("")
        with pytest.raises(GitOpsError, match="host key .* is not known; add it to .* GIT_SSH_KNOWN_HOSTS_FILE"):
            bump(repo, EDITS)


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    with sshd.serving(tmp_path / "ssh") as server:
        access = Access(ssh_key=tmp_path / "ssh" / "host", known_hosts=server.known_hosts)
        with pytest.raises(GitOpsError, match="does not accept the SSH key; check GIT_SSH_KEY_FILE"):
            bump(f"{server.prefix}{tmp_path}/x.git", EDITS, access=access)


def test_credentials_may_be_mounted_as_files(
    git_server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = git_server.create("x.git", EXAMPLE)
    for name, value in git_server.environment.items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(value + "\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    assert bump(repo, EDITS).changed


def test_a_user_may_stand_in_the_url_but_no_password(git_server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    git_server.create("x.git", EXAMPLE)
    monkeypatch.delenv("GIT_USERNAME")
    assert bump(git_server.url.replace("://", f"://{git_server.username}@") + "/x.git", EDITS).changed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("GH006: Protected branch update failed for refs/heads/main.", "protects the branch .* open a review"),
        ("GitLab: You are not allowed to push code to protected branches on this project.", "protects the branch"),
        ("no deployments on Fridays", "refused the push; its rules or a hook forbid it"),
    ],
)
def test_a_refused_push_fails_at_once(git_server: GitServer, words: str, sentence: str) -> None:
    repo = git_server.create("x.git", EXAMPLE)
    hook = git_server.root / "x.git" / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitOpsError, match=sentence):
        bump(repo, EDITS)
    assert sum(request.startswith("POST") and "receive-pack" in request for request in git_server.requests) == 1
    assert read_value(repo, FILE, KEY).value == "latest"
