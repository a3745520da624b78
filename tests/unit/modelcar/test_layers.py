"""Layers: what a directory becomes, byte for byte, on any machine."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.errors import ModelCarError
from roadie.modelcar.files import Entry, Stamp, scan
from roadie.modelcar.layers import Layer, plan

MEBIBYTE = 1 << 20


def write(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def archive(layer: Layer) -> bytes:
    data = b"".join(bytes(part.view) for part in layer.parts())
    assert len(data) == layer.size
    return data


def entry(name: str, size: int) -> Entry:
    return Entry(f"models/{name}", f"/nowhere/{name}", Stamp(1, 1, size, 0, 0))


def test_large_files_get_a_layer_each_and_small_ones_share_one(tmp_path: Path) -> None:
    write(tmp_path, {"1/a.bin": b"a" * (MEBIBYTE + 1), "1/b.bin": b"b" * 2 * MEBIBYTE, "x.json": b"{}", "1/y.txt": b""})
    layers = plan(scan(tmp_path))
    assert [layer.files for layer in layers] == [
        ("models/1/a.bin",),
        ("models/1/b.bin",),
        ("models/1/y.txt", "models/x.json"),
    ]


def test_a_layer_tells_nothing_of_the_machine_it_was_made_on(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"1/model.onnx": b"weights", "labels.txt": b"DE"})
    other = write(tmp_path / "other", {"labels.txt": b"DE", "1/model.onnx": b"weights"})
    (other / "labels.txt").chmod(0o600)
    os.utime(other / "1/model.onnx", (1, 1))
    assert [archive(layer) for layer in plan(scan(one))] == [archive(layer) for layer in plan(scan(other))]
    with tarfile.open(fileobj=io.BytesIO(archive(plan(scan(one))[0]))) as tar:
        members = tar.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members} == {
        (0, 0, 0, "", "")
    }
    assert {(member.isdir(), member.mode) for member in members} == {(True, 0o755), (False, 0o644)}


def test_gnu_tar_reads_long_names_names_in_other_scripts_and_empty_things(tmp_path: Path) -> None:
    files = {"n" * 120 + "/" + "m" * 140: b"deep", "模型/ünïcödé ☃.bin": b"snow", "empty": b""}
    write(tmp_path / "model", files)
    (tmp_path / "model/nothing here").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    for layer in plan(scan(tmp_path / "model")):
        subprocess.run(["tar", "-x", "-C", out], input=archive(layer), check=True)
    for name, content in files.items():
        assert (out / "models" / name).read_bytes() == content
    assert (out / "models/nothing here").is_dir()


def test_a_file_over_8_gib_has_its_size_in_the_header(tmp_path: Path) -> None:
    huge = tmp_path / "huge.bin"
    size = 9 * 1024**3
    with huge.open("wb") as file:
        file.truncate(size)  # sparse: no disk is needed
    (layer,) = plan(scan(tmp_path))
    head = bytearray()
    for part in layer.parts():
        head += part.view
        if len(head) >= 2048:
            break
    member = tarfile.TarInfo.frombuf(bytes(head[512:1024]), "utf-8", "strict")
    assert (member.name, member.size, layer.size % 512) == ("models/huge.bin", size, 0)
    listed = subprocess.run(["tar", "-tv"], input=bytes(head), capture_output=True, check=False)
    assert str(size) in listed.stdout.decode()


@given(st.lists(st.integers(0, 3 * MEBIBYTE), min_size=1, max_size=300))
def test_however_many_files_there_are_the_layers_fit_a_runtime_and_hold_each_file_once(sizes: list[int]) -> None:
    entries = sorted((entry(f"{number:04}", size) for number, size in enumerate(sizes)), key=lambda item: item.name)
    layers = plan(entries)
    assert len(layers) <= 65
    assert sorted(name for layer in layers for name in layer.files) == [item.name for item in entries]


@given(data=st.data())
def test_a_layer_can_be_read_again_from_any_offset(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sizes = data.draw(st.lists(st.integers(0, 2000), min_size=1, max_size=4))
    directory = tmp_path_factory.mktemp("model")
    (layer,) = plan(scan(write(directory, {f"f{number}": os.urandom(size) for number, size in enumerate(sizes)})))
    whole = archive(layer)
    start = data.draw(st.integers(0, layer.size))
    assert b"".join(bytes(part.view) for part in layer.parts(start)) == whole[start:]


def test_links_inside_the_directory_are_followed(tmp_path: Path) -> None:
    write(tmp_path, {"blobs/weights": b"w"})
    (tmp_path / "1").symlink_to("blobs")
    (tmp_path / "model.onnx").symlink_to("blobs/weights")
    (layer,) = plan(scan(tmp_path))
    assert layer.files == ("models/1/weights", "models/blobs/weights", "models/model.onnx")


@pytest.mark.parametrize(
    ("target", "because"),
    [("/etc/hostname", "outside the model's directory"), ("nowhere", "leads nowhere"), (".", "above itself")],
)
def test_links_that_leave_lead_nowhere_or_go_round_are_refused_by_name(
    tmp_path: Path, target: str, because: str
) -> None:
    write(tmp_path / "model", {"weights": b"w"})
    (tmp_path / "model/link").symlink_to(target)
    with pytest.raises(ModelCarError, match=f"model/link .*{because}"):
        scan(tmp_path / "model")


def test_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelCarError, match="pipe is neither a file nor a directory"):
        scan(tmp_path)


def test_a_directory_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(ModelCarError, match="holds no file"):
        scan(tmp_path)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelCarError, match="missing does not exist"):
        scan(tmp_path / "missing")


def test_a_file_that_grows_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, {"model.onnx": b"x" * 3 * MEBIBYTE}) / "model.onnx"
    (layer,) = plan(scan(tmp_path))
    parts = layer.parts()
    next(parts)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ModelCarError, match=r"model.onnx was changed while it was being pushed"):
        list(parts)
