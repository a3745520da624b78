"""Images that others made: whatever their layers hold, a pull writes below its directory or fails in one sentence."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError
from roadie.modelcar.content import Bytes
from roadie.modelcar.documents import CONFIG, INDEX, LAYER, MANIFEST, Document, sha256
from roadie.modelcar.layout import Layout
from roadie.modelcar.reference import Reference
from roadie.modelcar.store import quiet


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(content), kind, target, 0o644
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def image(directory: Path, *layers: bytes, media_type: str = LAYER) -> str:
    layout = Layout(Reference("", str(directory), tag="v1"))
    config = Document.of(CONFIG, {"architecture": "amd64", "os": "linux", "config": {}})
    layout.put(Bytes(config.body), "", quiet)
    described = [
        {"mediaType": media_type, "digest": layout.put(Bytes(body), "", quiet).digest, "size": len(body)}
        for body in layers
    ]
    content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor().to_json(), "layers": described}
    layout.put_document(Document.of(MANIFEST, content), "v1")
    layout.close()
    return f"oci:{directory}:v1"


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_gzip_layers_other_folders_and_deletions_are_understood(tmp_path: Path) -> None:
    lower = archive(member("etc/passwd", b"no"), member("./models/1/old", b"old"), member("models/1/kept", b"kept"))
    upper = archive(member("models/1/.wh.old"), member("models/new", b"new"))
    reference = image(tmp_path / "image", gzip.compress(lower), gzip.compress(upper), media_type=f"{LAYER}+gzip")
    modelcar.pull(reference, tmp_path / "back")
    assert files(tmp_path / "back") == {"1/kept": b"kept", "new": b"new"}


@pytest.mark.parametrize(
    "evil",
    [
        member("models/../../escaped", b"x"),
        member("models/link", kind=tarfile.SYMTYPE, target="../../escaped"),
        member("models/link", kind=tarfile.SYMTYPE, target="/etc/passwd"),
        member("models/link", kind=tarfile.LNKTYPE, target="models/../../escaped"),
        member("models/device", kind=tarfile.CHRTYPE),
    ],
    ids=lambda evil: f"{evil[0].type!r} {evil[0].name} {evil[0].linkname}",
)
def test_nothing_is_written_outside_of_the_directory(tmp_path: Path, evil: tuple[tarfile.TarInfo, bytes]) -> None:
    (tmp_path / "escaped").write_bytes(b"before")
    reference = image(tmp_path / "image", archive(member("models/good", b"good"), evil))
    with pytest.raises(ModelCarError, match="cannot be unpacked"):
        modelcar.pull(reference, tmp_path / "here/back")
    assert (tmp_path / "escaped").read_bytes() == b"before"
    assert list((tmp_path / "here").iterdir()) == []


def test_a_deletion_cannot_reach_outside_either(tmp_path: Path) -> None:
    (tmp_path / "escaped").write_bytes(b"before")
    reference = image(tmp_path / "image", archive(member("models/good", b"g"), member("models/../../.wh.escaped")))
    modelcar.pull(reference, tmp_path / "here/back")
    assert (tmp_path / "escaped").read_bytes() == b"before"


@pytest.mark.parametrize(
    ("layer", "media_type", "because"),
    [
        (b"no archive at all", LAYER, "cannot be unpacked"),
        (b"no gzip at all", f"{LAYER}+gzip", "cannot be unpacked"),
        (gzip.compress(archive(member("models/x", b"x" * 99)))[:-30], f"{LAYER}+gzip", "cannot be unpacked"),
        (b"zstd", f"{LAYER}+zstd", "Roadie reads plain and gzip layers"),
        (archive(member("etc/hosts", b"x")), LAYER, "it is no ModelCar"),
    ],
    ids=["no archive", "no gzip", "cut short", "zstd", "no model"],
)
def test_a_layer_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, layer: bytes, media_type: str, because: str
) -> None:
    with pytest.raises(ModelCarError, match=because):
        modelcar.pull(image(tmp_path / "image", layer, media_type=media_type), tmp_path / "back")


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{",
        json.dumps({"manifests": [{"mediaType": INDEX, "digest": "sha256:../../../etc/passwd", "size": 1}]}),
        json.dumps({"manifests": [{"mediaType": INDEX}]}),
        json.dumps({"manifests": 3}),
    ],
)
def test_a_broken_index_is_one_sentence(tmp_path: Path, index: str) -> None:
    reference = image(tmp_path / "image", archive(member("models/x", b"x")))
    (tmp_path / "image/index.json").write_text(index)
    with pytest.raises(ModelCarError, match=r"is not JSON|is not a JSON object|has no readable manifests"):
        modelcar.inspect(reference)


def test_a_missing_blob_is_one_sentence(tmp_path: Path) -> None:
    layer = archive(member("models/x", b"x"))
    reference = image(tmp_path / "image", layer)
    (tmp_path / "image/blobs/sha256" / sha256(layer).removeprefix("sha256:")).unlink()
    with pytest.raises(ModelCarError, match=r"cannot be read \(No such file or directory\): is it complete\?"):
        modelcar.pull(reference, tmp_path / "back")
