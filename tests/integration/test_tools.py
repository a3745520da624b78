"""The tools of others answer, and crane reads what Roadie pushed as any client does."""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from roadie import modelcar
from roadie.cli import roadie
from tests.servers.crane_registry import serve_crane_registry
from tests.servers.registry import RegistryServer
from tests.tools import MODULE, output_of


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
        ("crane", "github.com/google/go-containerregistry"),
        ("cosign", "github.com/sigstore/cosign/v3"),
    ],
)
def test_a_tool_answers_with_the_version_that_is_pinned(name: str, module: str) -> None:
    (pinned,) = (line.split()[1] for line in (MODULE / "go.mod").read_text().splitlines() if f"\t{module} v" in line)
    assert pinned in output_of(name, "version").split()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model" / "1").mkdir(parents=True)
    (tmp_path / "model" / "1" / "weights.bin").write_bytes(os.urandom(100_000))
    return tmp_path / "model"


@pytest.fixture
def crane_registry(tmp_path: Path) -> Iterator[str]:
    with serve_crane_registry(tmp_path / "crane") as host:
        yield host


def push(model: Path, reference: str) -> str:
    """The digest that the command tells."""
    done = CliRunner().invoke(roadie, ["modelcar", "push", str(model), reference, "--json"])
    assert done.exit_code == 0, done.output
    return str(json.loads(done.stdout)["digest"])


def read_by_crane(reference: str, digest: str, model: Path) -> None:
    """Crane tells the same digest, the manifest is the one that has it, and the file system holds the model."""
    assert output_of("crane", "digest", reference).strip() == digest
    manifest = output_of("crane", "manifest", reference)
    assert f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}" == digest
    output_of("crane", "export", reference, str(model.parent / "root.tar"))
    with tarfile.open(model.parent / "root.tar") as root:
        weights = root.extractfile("models/1/weights.bin")
        assert weights and weights.read() == (model / "1" / "weights.bin").read_bytes()


def test_crane_reads_from_distribution_what_was_pushed(registry: RegistryServer, model: Path) -> None:
    reference = registry.reference("tools/jukebox")
    read_by_crane(reference, push(model, reference), model)


def test_cranes_registry_takes_a_modelcar_and_gives_it_back(crane_registry: str, model: Path, tmp_path: Path) -> None:
    reference = f"{crane_registry}/tools/jukebox:v1"
    digest = push(model, reference)
    read_by_crane(reference, digest, model)
    assert push(model, reference) == digest
    modelcar.pull(reference, tmp_path / "back")
    assert (tmp_path / "back" / "1" / "weights.bin").read_bytes() == (model / "1" / "weights.bin").read_bytes()
