"""The cache of digests: it knows what did not change, and nothing else."""

import os
import threading
import time
from pathlib import Path

import pytest

from roadie import modelcar
from roadie.modelcar.cache import DigestCache
from roadie.modelcar.documents import sha256
from roadie.modelcar.files import scan
from roadie.modelcar.layers import Layer, plan

DIGEST = sha256(b"some layer")


def layer_of(directory: Path) -> Layer:
    (layer,) = plan(scan(directory))
    return layer


@pytest.fixture
def old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as having been at rest for an hour: its change time cannot be set, so the clock is."""
    path = tmp_path / "model/weights"
    path.parent.mkdir()
    path.write_bytes(b"weights" * 2_000_000)
    later = time.time() + 3600
    monkeypatch.setattr("roadie.modelcar.cache.time.time", lambda: later)
    return path


def test_an_unchanged_file_is_known(tmp_path: Path, old_file: Path) -> None:
    cache = DigestCache(tmp_path / "cache")
    assert cache.get(layer_of(old_file.parent)) == ""
    cache.put(layer_of(old_file.parent), DIGEST)
    assert cache.get(layer_of(old_file.parent)) == DIGEST


def test_a_file_that_was_written_again_is_not_known_even_with_its_old_times(tmp_path: Path, old_file: Path) -> None:
    cache = DigestCache(tmp_path / "cache")
    cache.put(layer_of(old_file.parent), DIGEST)
    times = old_file.stat()
    old_file.write_bytes(b"Weights" * 2_000_000)
    os.utime(old_file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.get(layer_of(old_file.parent)) == ""


def test_a_small_file_is_hashed_as_fast_as_it_is_looked_up(tmp_path: Path, old_file: Path) -> None:
    old_file.write_bytes(b"small")
    cache = DigestCache(tmp_path / "cache")
    cache.put(layer_of(old_file.parent), DIGEST)
    assert not (tmp_path / "cache").exists()


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"weights" * 2_000_000)
    cache = DigestCache(tmp_path / "cache")
    cache.put(layer_of(tmp_path / "model"), DIGEST)
    assert cache.get(layer_of(tmp_path / "model")) == ""


def test_a_cache_that_cannot_be_written_does_no_harm(old_file: Path) -> None:
    cache = DigestCache(old_file)  # a file where the directory should be
    cache.put(layer_of(old_file.parent), DIGEST)
    assert cache.get(layer_of(old_file.parent)) == ""


def test_a_user_without_a_home_has_no_cache(old_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    cache = DigestCache()
    cache.put(layer_of(old_file.parent), DIGEST)
    assert cache.get(layer_of(old_file.parent)) == ""


def test_threads_do_not_write_one_layers_digest_under_another_layers_key(tmp_path: Path, old_file: Path) -> None:
    for number in range(8):
        directory = tmp_path / f"model-{number}"
        directory.mkdir()
        with (directory / "weights").open("wb") as file:
            file.truncate(9 << 20)
    layers = [layer_of(tmp_path / f"model-{number}") for number in range(8)]
    digests = [sha256(bytes([number])) for number in range(8)]
    cache, start = DigestCache(tmp_path / "cache"), threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        for _ in range(50):
            cache.put(layers[number], digests[number])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [cache.get(layer) for layer in layers] == digests


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path, old_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DigestCache(tmp_path / "cache")
    cache.put(layer_of(old_file.parent), DIGEST)
    cache.prune()
    assert cache.get(layer_of(old_file.parent)) == DIGEST
    later = time.time() + 100 * 86400
    monkeypatch.setattr("roadie.modelcar.cache.time.time", lambda: later)
    cache.prune()
    assert cache.get(layer_of(old_file.parent)) == ""


def test_a_push_with_and_without_the_cache_is_the_same_image(
    tmp_path: Path, old_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (old_file.parent / f"shard-{number}").write_bytes(os.urandom(9 << 20))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    cold = modelcar.push(old_file.parent, f"oci:{tmp_path}/one:v1")
    assert len(list((tmp_path / "xdg/roadie/digests").iterdir())) == 4
    warm = modelcar.push(old_file.parent, f"oci:{tmp_path}/two:v1")
    assert warm.digest == cold.digest
    assert modelcar.verify(f"oci:{tmp_path}/two:v1").digest == cold.digest
