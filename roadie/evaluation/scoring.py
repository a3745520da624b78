"""Models and their probabilities: whatever ONNX runtime can load, scored the same way."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
from numpy.typing import NDArray

from roadie.errors import EvaluationError

OUTPUT = "probabilities"
SUM_TOLERANCE = 1e-3  # rounding in float32; sigmoid outputs miss it by far
BATCH = 65_536


class UnusableModelError(EvaluationError):
    """A model that cannot be scored; `role` is challenger or champion."""

    def __init__(self, role: str, why: str) -> None:
        super().__init__(f"The {role} cannot be scored: {why}")
        self.role = role


@dataclass(frozen=True)
class Model:
    """A loaded ONNX model and what it says of itself; `role` is challenger or champion."""

    role: str
    session: Any
    sha256: str
    size: int
    features: tuple[str, ...]
    classes: tuple[str, ...]
    curve: tuple[float, ...]

    def feed(self, matrix: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The session's inputs for a matrix [cases, features]: that matrix, or its columns by name."""
        names = [value.name for value in self.session.get_inputs()]
        if len(names) == 1:
            return {names[0]: matrix}
        return {name: matrix[:, [index]] for index, name in enumerate(self.features)}

    def run(self, feed: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Its output for a feed, [cases, classes]; an UnusableModelError when it fails."""
        try:
            return np.asarray(self.session.run([OUTPUT], feed)[0])
        except Exception as error:  # onnxruntime's own exceptions share no base class
            raise UnusableModelError(self.role, "it fails on the holdout's features; export it again") from error


def load_model(path: Path, role: str) -> Model:
    """Load a model.

    Raises:
        UnusableModelError: the file is missing, does not run here, or does not name its features and classes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        content = path.read_bytes()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise UnusableModelError(role, f"{path.name} is no ONNX model that runs here; export it again") from error
    if OUTPUT not in (output.name for output in session.get_outputs()):
        raise UnusableModelError(role, f"its model has no output {OUTPUT}; export it with one")
    properties = session.get_modelmeta().custom_metadata_map
    inputs = [value.name for value in session.get_inputs()]
    named = len(inputs) > 1  # a single input is a matrix, and only the metadata can say what its columns are
    return Model(
        role=role,
        session=session,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        features=tuple(inputs) if named else tuple(map(str, _listed(properties, "roadie.features", role))),
        classes=tuple(map(str, _listed(properties, "roadie.classes", role))),
        curve=tuple(map(float, _listed({"roadie.curve": "[]"} | properties, "roadie.curve", role))),
    )


def to_matrix(model: Model, inputs: pl.DataFrame) -> NDArray[np.float32]:
    """The model's features of a table, [cases, features].

    Raises:
        UnusableModelError: the table lacks a feature, or one is no number.
    """
    if missing := [name for name in model.features if name not in inputs.columns]:
        raise UnusableModelError(
            model.role, f"the holdout has no column {', '.join(missing)}; score it on a table that has"
        )
    try:
        return inputs.select(pl.col(model.features).cast(pl.Float32)).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise UnusableModelError(model.role, "its features are not all numbers in the holdout; convert them") from error


def score(model: Model, matrix: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities of `classes` by name, 0 for one that the model does not know, [cases, classes]; NaN is kept.

    Raises:
        UnusableModelError: the model fails on the matrix [cases, features], or its outputs are no probabilities.
    """
    parts = [model.run(model.feed(matrix[start : start + BATCH])) for start in range(0, len(matrix), BATCH)]
    own = np.concatenate(parts).astype(np.float64)
    if own.shape != (len(matrix), len(model.classes)):
        raise UnusableModelError(
            model.role, f"it names {len(model.classes)} classes and returns {own.shape[1:]}; export it again"
        )
    sums = own.sum(axis=1)
    if (np.abs(sums - 1) > SUM_TOLERANCE).any() or (own < 0).any():
        worst = sums[np.nanargmax(np.abs(sums - 1))]
        raise UnusableModelError(
            model.role, f"its probabilities add up to {worst:.3g}, not to 1; end the model in a softmax"
        )
    probabilities = np.zeros((len(matrix), len(classes)))
    probabilities[:, [classes.index(name) for name in model.classes]] = own
    return probabilities


def _listed(properties: Mapping[str, str], key: str, role: str) -> list[Any]:
    """A JSON array from the model's metadata."""
    try:
        values = json.loads(properties[key])
    except (KeyError, ValueError):
        values = None
    if not isinstance(values, list):
        raise UnusableModelError(role, f"its metadata has no JSON array {key}; write it there")
    return values
