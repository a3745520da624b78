"""Small ONNX models and holdouts made by hand, so that every test says what its models know."""

import json
from pathlib import Path

import numpy as np
import polars as pl
from onnx import TensorProto, helper, numpy_helper

FEATURES = ("energy", "tempo")
CLASSES = ("DE", "NO", "SE")
SHARP = np.array([[4.0, 0, -4], [0, 4, 0]])  # knows how make_holdout draws its labels
NUDGED = SHARP + np.array([[0.05, 0, 0], [0, 0, -0.05]])  # another model, no better and no worse
BLUNT = SHARP / 4
BLIND = np.zeros((2, 3))


def make_model(
    path: Path,
    weights: np.ndarray,
    *,
    classes=CLASSES,
    features=FEATURES,
    activation="Softmax",
    matrix_input=False,
    metadata=None,
    bias=0.0,
    detour=0,
) -> Path:
    """A linear classifier; `features` are its inputs by name, or the columns of its one matrix input.

    `detour` is the width of a layer that takes time and space, and adds nothing.
    """
    if matrix_input:
        inputs, nodes, given = {"x": len(features)}, [], "x"
    else:
        inputs, given = dict.fromkeys(features, 1), "joined"
        nodes = [helper.make_node("Concat", list(features), ["joined"], axis=1)]
    nodes += [
        helper.make_node("MatMul", [given, "weights"], ["scores"]),
        helper.make_node("MatMul", ["scores", "there"], ["wide"]),
        helper.make_node("MatMul", ["wide", "back"], ["nothing"]),
        helper.make_node("Sum", ["scores", "nothing", "bias"], ["logits"]),
        helper.make_node(activation, ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in inputs.items()],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(np.ones((weights.shape[1], detour), np.float32), "there"),
            numpy_helper.from_array(np.zeros((detour, weights.shape[1]), np.float32), "back"),
            numpy_helper.from_array(np.float32(bias) + np.zeros(weights.shape[1], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    known = {"roadie.features": list(features), "roadie.classes": list(classes)}
    helper.set_model_props(
        model, {key: json.dumps(value) for key, value in (known if metadata is None else metadata).items()}
    )
    path.write_bytes(model.SerializeToString())
    return path


def make_holdout(path: Path, *, songs=300, seed=0, classes=CLASSES) -> Path:
    """Songs with two features; three labels a song, drawn from SHARP's own probabilities, with weights of 1 to 5."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((songs, 2))
    chances = np.exp(features @ SHARP)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = [
        (f"song{song:05}", classes[index], int(rng.integers(1, 6)), *features[song])
        for song in range(songs)
        for index in np.unique(rng.choice(3, size=3, p=chances[song]))
    ]
    table = pl.DataFrame(rows, schema=["spotify_id", "country", "weight", *FEATURES], orient="row")
    table.write_parquet(path)
    return path
