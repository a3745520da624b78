"""Images that others made: whatever their layers hold, a pull writes below its directory or fails in one sentence."""

import contextlib
import gzip
import io
import json
import os
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadie import modelcar
from roadie.errors import ModelCarError
from roadie.modelcar import Access
from roadie.modelcar.documents import INDEX, LAYER, sha256
from roadie.modelcar.tar import Archive
from tests.servers.images import Member, archive, image, member


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_gzip_layers_other_folders_and_deletions_are_understood(tmp_path: Path) -> None:
    lower = archive(member("etc/passwd", b"no"), member("./models/1/old", b"old"), member("models/1/kept", b"kept"))
    upper = archive(member("models/1/.wh.old"), member("models/new", b"new"))
    packed = gzip.compress(upper[:700]) + gzip.compress(upper[700:])
    reference = image(f"oci:{tmp_path}/image:v1", gzip.compress(lower), packed, media_type=f"{LAYER}+gzip")
    pulled = modelcar.pull(reference, tmp_path / "back")
    assert files(tmp_path / "back") == {"1/kept": b"kept", "new": b"new"}
    assert pulled.files == ("1/kept", "new")


def test_a_layer_above_replaces_and_empties_what_is_below_but_not_its_own(tmp_path: Path) -> None:
    reference = image(
        f"oci:{tmp_path}/image:v1",
        archive(*(member(f"models/{name}", b"below") for name in ("1/a", "1/b", "2/a", "file", "folder/a", "gone/a"))),
        archive(
            member("models/1/.wh..wh..opq"),
            member("models/1/b", b"above"),
            member("models/2/a", b"above"),
            member("models/file/a", b"above"),
            member("models/folder", b"above"),
            member("models/.wh.gone"),
            member("models/gone/b", b"above"),
        ),
    )
    modelcar.pull(reference, tmp_path / "back")
    assert files(tmp_path / "back") == dict.fromkeys(("1/b", "2/a", "file/a", "folder", "gone/b"), b"above")


def test_all_of_models_may_be_taken_away(tmp_path: Path) -> None:
    lower = archive(member("models/old", b"x"))
    for number, whiteout in enumerate((".wh.models", ".wh..wh..opq", "models/.wh..wh..opq")):
        reference = image(f"oci:{tmp_path}/{number}:v1", lower, archive(member(whiteout), member("models/new", b"n")))
        modelcar.pull(reference, tmp_path / f"back-{number}")
        assert files(tmp_path / f"back-{number}") == {"new": b"n"}


# {victim} is a folder beside the one that is pulled into, as an absolute path.
HOSTILE: list[Member] = [
    member("models/../../victim/file", b"x"),
    member("models//{victim}/file", b"x"),
    member("models//{victim}/.wh.file"),
    member("models//{victim}/../.wh.victim"),
    member("models/.wh..."),
    member("models/.wh.."),
    member("models/.wh."),
    member("models/1/../.wh..."),
    member("models/../../.wh.victim"),
    member("models/./file", b"x"),
    member("models/.", b"x"),
    member("models/..", kind=tarfile.DIRTYPE),
    member("models//{victim}/.wh..wh..opq"),
    member("models/.wh..wh.plnk/1.2", b"x"),
    member("models/.wh.folder/file", b"x"),
    member("models/link", kind=tarfile.SYMTYPE, target="../../victim"),
    member("models/link", kind=tarfile.SYMTYPE, target="/etc/passwd"),
    member("models/link", kind=tarfile.SYMTYPE, target="good"),
    member("models/link", kind=tarfile.LNKTYPE, target="models/../../victim/file"),
    member("models/link", kind=tarfile.LNKTYPE, target="models/good"),
    member("models", kind=tarfile.SYMTYPE, target="/etc"),
    member("models", b"a file"),
    member("models/device", kind=tarfile.CHRTYPE),
    member("models/device", kind=tarfile.BLKTYPE),
    member("models/pipe", kind=tarfile.FIFOTYPE),
    member("models/good", b"twice"),
    member("models/good/file", b"below a file"),
    member("models/x", b"x", pax={"path": "models/../../victim/file"}),
    member("models/x", b"x", pax={"path": "models//{victim}/file"}),
    member("models/x", kind=tarfile.SYMTYPE, pax={"linkpath": "../../victim/file", "path": "models/y"}),
    member("models/sparse", b"x", pax={"GNU.sparse.major": "1", "GNU.sparse.name": "models/../../victim/file"}),
    member("models/" + "../" * 60 + "{victim}/file", b"x"),
    member("models/" + "d/" * 100 + "file", b"x"),
    member("models/" + "n" * 300, b"x"),
    member("models/" + ("n" * 200 + "/") * 20 + "x", b"x"),
]


@pytest.mark.parametrize(
    ("evil", "format"),
    [
        pytest.param(evil, format, id=f"{name} {evil[0].type!r} {evil[0].name[:40]} {evil[0].linkname}")
        for evil in HOSTILE
        for name, format in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT))
        if name == "pax" or not evil[0].pax_headers
    ],
)
def test_nothing_is_written_deleted_or_read_outside_of_the_directory(tmp_path: Path, evil: Member, format: int) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_bytes(b"before")
    info, content = evil
    named, _ = member(info.name.replace("{victim}", str(victim)), content, info.type, info.linkname)
    named.pax_headers = {key: value.replace("{victim}", str(victim)) for key, value in info.pax_headers.items()}
    layer = archive(member("models/good", b"good"), (named, content), format=format)
    reference = image(f"oci:{tmp_path}/image:v1", layer)
    with pytest.raises(ModelCarError, match=r"cannot be unpacked: .* (is|stands|takes)") as caught:
        modelcar.pull(reference, tmp_path / "here/back")
    assert "\n" not in str(caught.value)
    assert files(victim) == {"file": b"before"}
    assert list((tmp_path / "here").iterdir()) == []


def test_a_link_that_waits_in_the_directory_is_not_followed(tmp_path: Path) -> None:
    """Were a link to come into the folder during the pull, by whatever way, nothing would go through it."""
    (tmp_path / "victim").mkdir()
    layer = archive(member("models/a", os.urandom(3 << 20)), member("models/link/file", b"x"))
    reference = image(f"oci:{tmp_path}/image:v1", layer)
    planted = tmp_path / "here/.back.unfinished/link"

    def plant(label: str, done: int, size: int) -> None:
        if not planted.is_symlink():
            planted.symlink_to(tmp_path / "victim")

    with pytest.raises(ModelCarError, match="cannot be written"):
        modelcar.pull(reference, tmp_path / "here/back", report=plant)
    assert list((tmp_path / "victim").iterdir()) == []


def test_nothing_of_a_layer_is_unpacked_before_all_of_it_is_proved(tmp_path: Path) -> None:
    layer = archive(*(member(f"models/{number}", os.urandom(1 << 20)) for number in range(4)))
    reference = image(f"oci:{tmp_path}/image:v1", layer)
    blob = tmp_path / "image/blobs/sha256" / sha256(layer).removeprefix("sha256:")
    blob.write_bytes(layer[:-1] + b"x")
    seen: list[str] = []

    def look(label: str, done: int, size: int) -> None:
        seen.extend(path.name for path in (tmp_path / "here").rglob("*") if path.is_file())

    with pytest.raises(ModelCarError, match=r"Blob sha256:.* is damaged"):
        modelcar.pull(reference, tmp_path / "here/back", report=look)
    assert seen == []


def test_a_blob_is_cut_at_the_size_that_its_descriptor_says(tmp_path: Path) -> None:
    layer = archive(member("models/weights", os.urandom(20 << 20)))
    reference = image(f"oci:{tmp_path}/image:v1", layer, sizes=[10])
    done: list[int] = []
    with pytest.raises(ModelCarError, match="is damaged"):
        modelcar.pull(reference, tmp_path / "back", report=lambda label, so_far, size: done.append(so_far))
    assert sum(done) <= 10


def test_what_a_layer_inflates_to_has_a_limit_that_can_be_raised(tmp_path: Path) -> None:
    layer = gzip.compress(archive(member("models/zeros", bytes(160 << 20))), compresslevel=1)
    reference = image(f"oci:{tmp_path}/image:v1", layer, media_type=f"{LAYER}+gzip")
    with pytest.raises(ModelCarError, match=r"unpacks to more than 134217728 bytes: .*REGISTRY_MAX_UNPACKED"):
        modelcar.pull(reference, tmp_path / "here/back")
    assert list((tmp_path / "here").iterdir()) == []
    pulled = modelcar.pull(reference, tmp_path / "here/back", access=Access(max_unpacked=200 << 20))
    assert pulled.size == 160 << 20
    with pytest.raises(ModelCarError, match=r"unpacks to more than 1000 bytes"):
        modelcar.pull(reference, tmp_path / "third", access=Access(max_unpacked=1000))


def test_a_size_that_nobody_takes_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    reference = image(f"oci:{tmp_path}/image:v1", archive(member("models/x", b"x")), sizes=[1 << 50])
    with pytest.raises(ModelCarError, match="unpacks to more than 68719476736 bytes"):
        modelcar.pull(reference, tmp_path / "back")


def test_a_document_nested_deeper_than_anybody_nests_is_one_sentence(tmp_path: Path) -> None:
    layer = archive(member("models/x", b"x"))
    deep = b'{"config":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    reference = image(f"oci:{tmp_path}/config:v1", layer, config=deep)
    with pytest.raises(ModelCarError, match="is not JSON"):
        modelcar.inspect(reference)
    image(f"oci:{tmp_path}/index:v1", layer)
    (tmp_path / "index/index.json").write_bytes(deep)
    with pytest.raises(ModelCarError, match="is not JSON"):
        modelcar.pull(f"oci:{tmp_path}/index:v1", tmp_path / "back")


@pytest.mark.parametrize("depth", [200, 400, 600, 900, 990, 1100])
def test_a_push_beside_or_upon_a_deeply_nested_image_is_one_sentence(tmp_path: Path, depth: int) -> None:
    deep = b'{"architecture":"amd64","os":"linux","config":{},"x":' + b"[" * depth + b"]" * depth + b"}"
    entrypoint = deep.replace(b'"config":{}', b'"config":{"Entrypoint":["link-model-and-wait"]}')
    standing = image(f"oci:{tmp_path}/image:v1", archive(member("models/x", b"x")), config=entrypoint)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"w")
    with pytest.raises(ModelCarError, match="exists already|is not JSON"):
        modelcar.push(tmp_path / "model", standing)
    with contextlib.suppress(ModelCarError):
        modelcar.push(tmp_path / "model", f"oci:{tmp_path}/derived:v1", base=standing)


@pytest.mark.parametrize(
    ("layer", "media_type", "because"),
    [
        (b"no archive at all", LAYER, "cannot be unpacked"),
        (b"no archive at all" * 100, LAYER, "cannot be unpacked"),
        (archive(member("models/x", b"x" * 600))[:900], LAYER, "cannot be unpacked: it ends in the middle of a file"),
        (b"no gzip at all", f"{LAYER}+gzip", "cannot be unpacked"),
        (gzip.compress(archive(member("models/x", b"x" * 99)))[:-30], f"{LAYER}+gzip", "cannot be unpacked"),
        (b"zstd", f"{LAYER}+zstd", "Roadie reads plain and gzip layers"),
        (archive(member("etc/hosts", b"x")), LAYER, "it is no ModelCar"),
        (b"", LAYER, "it is no ModelCar"),
    ],
    ids=["no archive", "noise", "in a file", "no gzip", "cut short", "zstd", "no model", "nothing"],
)
def test_a_layer_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, layer: bytes, media_type: str, because: str
) -> None:
    with pytest.raises(ModelCarError, match=because):
        modelcar.pull(image(f"oci:{tmp_path}/image:v1", layer, media_type=media_type), tmp_path / "back")


ZEROS = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{",
        json.dumps({"manifests": [{"mediaType": INDEX, "digest": "sha256:../../../etc/passwd", "size": 1}]}),
        json.dumps({"manifests": [{"mediaType": INDEX}]}),
        json.dumps({"manifests": [{"mediaType": INDEX, "digest": f"sha256:{'0' * 64}", "size": -1}]}),
        json.dumps({"manifests": [{"mediaType": INDEX, "digest": f"sha256:{'0' * 64}", "size": 1e999}]}),
        json.dumps(
            {"manifests": [{"mediaType": INDEX, "digest": f"sha256:{'0' * 64}", "size": 1, "annotations": [1]}]}
        ),
        json.dumps({"manifests": 3}),
    ],
)
def test_a_broken_index_is_one_sentence(tmp_path: Path, index: str) -> None:
    reference = image(f"oci:{tmp_path}/image:v1", archive(member("models/x", b"x")))
    (tmp_path / "image/index.json").write_text(index)
    with pytest.raises(ModelCarError, match=r"is not JSON|is not a JSON object|has no readable manifests"):
        modelcar.inspect(reference)


@pytest.mark.parametrize(
    "config",
    [
        {"config": []},
        {"config": {"Labels": "text"}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Entrypoint": "text"}},
        {"config": {"Entrypoint": [1]}},
    ],
    ids=str,
)
def test_a_config_with_other_things_than_it_should_hold_is_one_sentence(
    tmp_path: Path, config: dict[str, object]
) -> None:
    layer = archive(member("models/x", b"x"))
    reference = image(f"oci:{tmp_path}/image:v1", layer, config=json.dumps(config).encode())
    with pytest.raises(ModelCarError, match=r"has no readable config"):
        modelcar.inspect(reference)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"w")
    with pytest.raises(ModelCarError, match=r"has no readable config"):
        modelcar.push(tmp_path / "model", f"oci:{tmp_path}/derived:v1", base=reference)


def test_a_missing_blob_is_one_sentence(tmp_path: Path) -> None:
    layer = archive(member("models/x", b"x"))
    reference = image(f"oci:{tmp_path}/image:v1", layer)
    (tmp_path / "image/blobs/sha256" / sha256(layer).removeprefix("sha256:")).unlink()
    with pytest.raises(ModelCarError, match=r"cannot be read \(No such file or directory\): is it complete\?"):
        modelcar.pull(reference, tmp_path / "back")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=180).map(
    lambda name: name.strip("/") or "x"
)


@settings(deadline=None)
@given(
    members=st.lists(st.tuples(NAMES, st.binary(max_size=1500), st.sampled_from([b"0", b"5", b"2", b"7"])), max_size=6),
    format=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    size=st.integers(1, 700),
)
def test_tars_are_read_as_pythons_tarfile_reads_them(
    members: list[tuple[str, bytes, bytes]], format: int, size: int
) -> None:
    try:
        content = (b"" if kind in {b"5", b"2"} else body for _, body, kind in members)
        made = [member(name, body, kind) for (name, _, kind), body in zip(members, content, strict=True)]
        written = archive(*made, format=format)
    except ValueError:
        return  # ustar has no room for such a name
    with tarfile.open(fileobj=io.BytesIO(written)) as theirs:
        expected = [
            (info.name, (file.read() if info.isfile() and (file := theirs.extractfile(info)) else b""))
            for info in theirs
        ]
    archive_file = Archive(_Dripping(written, size))
    assert [(item.name.rstrip("/"), b"".join(archive_file.content())) for item in archive_file] == expected


class _Dripping(io.BytesIO):
    """A file that gives less than it is asked for."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, self._most))


def test_two_pulls_of_one_image_do_not_disturb_one_another(tmp_path: Path) -> None:
    reference = image(f"oci:{tmp_path}/image:v1", archive(member("models/a", b"a" * 4096)))
    threads = [
        threading.Thread(target=modelcar.pull, args=(reference, tmp_path / f"back{number}")) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(files(tmp_path / f"back{number}") == {"a": b"a" * 4096} for number in range(4))
