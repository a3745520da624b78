"""A token service as registries use it (distribution's "Token Authentication Specification"), signing with openssl."""

import base64
import contextlib
import json
import subprocess
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.servers.process import require


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost, and its key; both PEM files."""

    certificate: Path
    key: Path


def make_certificate(directory: Path) -> Certificate:
    """A new one, by openssl."""
    openssl = require("openssl", "apt-get install openssl")
    made = Certificate(directory / "certificate.pem", directory / "key.pem")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(made.key), "-out", str(made.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return made


@dataclass
class TokenService:
    """How it behaves, which a test may change, and what it was asked."""

    certificate: Certificate
    username: str
    password: str = field(repr=False)
    realm: str = ""
    name: str = "test-registry"
    issuer: str = "test-issuer"
    methods: frozenset[str] = frozenset({"GET", "POST"})
    lifetime: int = 300
    refresh_token: str = ""
    denied: frozenset[str] = frozenset()
    # Grants tokens to whoever asks without a password, too; and answers so many times with a status instead.
    anonymous: bool = False
    failing: tuple[int, int] = (0, 0)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def token(self, scopes: list[str]) -> str:
        """A signed JSON Web Token (RS256) that grants `scopes`, but none for a repository in `denied`."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            repository, _, actions = rest.rpartition(":")
            if repository not in self.denied:
                access.append({"type": kind, "name": repository, "actions": actions.split(",")})
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": self.username, "aud": self.name, "access": access, "jti": uuid.uuid4().hex}
        claims |= {"iat": now, "nbf": now - 5, "exp": now + self.lifetime}
        der = "".join(self.certificate.certificate.read_text().splitlines()[1:-1])
        header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.certificate.key)]
        signature = subprocess.run(command, input=signed.encode(), capture_output=True, check=True).stdout
        return f"{signed}.{_encode(signature)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def serve_tokens(certificate: Certificate, username: str, password: str) -> Iterator[TokenService]:
    """Run a token service on loopback until the block ends."""
    service = TokenService(certificate, username, password)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.realm = f"http://127.0.0.1:{server.server_port}/token"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: TokenService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            basic = base64.b64encode(f"{service.username}:{service.password}".encode()).decode()
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            sent = self.headers.get("Authorization")
            self._grant("GET", query.get("scope", []), sent == f"Basic {basic}" or (service.anonymous and not sent))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
            by_password = form.get("grant_type") == "password" and (form.get("username"), form.get("password")) == (
                service.username,
                service.password,
            )
            by_token = form.get("grant_type") == "refresh_token" and form.get("refresh_token") == service.refresh_token
            self._grant("POST", form.get("scope", "").split(), by_password or by_token)

        def _grant(self, method: str, scopes: list[str], known: bool) -> None:
            service.asked.append((method, " ".join(scopes)))
            status, times = service.failing
            if times:
                service.failing = (status, times - 1)
                self._answer(status, {"details": "come back later"})
            elif method not in service.methods:
                self._answer(405, {})
            elif not known:
                self._answer(401, {"details": "incorrect username or password"})
            else:
                token = service.token(scopes)
                name = "token" if method == "GET" else "access_token"
                self._answer(200, {name: token, "expires_in": service.lifetime})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the requests are in `asked`."""

    return Handler
