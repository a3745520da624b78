"""Fit, export, compare the two, write."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto
from threadpoolctl import threadpool_limits

from roadie.data import FEATURES, SUMMARY, summarise
from roadie.errors import TrainingError
from roadie.training.graph import OUTPUT, Wrapping, build_model
from roadie.training.hyperparameters import Hyperparameters
from roadie.training.table import Table, read_table
from roadie.training.trainers import parse_hyperparameters

# Those that decide about the model's bytes.
LIBRARIES = ("numpy", "onnx", "polars", "scikit-learn", "scipy", "skl2onnx")
CHECKED_AT_ONCE = 2048  # examples; all at once would be the step's peak of memory
TOLERANCE = 1e-5  # how far the exported model may stray from the fitted one


@dataclass(frozen=True)
class Trained:
    """The model file and what it was made of.

    `rows` counts chart entries, `examples` (song, country) pairs; `curve` is the training loss per epoch,
    empty where the trainer has no epochs.
    """

    model: Path
    sha256: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    rows: int
    examples: int
    songs: int
    curve: tuple[float, ...]
    seconds: float
    libraries: Mapping[str, str]
    hyperparameters: Mapping[str, object]


def train(examples: Path, directory: Path, *, hyperparameters: Mapping[str, object], seed: int) -> Trained:
    """Train on the examples table and write `directory/1/model.onnx`, and beside 1 the summary that drift is told from.

    An example is a (song, country) pair weighted by its chart entries: the sum of weight * -log p is the
    cross-entropy over the single entries (Bishop, Pattern Recognition and Machine Learning, eq. 4.108) with
    equal terms collected, so the optimum is the same with far fewer rows.

    Raises:
        TrainingError: the hyperparameters are unusable, or nothing can be learnt from the table.
        DataError: the table is broken.
    """
    started = time.perf_counter()
    settings = parse_hyperparameters(hyperparameters)
    check_seed(seed)
    table = read_table(examples)
    native = fit(settings, table, seed)
    libraries = {name: version(name) for name in LIBRARIES}
    metadata = _metadata(table, settings, seed, libraries, native.curve)
    model = build_model(native.classifier, native.wrapping, FEATURES, metadata)
    check_export(model, table, native.answer(table.features))
    content = model.SerializeToString(deterministic=True)
    path = directory / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (directory / SUMMARY).write_text(summarise(examples).to_json(), encoding="utf-8")
    return Trained(
        model=path,
        sha256=hashlib.sha256(content).hexdigest(),
        classes=table.classes,
        features=FEATURES,
        rows=int(table.weights.sum()),
        examples=len(table.labels),
        songs=table.songs,
        curve=native.curve,
        seconds=time.perf_counter() - started,
        libraries=libraries,
        hyperparameters=settings.model_dump(mode="json"),
    )


def check_seed(seed: int) -> None:
    """TrainingError for a seed that numpy does not take."""
    if not 0 <= seed < 2**32:
        raise TrainingError(f"The seed is {seed} but must lie between 0 and {2**32 - 1}; choose another one")


@dataclass(frozen=True)
class Native:
    """A model as it was fitted, before its export."""

    wrapping: Wrapping
    classifier: Any  # of scikit-learn, fitted
    curve: tuple[float, ...]

    def answer(self, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Raw features [examples, features] to probabilities [examples, classes]."""
        with threadpool_limits(limits=1):
            return self.wrapping.mix(self.classifier.predict_proba(self.wrapping.standardise(features)))


def fit(settings: Hyperparameters, table: Table, seed: int) -> Native:
    """Fit a model to the table; TrainingError when the fit runs off to infinity."""
    wrapping = Wrapping.measure(
        table.features, table.weights, table.prior, clip=settings.clip_sigma, prior_share=settings.prior_share
    )
    # Weights of 1 on average: the penalties then mean the same for a week of charts and for a year of them.
    weights = table.weights / table.weights.mean()
    try:
        # One thread: small nets gain nothing from more, and sums in another order would change the bytes.
        with threadpool_limits(limits=1):
            fitted = settings.fit(wrapping.standardise(table.features), table.labels, weights, seed)
    except ValueError as error:  # scikit-learn's, when the solver ran off to infinity
        raise TrainingError(
            f"The trainer {settings.trainer!r} gave up ({error}); try a smaller learning rate or more regularisation"
        ) from error
    return Native(wrapping, fitted.classifier, fitted.curve)


def _metadata(
    table: Table, settings: Hyperparameters, seed: int, libraries: Mapping[str, str], curve: tuple[float, ...]
) -> dict[str, str]:
    """What travels inside the model file, as JSON; no times and no paths, or equal models would differ."""
    values: dict[str, object] = {
        "roadie.features": FEATURES,
        "roadie.classes": table.classes,
        "roadie.seed": seed,
        "roadie.hyperparameters": settings.model_dump(mode="json"),
        "roadie.libraries": libraries,
        "roadie.curve": [round(loss, 6) for loss in curve],
    }
    return {key: json.dumps(value, ensure_ascii=False, sort_keys=True) for key, value in values.items()}


def check_export(model: ModelProto, table: Table, native: NDArray[np.floating]) -> None:
    """Refuse a model that says something else in ONNX than in scikit-learn on the songs it was trained on."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    difference = 0.0
    for start in range(0, len(native), CHECKED_AT_ONCE):
        part = slice(start, start + CHECKED_AT_ONCE)
        exported = session.run(
            [OUTPUT], {name: table.features[part, index, None] for index, name in enumerate(FEATURES)}
        )[0]
        difference = np.maximum(difference, np.abs(exported - native[part]).max())  # which keeps a NaN
    if not difference <= TOLERANCE:  # also true when it is NaN
        raise TrainingError(
            f"The exported model differs from the fitted one by {difference:.2g}, more than {TOLERANCE:.0e}; "
            "make the hyperparameters less extreme, the fit has probably diverged"
        )
