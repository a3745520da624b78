"""Images that hypothesis makes: whoever reads one succeeds or says why not, in its folder and in little memory."""

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from roadie.modelcar.documents import LAYER
from tests.servers.images import Member, archive, image, member

MOST = 200 << 20
Reader = Callable[[str, Path], list[str]]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """Reads an image by all three ways in a process of its own, and looks at what that took."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.unit.modelcar.reader"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdin
        assert child.stdout

        def read(reference: str, folder: Path) -> list[str]:
            assert child.stdin
            assert child.stdout
            child.stdin.write(json.dumps([reference, str(folder)]) + "\n")
            child.stdin.flush()
            said, peak = json.loads(child.stdout.readline())
            assert peak < MOST, f"{peak >> 20} MiB"
            assert not [text for text in said if text.startswith("UNFORESEEN") or "\n" in text], said
            return list(said)

        yield read
        child.stdin.close()


def snapshot(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in root.rglob("*")
        if root / "here" not in path.parents and path != root / "here"
    }


PART = st.sampled_from(
    ["..", ".", "", "models", "1", "a", ".wh.a", ".wh...", ".wh..wh..opq", "victim", "{victim}", "é"]
)
NAME = st.one_of(
    st.lists(PART, min_size=1, max_size=5).map(lambda parts: "/".join(["models", *parts])),
    st.lists(PART, min_size=1, max_size=5).map("/".join),
    st.text(max_size=20),
    st.integers(90, 5000).map(lambda length: "models/" + "long/" * (length // 5)),
)
PAX = st.dictionaries(
    st.sampled_from(["path", "linkpath", "size", "GNU.sparse.size", "GNU.sparse.map", "comment"]),
    st.one_of(NAME, st.integers(-5, 1 << 70).map(str)),
    max_size=2,
)
KIND = st.sampled_from(
    [b"0", b"0", b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"L", b"K", b"x", b"g"]
)
MEMBER = st.builds(member, NAME.map(lambda name: name.replace("\0", "")), st.binary(max_size=1200), KIND, NAME, pax=PAX)


def damaged(body: bytes, position: int, value: int) -> bytes:
    """One byte of it changed, and the header's checksum put right where it was a header's."""
    at = position % max(1, len(body))
    changed = bytearray(body)
    changed[at : at + 1] = bytes([value])
    start = at - at % 512
    header = changed[start : start + 512]
    if len(header) == 512 and not 148 <= at - start < 156:
        header[148:156] = b" " * 8
        changed[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(changed)


def layer(members: list[Member], format: int, hits: list[tuple[int, int]], packed: bool) -> bytes:
    with contextlib.suppress(ValueError):
        body = archive(*members, format=format)
        for position, value in hits:
            body = damaged(body, position, value)
        return gzip.compress(body, compresslevel=1) if packed else body
    return b""


LAYERS = st.lists(
    st.one_of(
        st.tuples(
            st.lists(MEMBER, max_size=5),
            st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
            st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), max_size=3),
        ),
        st.binary(max_size=2000),
    ),
    max_size=3,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.sampled_from(["config", "layers", "manifests", "annotations", "mediaType", "schemaVersion"])
CONFIG = st.one_of(
    st.binary(max_size=100),
    st.dictionaries(st.sampled_from(["config", "os", "rootfs", "Labels"]), JSON, max_size=3).map(
        lambda content: json.dumps(content).encode()
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    layers=LAYERS,
    packed=st.booleans(),
    config=CONFIG,
    more=st.dictionaries(KEYS, JSON, max_size=1),
    sizes=st.lists(st.integers(0, 1 << 62), max_size=1),
)
@example(
    layers=[([member("models//{victim}/.wh.file")], tarfile.GNU_FORMAT, [])],
    packed=False,
    config=b"",
    more={},
    sizes=[],
)
def test_whatever_an_image_holds_it_is_read_or_refused_in_its_folder(
    reader: Reader,
    tmp_path_factory: pytest.TempPathFactory,
    layers: list[Any],
    packed: bool,
    config: bytes,
    more: dict[str, Any],
    sizes: list[int],
) -> None:
    root = tmp_path_factory.mktemp("image")
    (root / "victim/folder").mkdir(parents=True)
    (root / "victim/file").write_bytes(b"before")
    bodies = []
    for item in layers:
        if isinstance(item, bytes):
            bodies.append(item)
            continue
        members, format, hits = item
        for info, _ in members:
            info.name = info.name.replace("{victim}", str(root / "victim"))
        bodies.append(layer(members, format, hits, packed))
    kind = f"{LAYER}+gzip" if packed else LAYER
    reference = image(
        f"oci:{root}/image:v1", *bodies, media_type=kind, config=config, more=more, sizes=sizes[: len(bodies)]
    )
    before = snapshot(root)
    reader(reference, root / "here/back")
    assert snapshot(root) == before
    assert all(path.is_dir() or path.is_file() for path in (root / "here").rglob("*") if not path.is_symlink())
    assert not [path for path in (root / "here").rglob("*") if path.is_symlink()]
    shutil.rmtree(root)


def zeros(size: int) -> bytes:
    """`size` zeros, packed: a few thousandths of that."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def headers(count: int) -> bytes:
    """An archive of `count` empty files."""
    return b"".join(member(f"models/{number}")[0].tobuf() for number in range(count))


def claiming(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("models/x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


BOMBS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "a gigabyte of zeros": lambda: (gzip.compress(claiming(b"0", 1 << 30)) + zeros(256 << 20), f"{LAYER}+gzip"),
    "a name of a gigabyte": lambda: (gzip.compress(claiming(b"L", 1 << 30)) + zeros(256 << 20), f"{LAYER}+gzip"),
    "a PAX record of a gigabyte": lambda: (gzip.compress(claiming(b"x", 1 << 30)) + zeros(256 << 20), f"{LAYER}+gzip"),
    "a file of eight exabytes": lambda: (claiming(b"0", (1 << 63) - 1), LAYER),
    "very many files": lambda: (gzip.compress(headers(20_001)), f"{LAYER}+gzip"),
    "very many gzip members": lambda: (gzip.compress(b"") * 50_000, f"{LAYER}+gzip"),
    "very many PAX records": lambda: (b"".join([claiming(b"x", 6 * 80), b"6 a=b\n" * 80, bytes(32)] * 1000), LAYER),
    "deep folders": lambda: (archive(member("models/" + "d/" * 2000 + "x", b"x")), LAYER),
}


@pytest.mark.parametrize("bomb", BOMBS, ids=str)
def test_a_small_image_that_claims_or_inflates_to_much_takes_little(reader: Reader, tmp_path: Path, bomb: str) -> None:
    body, kind = BOMBS[bomb]()
    assert len(body) < 2 << 20
    said = reader(image(f"oci:{tmp_path}/image:v1", body, media_type=kind), tmp_path / "here/back")
    assert said[2]
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("open", ["[", '{"":', '[{"":0},'])
def test_documents_of_a_megabyte_take_little_however_they_nest(reader: Reader, tmp_path: Path, open: str) -> None:
    deep = (open * ((1 << 20) // len(open))).encode()
    said = reader(image(f"oci:{tmp_path}/image:v1", b"", config=deep), tmp_path / "back")
    assert "is not JSON" in said[0]
    many = {"layers": [{"mediaType": LAYER, "digest": f"sha256:{'0' * 64}", "size": 1}] * 6000}
    assert all(reader(image(f"oci:{tmp_path}/many:v1", b"", more=many), tmp_path / "back2"))
    same = {"manifests": [{"mediaType": LAYER, "digest": f"sha256:{'0' * 64}", "size": 1}] * 6000, "layers": []}
    assert all(reader(image(f"oci:{tmp_path}/same:v1", b"", more=same), tmp_path / "back3"))
