"""A real OCI registry (distribution) on loopback: open, with a password, with a token service, with TLS."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers.process import free_port, require, running
from tests.servers.token_service import Certificate, TokenService, make_certificate, serve_tokens

HOW_TO_GET_IT = "apt-get install docker-registry"
USERNAME = "stagehand"
PASSWORD = "only-for-tests"
# What `htpasswd -nbB stagehand only-for-tests` prints: distribution takes bcrypt alone.
_HTPASSWD = f"{USERNAME}:$2y$05$abcdefghijklmnopqrstuuDt8u8tY.Zm8YU.pieFNyF5h5afvnc0a\n"


@dataclass(frozen=True)
class RegistryServer:
    """Where the registry answers, who may use it (empty: everyone), and where it keeps its things."""

    host: str
    storage: Path
    log: Path
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which Roadie logs in."""
        return {"REGISTRY_USERNAME": self.username, "REGISTRY_PASSWORD": self.password} if self.username else {}

    def reference(self, repository: str, tag: str = "v1") -> str:
        """A tag in this registry."""
        return f"{self.host}/{repository}:{tag}"

    def blobs(self) -> int:
        """How many blobs it holds in all."""
        return sum(1 for _ in self.storage.glob("docker/registry/v2/blobs/sha256/*/*/data"))

    def uploads(self, repository: str) -> int:
        """How many upload sessions of a repository hold data; distribution leaves the empty folders of ended ones."""
        return sum(1 for _ in self.storage.glob(f"docker/registry/v2/repositories/{repository}/_uploads/*/data"))


@contextlib.contextmanager
def serve_registry(
    directory: Path,
    *,
    auth: Mapping[str, Any] | None = None,
    tls: Certificate | None = None,
    username: str = "",
    port: int = 0,
) -> Iterator[RegistryServer]:
    """Run a registry that keeps everything in `directory`; `auth` is that part of its configuration."""
    program = require("docker-registry", HOW_TO_GET_IT)
    port = port or free_port()
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "only-for-tests"}
    if tls:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    configuration: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}},
        "http": http,
    }
    if auth:
        configuration["auth"] = dict(auth)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "registry.yml"
    path.write_text(json.dumps(configuration))  # JSON is YAML
    log = directory / "registry.log"
    with running([program, "serve", str(path)], port, log, env={"OTEL_TRACES_EXPORTER": "none"}):
        password = PASSWORD if username else ""
        ca_file = str(tls.certificate) if tls else ""
        yield RegistryServer(f"127.0.0.1:{port}", directory / "storage", log, username, password, ca_file)


def htpasswd(directory: Path) -> dict[str, Any]:
    """The `auth` configuration for the one user."""
    path = directory / "htpasswd"
    path.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "roadie", "path": str(path)}}


def token_auth(service: TokenService) -> dict[str, Any]:
    """The `auth` configuration that sends clients to a token service."""
    return {
        "token": {
            "realm": service.realm,
            "service": service.name,
            "issuer": service.issuer,
            "rootcertbundle": str(service.certificate.certificate),
        }
    }


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """An open registry; use a repository of your own in it."""
    with serve_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="session")
def registry_htpasswd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry that wants the name and password by basic authentication."""
    directory = tmp_path_factory.mktemp("registry-htpasswd")
    with serve_registry(directory, auth=htpasswd(directory), username=USERNAME) as server:
        yield server


@pytest.fixture(scope="session")
def registry_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """An open registry behind TLS, with a certificate that only `ca_file` vouches for."""
    directory = tmp_path_factory.mktemp("registry-tls")
    with serve_registry(directory, tls=make_certificate(directory)) as server:
        yield server


@pytest.fixture
def token_service(tmp_path: Path) -> Iterator[TokenService]:
    """A token service that knows the one user; a test may change how it behaves."""
    with serve_tokens(make_certificate(tmp_path), USERNAME, PASSWORD) as service:
        yield service


@pytest.fixture
def registry_token(tmp_path: Path, token_service: TokenService) -> Iterator[RegistryServer]:
    """A registry that takes bearer tokens of `token_service`."""
    with serve_registry(tmp_path / "registry", auth=token_auth(token_service), username=USERNAME) as server:
        yield server


def skopeo(*arguments: str, **environment: str) -> str:
    """What skopeo prints; the test is skipped where there is no skopeo."""
    program = require("skopeo", "apt-get install skopeo")
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
