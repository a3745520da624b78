"""The contract with KServe: what is refused before anything is pushed, and by which rule."""

import gzip
import io
import tarfile
from pathlib import Path

import onnx
import pytest

from roadie import modelcar
from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.content import Bytes
from roadie.modelcar.documents import CONFIG, LAYER, MANIFEST, Document, sha256
from roadie.modelcar.layout import Layout
from roadie.modelcar.reference import Reference
from roadie.modelcar.store import quiet
from tests.conftest import SHARED


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def valid_model() -> onnx.ModelProto:
    shape = [None, 1]
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    return onnx.helper.make_model(graph)


def write_model(directory: Path, content: bytes | None = None, name: str = "1/model.onnx") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True)
    path.write_bytes(valid_model().SerializeToString() if content is None else content)
    return directory


def base_image(directory: Path, programs: list[str], entrypoint: list[str] | None = None) -> str:
    """A base in an OCI layout that holds empty files named as programs."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for program in programs:
            tar.addfile(tarfile.TarInfo(program))
    plain, packed = archive.getvalue(), gzip.compress(archive.getvalue())
    rootfs = {"type": "layers", "diff_ids": [sha256(plain)]}
    content = {"architecture": "amd64", "os": "linux", "rootfs": rootfs, "config": {"Entrypoint": entrypoint}}
    config = Document.of(CONFIG, content)
    layout = Layout(Reference("", str(directory), tag="base"))
    blobs = [layout.put(Bytes(body), "", quiet) for body in (config.body, packed)]
    layer = {"mediaType": f"{LAYER}+gzip", "digest": blobs[1].digest, "size": blobs[1].size}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor().to_json(), "layers": [layer]}
    layout.put_document(Document.of(MANIFEST, manifest), "base")
    layout.close()
    return f"oci:{directory}:base"


def push(model: Path, base: str = "embedded") -> modelcar.Pushed:
    return modelcar.push(model, f"oci:{model.parent}/layout:v1", base=base)


def test_a_valid_model_in_a_version_folder_is_pushed(tmp_path: Path) -> None:
    assert push(write_model(tmp_path / "model")).digest


@pytest.mark.parametrize(
    ("runtime", "files", "because"),
    [
        ("openvino", ["1/model.onnx"], ""),
        ("openvino", ["jukebox/1/model.onnx"], "numbered version folders: put it into a folder 1"),
        ("openvino", ["model.onnx"], "numbered version folders: put it into a folder 1"),
        ("triton", ["jukebox/1/model.onnx", "jukebox/config.pbtxt"], ""),
        ("triton", ["jukebox/1/model.plan"], ""),
        ("triton", ["1/model.onnx"], "lay it out as NAME/1/model.onnx"),
        ("triton", ["model.txt"], "lay it out as NAME/1/model.onnx"),
        ("huggingface", ["config.json", "onnx/model.onnx"], ""),
        ("huggingface", ["onnx/model.onnx"], "config.json at the top"),
        ("mlserver", ["model.joblib"], ""),
        ("mlserver", ["1/model.joblib"], "put the model's file at the top"),
        ("any", ["what/ever/model.onnx"], ""),
    ],
)
def test_the_rule_is_that_of_the_runtime_that_is_named(
    tmp_path: Path, runtime: str, files: list[str], because: str
) -> None:
    for name in files:
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(valid_model().SerializeToString())
    if because:
        with pytest.raises(ModelCarError, match=because):
            modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1", runtime=runtime)
        assert modelcar.resolve(f"oci:{tmp_path}/layout:v1") is None
    else:
        assert modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1", runtime=runtime).digest


def test_a_runtime_that_nobody_knows_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no runtime 'tensorrt' .*: use openvino, triton, huggingface, mlserver, any"):
        modelcar.push(write_model(tmp_path / "model"), f"oci:{tmp_path}/layout:v1", runtime="tensorrt")


@pytest.mark.parametrize("layout", ["flat", "hf", "triton"])
def test_other_layouts_are_pushed_with_a_warning_where_no_runtime_is_named(
    other_layouts: Path, tmp_path: Path, layout: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert modelcar.push(other_layouts / layout, f"oci:{tmp_path}/layout:v1").digest
    assert "name it: openvino, triton" in caplog.text
    if layout != "flat":
        runtime = {"hf": "huggingface", "triton": "triton"}[layout]
        caplog.clear()
        assert modelcar.push(other_layouts / layout, f"oci:{tmp_path}/layout:v1", runtime=runtime).existed
        assert not caplog.text


@pytest.fixture
def other_layouts() -> Path:
    """Models in the layouts of other runtimes, as these were recorded."""
    folder = SHARED / "cases" / "19-other-layouts"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: models in other layouts are kept outside the repository")
    return folder


@pytest.mark.parametrize("content", [b"", b"not a model", valid_model().graph.SerializeToString()])
def test_a_model_that_onnx_does_not_take_is_refused_and_nothing_is_tagged(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelCarError, match=r"1/model.onnx is not a valid ONNX model \(.+\): export it again"):
        push(write_model(tmp_path / "model", content))
    assert modelcar.resolve(f"oci:{tmp_path}/layout:v1") is None


def test_a_name_that_means_a_deleted_file_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    (model / ".wh.labels").write_bytes(b"")
    with pytest.raises(ModelCarError, match=r"means a deleted file"):
        push(model)


def test_a_base_with_a_shell_and_no_entrypoint_will_do(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base", ["usr/bin/sh", "bin/ln", "bin/sleep", "bin/ls"])
    pushed = push(write_model(tmp_path / "model"), base)
    image = modelcar.inspect(pushed.reference)
    assert (image.media_type, image.platforms) == (MANIFEST, ("linux/amd64",)), "no index, since the base was none"
    modelcar.pull(pushed.reference, tmp_path / "back")
    assert (tmp_path / "back/1/model.onnx").is_file()


def test_a_base_without_a_shell_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base", ["bin/sh", "bin/ls", "etc/sleep"])
    with pytest.raises(ModelCarError, match=r"lacks ln, sleep, with which KServe's sidecar links"):
        push(write_model(tmp_path / "model"), base)


def test_a_base_with_another_entrypoint_is_refused(tmp_path: Path) -> None:
    base = base_image(tmp_path / "base", ["bin/sh", "bin/ln", "bin/sleep", "bin/ls"], ["/bin/server"])
    with pytest.raises(ModelCarError, match=r"has the entrypoint /bin/server"):
        push(write_model(tmp_path / "model"), base)
