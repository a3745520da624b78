"""Models and their probabilities: whatever ONNX runtime can load, scored the same way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from roadie.errors import EvaluationError
from roadie.evaluation.gate import SECONDS
from roadie.evaluation.model_files import find_files
from roadie.evaluation.process import AnswerError, ModelProcess, UnusableModelError

OUTPUT = "probabilities"
SUM_TOLERANCE = 1e-3  # rounding in float32; sigmoid outputs miss it by far
BATCH = 8_192  # rows: a wide model's layers are as many numbers for each


@dataclass(frozen=True)
class Model:
    """A loaded ONNX model and what it says of itself; `role` is challenger or champion."""

    role: str
    process: ModelProcess
    sha256: str
    size: int
    inputs: tuple[str, ...]
    features: tuple[str, ...]
    classes: tuple[str, ...]
    curve: tuple[float, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def feed(self, matrix: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The model's inputs for a matrix [cases, features]: that matrix, or its columns by name."""
        if len(self.inputs) == 1:
            return {self.inputs[0]: matrix}
        return {name: matrix[:, [index]] for index, name in enumerate(self.inputs)}

    def run(self, matrix: NDArray[np.float32]) -> NDArray[Any]:
        """Its output for a matrix [cases, features], [cases, classes]; an UnusableModelError when it fails."""
        # What it answers may be numbers of 8 bytes; a few more classes than it names are an error that says so.
        return self._ask(b"r", matrix, 8 * len(matrix) * (len(self.classes) + 1000))

    def median_seconds(self, matrix: NDArray[np.float32]) -> float:
        """The median time that it takes for one row of a matrix."""
        return float(self._ask(b"t", matrix, 1000))

    def _ask(self, kind: bytes, matrix: NDArray[np.float32], most_bytes: int) -> NDArray[Any]:
        try:
            return self.process.ask(kind, matrix, most_bytes)
        except AnswerError as error:
            raise UnusableModelError(
                self.role, f"it fails on the holdout's features ({error}); export it again"
            ) from error


def load_model(path: Path, role: str, seconds: float = SECONDS) -> Model:
    """Load a model in a process of its own, which ends with the model.

    Args:
        path: a version folder with a model.onnx, or an ONNX file (see `roadie.evaluation.model_files`).
        role: challenger or champion.
        seconds: what the model may take in all, from its loading to its last answer.

    Raises:
        UnusableModelError: the file is missing, does not run here, or does not name its features and classes.
    """
    try:
        files = find_files(path)
        if files.model not in files.names:
            raise UnusableModelError(role, f"{files.model} is not there; train the model again, or roll back")
        process = ModelProcess(role, files, seconds)
    except UnusableModelError:
        raise
    except EvaluationError as error:
        raise UnusableModelError(role, str(error)) from error
    try:
        facts = json.loads(process.load())
    except (AnswerError, ValueError) as error:
        raise UnusableModelError(
            role, f"{files.model} is no ONNX model that runs here ({error}); export it again"
        ) from error
    kind, properties, inputs = facts["outputs"].get(OUTPUT), facts["properties"], facts["inputs"]
    if kind is None:
        raise UnusableModelError(role, f"its model has no output {OUTPUT}; export it with one")
    if not kind.startswith("tensor("):
        raise UnusableModelError(
            role, f"its output {OUTPUT} is a {kind} and no tensor; export it with zipmap off (options zipmap=False)"
        )
    named = len(inputs) > 1  # a single input is a matrix, and only the metadata can say what its columns are
    return Model(
        role=role,
        process=process,
        sha256=files.sha256,
        size=files.size,
        inputs=tuple(inputs),
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
    own = np.concatenate([_checked(model, matrix[start : start + BATCH]) for start in range(0, len(matrix), BATCH)])
    sums = own.sum(axis=1)
    if (np.abs(sums - 1) > SUM_TOLERANCE).any():
        worst = sums[np.nanargmax(np.abs(sums - 1))]
        raise UnusableModelError(
            model.role, f"its probabilities add up to {worst:.3g}, not to 1; end the model in a softmax"
        )
    if (own < -SUM_TOLERANCE).any():
        raise UnusableModelError(
            model.role, f"one of its probabilities is {np.nanmin(own):.3g}, less than 0; end the model in a softmax"
        )
    own = np.where(own < 0, 0.0, own)  # ONNX Runtime's trees answer 1 - p in float32; NaN stays
    probabilities = np.zeros((len(matrix), len(classes)))
    probabilities[:, [classes.index(name) for name in model.classes]] = own
    return probabilities


def _checked(model: Model, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    answers = model.run(matrix)
    if answers.dtype.kind not in "fiu":
        raise UnusableModelError(model.role, f"it answers with {answers.dtype}, not with numbers; export it again")
    if answers.shape != (len(matrix), len(model.classes)):
        raise UnusableModelError(
            model.role, f"it names {len(model.classes)} classes and returns {answers.shape[1:]}; export it again"
        )
    return answers.astype(np.float64)


def _listed(properties: Mapping[str, str], key: str, role: str) -> list[Any]:
    """A JSON array from the model's metadata."""
    try:
        values = json.loads(properties[key])
    except (KeyError, ValueError):
        values = None
    if not isinstance(values, list):
        raise UnusableModelError(role, f"its metadata has no JSON array {key}; write it there")
    return values
