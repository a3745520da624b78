"""What was pushed from here before: a hint that saves sending, and never names anything."""

import os
import time
from pathlib import Path

import pytest

from roadie import modelcar
from roadie.modelcar.files import scan
from roadie.modelcar.layers import Layer, plan
from roadie.modelcar.memory import Memory


def layer_of(directory: Path) -> Layer:
    (layer,) = plan(scan(directory))
    return layer


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model/weights"
    path.parent.mkdir()
    path.write_bytes(b"weights" * 2_000_000)
    return path


def test_an_unchanged_file_is_remembered_and_a_changed_one_not_even_with_its_old_times(
    tmp_path: Path, weights: Path
) -> None:
    memory = Memory(tmp_path / "memory")
    assert not memory.has(layer_of(weights.parent))
    memory.add(layer_of(weights.parent))
    assert memory.has(layer_of(weights.parent))
    times = weights.stat()
    weights.write_bytes(b"Weights" * 2_000_000)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not memory.has(layer_of(weights.parent))


def test_a_small_file_is_not_worth_remembering(tmp_path: Path, weights: Path) -> None:
    weights.write_bytes(b"small")
    memory = Memory(tmp_path / "memory")
    memory.add(layer_of(weights.parent))
    assert not (tmp_path / "memory").exists()


def test_a_memory_that_cannot_be_written_does_no_harm(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for memory in (Memory(), Memory(weights)):  # nowhere, and a file where the directory should be
        memory.add(layer_of(weights.parent))
        assert not memory.has(layer_of(weights.parent))


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(tmp_path / "memory")
    memory.add(layer_of(weights.parent))
    memory.prune()
    assert memory.has(layer_of(weights.parent))
    later = time.time() + 100 * 86400
    monkeypatch.setattr("roadie.modelcar.memory.time.time", lambda: later)
    memory.prune()
    assert not memory.has(layer_of(weights.parent))


def test_what_was_pushed_before_is_not_sent_again_under_another_tag(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for number in range(3):
        (weights.parent / f"shard-{number}").write_bytes(os.urandom(9 << 20))
    first = modelcar.push(weights.parent, f"oci:{tmp_path}/layout:v1")
    assert len(list((tmp_path / "xdg/roadie/layers").iterdir())) == 4
    again = modelcar.push(weights.parent, f"oci:{tmp_path}/layout:v2")
    assert (again.digest, again.uploaded_bytes) == (first.digest, 0)
