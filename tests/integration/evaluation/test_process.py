"""A model runs in a process of its own: with all of its files and nothing else, within limits, without secrets."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper

from roadie.errors import EvaluationError
from roadie.evaluation import Columns, evaluate
from roadie.evaluation.model_files import find_files
from roadie.evaluation.process import ModelProcess
from roadie.evaluation.scoring import load_model
from tests.unit.evaluation.models import BLUNT, CLASSES, FEATURES, SHARP, make_model

GATE = {"metric": "log_loss", "resamples": 300}


@pytest.fixture
def run(holdout, tmp_path):
    def run(challenger, champion, **gate):
        page = tmp_path / "report" / "report.html"
        page.parent.mkdir(exist_ok=True)
        return evaluate(challenger, champion, holdout, gate=GATE | gate, report=page)

    return run


def external(folder: Path, weights, *, location="weights/model.onnx.data") -> Path:
    """A version folder whose model keeps its weights in another file."""
    path = folder / "1" / "model.onnx"
    (folder / "1").mkdir(parents=True)
    model = onnx.load(make_model(path, weights, detour=64))
    (path.parent / location).parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=True, location=location, size_threshold=0)
    return path.parent


def patched(path: Path, nodes, initializers=(), *, outputs=None) -> Path:
    """A model that passes its features through these nodes, `joined` to `probabilities`."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in FEATURES]
    made = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(CLASSES)])]
    graph = helper.make_graph(
        [helper.make_node("Concat", list(FEATURES), ["joined"], axis=1), *nodes],
        "test",
        given,
        outputs or made,
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, {"roadie.classes": json.dumps(list(CLASSES))})
    path.write_bytes(model.SerializeToString())
    return path


def number(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


@pytest.mark.parametrize("by", ["folder", "file"])
def test_a_model_whose_weights_lie_in_another_file_is_scored_and_told_by_all_its_files(run, tmp_path, by):
    a, b = external(tmp_path / "a", SHARP), external(tmp_path / "b", BLUNT)
    shutil.copy(a / "model.onnx", b / "model.onnx")
    if by == "file":
        a, b = a / "model.onnx", b / "model.onnx"
    evaluation = run(a, b)
    assert evaluation.decision.promote
    assert evaluation.challenger_sha256 != evaluation.champion_sha256
    assert evaluation.costs["challenger"].bytes > (tmp_path / "a" / "1" / "weights" / "model.onnx.data").stat().st_size
    assert run(a, a).decision.outcome == "unchanged"


def test_the_cases_of_other_people_s_exporters_are_scored_or_refused_in_a_sentence(real_charts, tmp_path):
    cases = real_charts.parent / "cases"
    one, other = cases / "16-onnx-external-data" / "a" / "1", cases / "16-onnx-external-data" / "b" / "1"
    table = cases / "16-onnx-external-data" / "holdout.parquet"
    wines = Columns(group="bottle", label="cultivar", unit="bottles")
    report = tmp_path / "report.html"
    found = evaluate(one, other, table, gate=GATE, report=report, columns=wines)
    assert found.decision.outcome != "unchanged"
    zipmap = cases / "17-onnx-zipmap-probabilities"
    with pytest.raises(EvaluationError, match="export it with zipmap off"):
        evaluate(zipmap / "1", None, zipmap / "holdout.parquet", gate=GATE, report=report, columns=wines)


@pytest.mark.parametrize("leads_to", ["/etc/passwd", "../outside", "nowhere"])
def test_a_file_of_the_model_that_is_a_link_out_of_its_folder_is_refused(run, tmp_path, leads_to):
    folder = external(tmp_path / "a", SHARP)
    (tmp_path / "a" / "outside").write_bytes(b"x")
    (folder / "more").symlink_to(leads_to)
    with pytest.raises(EvaluationError, match="challenger cannot be scored: more beside model.onnx is no file"):
        run(folder, None)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "secret"])
def test_a_model_reads_no_file_but_its_own(run, tmp_path, monkeypatch, location):
    """The name alone is not enough: what lies in the step's own folder is none of the model's."""
    folder = external(tmp_path / "a", SHARP, location="data")
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    shutil.copy(folder / "data", tmp_path / "secret")
    shutil.copy(folder / "data", tmp_path / "a" / "secret")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        EvaluationError, match="challenger cannot be scored: model.onnx is no ONNX model that runs here"
    ):
        run(folder, None)


def loop(path: Path, turns: int) -> Path:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("MatMul", ["before", "square"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["turns", "true", "joined"], ["same"], body=body),
        helper.make_node("MatMul", ["same", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    constants = [number("turns", np.int64(turns)), number("true", np.array(True))]
    constants += [number("square", np.eye(2, dtype=np.float32)), number("weights", SHARP.astype(np.float32))]
    return patched(path, nodes, constants)


@pytest.mark.parametrize("role", ["challenger", "champion"])
def test_a_model_that_does_not_come_to_an_end_is_a_sentence(run, sharp, tmp_path, role):
    hangs = loop(tmp_path / "hangs.onnx", 2**62)
    pair = (hangs, sharp) if role == "challenger" else (sharp, hangs)
    with pytest.raises(EvaluationError, match=f"The {role} cannot be scored: it does not answer within 2 s, .*maximum"):
        run(*pair, maximum_seconds=2)
    assert run(loop(tmp_path / "ends.onnx", 3), None).decision.promote


def test_a_model_that_takes_all_memory_is_a_sentence(run, tmp_path):
    nodes = [
        helper.make_node("Expand", ["one", "shape"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["total"]),
        helper.make_node("Mul", ["joined", "total"], ["much"]),
        helper.make_node("MatMul", ["much", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    constants = [number("one", np.ones(1, np.float32)), number("shape", np.array([1 << 34], np.int64))]
    greedy = patched(tmp_path / "greedy.onnx", nodes, [*constants, number("weights", SHARP.astype(np.float32))])
    with pytest.raises(EvaluationError, match=r"challenger cannot be scored: .*(alloc|memory)"):
        run(greedy, None)


def test_an_output_that_is_no_tensor_of_numbers_is_a_sentence(run, tmp_path):
    nodes = [helper.make_node("Cast", ["joined"], ["probabilities"], to=TensorProto.STRING)]
    made = [helper.make_tensor_value_info("probabilities", TensorProto.STRING, ["batch", 2])]
    with pytest.raises(EvaluationError, match="challenger cannot be scored: it"):
        run(patched(tmp_path / "texts.onnx", nodes, outputs=made), None)


def test_the_process_has_no_secrets_and_ends_with_the_model(sharp, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    model = load_model(sharp, "challenger")
    process = model.process._process
    assert b"hidden" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    folder = Path(f"/proc/{process.pid}/cwd").readlink()
    assert [each.name for each in folder.iterdir()] == ["sharp.onnx"]
    with model:
        pass
    assert process.returncode is not None
    assert not folder.exists()


def test_the_process_ends_with_a_step_that_is_stopped_while_it_waits(tmp_path):
    hangs = loop(tmp_path / "hangs.onnx", 2**62)
    program = (
        "import numpy, sys; from pathlib import Path; from roadie.evaluation.scoring import load_model\n"
        "model = load_model(Path(sys.argv[1]), 'challenger')\n"
        "print(model.process._process.pid, flush=True)\n"
        "model.run(numpy.zeros((1, 2), numpy.float32))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(hangs)], stdout=subprocess.PIPE, text=True) as step:
        child = Path(f"/proc/{int(step.stdout.readline())}")
        step.terminate()
    deadline = time.monotonic() + 60
    while child.exists() and ") Z " not in (child / "stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_dies_is_a_sentence(sharp):
    process = ModelProcess("champion", find_files(sharp), 60)
    process._process.kill()
    with pytest.raises(EvaluationError, match="The champion cannot be scored: its process was killed"):
        process.load()


def test_probabilities_a_hair_below_0_as_trees_answer_them_are_0(run, tmp_path):
    """ONNX Runtime's tree ensembles answer 1 - p in float32, which can be -1.2e-07."""
    nodes = [
        helper.make_node("MatMul", ["joined", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["sure"]),
        helper.make_node("Add", ["sure", "hair"], ["probabilities"]),
    ]
    for hair, good in ((2e-4, True), (0.2, False)):
        constants = [
            number("weights", SHARP.astype(np.float32)),
            number("hair", np.array([hair, -hair, 0], np.float32)),
        ]
        model = patched(tmp_path / f"{good}.onnx", nodes, constants)
        if good:
            assert run(model, None).metrics["challenger_log_loss"] > 0
        else:
            with pytest.raises(EvaluationError, match="one of its probabilities is -0.2, less than 0"):
                run(model, None)


@pytest.mark.parametrize("metric", ["log_loss", "top_1"])
def test_models_that_differ_by_rounding_alone_are_nothing_new(run, sharp, tmp_path, metric):
    rounded = make_model(tmp_path / "rounded.onnx", SHARP * (1 + 2e-7))
    evaluation = run(rounded, sharp, metric=metric)
    assert evaluation.challenger_sha256 != evaluation.champion_sha256
    assert evaluation.decision.outcome == "unchanged"
    assert "but for rounding" in evaluation.decision.reason


def test_a_class_that_one_of_two_models_gives_a_small_chance_is_no_rounding(run, sharp, holdout, tmp_path):
    """A difference of 1e-05 where the other says 0 is worth 4 of log loss an entry."""
    table = pl.read_parquet(holdout)
    wider = np.pad(SHARP, ((0, 0), (0, 1)))
    model = make_model(tmp_path / "wider.onnx", wider, classes=(*CLASSES, "XX"), bias=np.array([0, 0, 0, -11.0]))
    table.with_columns(
        country=pl.when(pl.int_range(pl.len()) < 9).then(pl.lit("XX")).otherwise("country")
    ).write_parquet(tmp_path / "new.parquet")
    found = evaluate(model, sharp, tmp_path / "new.parquet", gate=GATE, report=tmp_path / "report.html")
    assert found.decision.outcome != "unchanged"
