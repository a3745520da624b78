"""Any directory comes back as it was, and the same directory is the same image, through an OCI layout on disk."""

import mmap
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadie import modelcar
from roadie.errors import ModelCarError, UsageError
from tests.servers.process import require

NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
USABLE = NAME.filter(lambda name: name not in {".", ".."} and not name.startswith(".wh.") and len(name.encode()) <= 200)
TREES = st.dictionaries(
    st.lists(USABLE.filter(lambda name: not name.endswith(".onnx")), min_size=1, max_size=4).map("/".join),
    st.one_of(st.binary(max_size=3000), st.just(b""), st.integers(1 << 20, 3 << 20).map(os.urandom)),
    min_size=1,
    max_size=6,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(directory: Path, tree: dict[str, bytes]) -> dict[str, bytes]:
    """Write what can be written of a tree: a name may not be both a file and a directory."""
    written = {}
    for name, content in tree.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
            written[name] = content
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
    return written


def read(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_any_directory_comes_back_byte_for_byte_and_is_one_image(
    tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    (root / "model").mkdir()
    (root / "copy").mkdir()
    written = write(root / "model", tree)
    pushed = modelcar.push(root / "model", f"oci:{root}/one:v1", base="none")
    pulled = modelcar.pull(pushed.reference, root / "back")
    assert read(root / "back") == written
    assert set(pulled.files) == set(written)
    write(root / "copy", dict(reversed(written.items())))
    assert modelcar.push(root / "copy", f"oci:{root}/two:v9", base="none").digest == pushed.digest


def test_umoci_unpacks_what_is_in_a_layout(tmp_path: Path) -> None:
    umoci = require("umoci", "apt-get install umoci")
    (tmp_path / "model").mkdir()
    write(tmp_path / "model", {"1/weights.bin": os.urandom(2 << 20), "ünï/码": b"x"})
    modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1", base="none")
    # umoci reads images, not indexes, by tag: give the platform's manifest a tag of its own, as skopeo copy does
    skopeo = require("skopeo", "apt-get install skopeo")
    subprocess.run([skopeo, "copy", f"oci:{tmp_path}/layout:v1", f"oci:{tmp_path}/single:v1"], check=True)
    subprocess.run([umoci, "unpack", "--rootless", "--image", f"{tmp_path}/single:v1", tmp_path / "bundle"], check=True)
    assert read(tmp_path / "bundle/rootfs/models") == read(tmp_path / "model")


def test_several_models_share_a_layout(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, {f"{name}/model.bin": name.encode()})
        modelcar.push(tmp_path / name, f"oci:{tmp_path}/layout:{name}")
    digests = {modelcar.resolve(f"oci:{tmp_path}/layout:{name}") for name in ("a", "b")}
    assert len(digests) == 2
    assert None not in digests


def test_nothing_is_found_where_nothing_was_pushed(tmp_path: Path) -> None:
    assert modelcar.resolve(f"oci:{tmp_path}/nowhere:v1") is None
    with pytest.raises(ModelCarError, match="does not exist"):
        modelcar.inspect(f"oci:{tmp_path}/nowhere:v1")
    assert not (tmp_path / "nowhere").exists()


def test_pull_does_not_mix_a_model_into_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, {"model/weights": b"w", "back/other": b"o"})
    modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1")
    with pytest.raises(ModelCarError, match="is not empty"):
        modelcar.pull(f"oci:{tmp_path}/layout:v1", tmp_path / "back")


@pytest.mark.parametrize(
    "read_again", [modelcar.verify, lambda reference: modelcar.pull(reference, Path(reference[4:-3] + "x"))]
)
def test_a_damaged_blob_is_found_by_whoever_reads_it(tmp_path: Path, read_again: object) -> None:
    write(tmp_path, {"model/weights": b"w" * 4000})
    pushed = modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1")
    blob = tmp_path / "layout/blobs/sha256" / pushed.layers[0].digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"w" * 100, b"v" * 100, 1))
    assert callable(read_again)
    with pytest.raises(ModelCarError, match=r"Blob sha256:.* is damaged: push the image again"):
        read_again(f"oci:{tmp_path}/layout:v1")
    assert not (tmp_path / "layoutx").exists()


def test_the_images_time_is_source_date_epoch_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"model/weights": b"w"})
    assert "created" not in str(modelcar.inspect(modelcar.push(tmp_path / "model", f"oci:{tmp_path}/a:v1").reference))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = modelcar.inspect(modelcar.push(tmp_path / "model", f"oci:{tmp_path}/b:v1").reference)
    assert dated.annotations["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        modelcar.push(tmp_path / "model", f"oci:{tmp_path}/c:v1")


def test_annotations_have_short_names_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"model/weights": b"w"})
    given = {"version": "7", "data.digest": "sha256:12", "org.example.team": "music"}
    pushed = modelcar.push(tmp_path / "model", f"oci:{tmp_path}/a:v1", annotations=given)
    image = modelcar.inspect(pushed.reference)
    wanted = {
        "org.opencontainers.image.version": "7",
        "io.roadie.data.digest": "sha256:12",
        "org.example.team": "music",
    }
    assert wanted.items() <= image.annotations.items()
    assert wanted.items() <= image.labels.items()
    with pytest.raises(UsageError, match="'verison' is no annotation"):
        modelcar.push(tmp_path / "model", f"oci:{tmp_path}/a:v2", annotations={"verison": "7"})


def test_what_is_written_through_a_mapping_is_what_is_pushed(tmp_path: Path) -> None:
    """The second write to a page changes none of a file's times: nothing but its bytes tells."""
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model/weights"
    weights.write_bytes(bytes(9 << 20))
    pushed = []
    with weights.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0] = 1
        for number in (2, 3):
            mapped[0] = number
            pushed.append(modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v{number}", base="none"))
    assert pushed[0].digest != pushed[1].digest
    modelcar.pull(pushed[1].reference, tmp_path / "back")
    assert (tmp_path / "back/weights").read_bytes()[0] == 3
