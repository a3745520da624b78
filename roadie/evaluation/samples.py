"""Questions with the answers that a model gave here, for whoever tries it where it is served."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from roadie.evaluation.holdout import Holdout
from roadie.evaluation.scoring import OUTPUT, Model, to_matrix

COUNT = 20


def write_samples(model: Model, holdout: Holdout, path: Path, *, count: int = COUNT) -> None:
    """Write up to `count` cases of the holdout, evenly spread, each as a request with the model's answer to it.

    The file is a JSON array of ``{"request": ..., "outputs": [...]}``: an inference request of the Open Inference
    Protocol v2 (kserve/open-inference-protocol, inference_rest.md) for one case, and the probabilities [classes] that
    ONNX runtime gave. Cases with a feature or an answer that is no finite number are left out: JSON cannot say them.

    Raises:
        UnusableModelError: the model fails on the holdout.
    """
    matrix = to_matrix(model, holdout.inputs)
    finite = np.flatnonzero(np.isfinite(matrix).all(axis=1))
    chosen = finite[np.unique(np.linspace(0, len(finite) - 1, min(count, len(finite))).astype(int))]
    samples = [_sample(model, matrix[[row]]) for row in chosen]
    told = [sample for sample in samples if np.isfinite(sample["outputs"]).all()]
    path.write_text(json.dumps(told, allow_nan=False), encoding="utf-8")


def _sample(model: Model, case: Any) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
        for name, values in model.feed(case).items()
    ]
    request = {"inputs": tensors, "outputs": [{"name": OUTPUT}]}
    return {"request": request, "outputs": model.run(case).ravel().tolist()}
