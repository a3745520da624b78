"""Questions for a served model, with the answers that it must give: a file of them, or made with the model's file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadie.errors import RolloutError
from roadie.rollout.look import told

OUTPUT = "probabilities"

Row = Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """An inference request of the Open Inference Protocol v2, and the probabilities that answer it, in one row."""

    request: Mapping[str, Any]
    outputs: Sequence[float]


def read_samples(path: Path) -> list[Sample]:
    """The samples of a JSON file, an array of ``{"request": ..., "outputs": [...]}``.

    Raises:
        RolloutError: it is not such a file, or there is no sample in it.
    """
    try:
        found = [
            Sample(dict(each["request"]), [float(value) for value in each["outputs"]])
            for each in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RolloutError(f"{path} holds no samples; write them with the gate, or name a model and rows") from error
    if not found or not all(math.isfinite(value) for sample in found for value in sample.outputs):
        raise RolloutError(f"{path} holds no sample with finite numbers; take another holdout")
    return found


def make_samples(model: Path, rows: Sequence[Row]) -> list[Sample]:
    """A sample of each row, answered by ONNX runtime.

    Args:
        model: The ONNX file. Its inputs are float32 [n, 1] by feature, or one float32 [n, features] of which the
            metadata ``roadie.features`` names the columns; its output is ``probabilities``, float32 [n, classes].
        rows: Features by name.

    Raises:
        RolloutError: the file is no such model, or the rows are not for it.
    """
    import numpy as np
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
        inputs = [each.name for each in session.get_inputs()]
        known = session.get_modelmeta().custom_metadata_map
        features = inputs if len(inputs) > 1 else json.loads(known["roadie.features"])
        samples = []
        for row in rows:
            case = np.array([[row[name] for name in features]], dtype=np.float32)
            feed = {inputs[0]: case} if len(inputs) == 1 else {name: case[:, [i]] for i, name in enumerate(inputs)}
            samples.append(Sample(_request(feed), session.run([OUTPUT], feed)[0].ravel().tolist()))
    except KeyError as error:
        raise RolloutError(f"{model.name} needs {error}, which the rows lack: take those of its holdout") from error
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise RolloutError(f"{model.name} does not answer to these rows here: {told(error)}") from error
    return samples


def _request(feed: Mapping[str, Any]) -> dict[str, Any]:
    """Every input as a tensor of FP32, its data flat in row-major order (inference_rest.md, "Tensor Data")."""
    tensors = [
        {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
        for name, values in feed.items()
    ]
    return {"inputs": tensors, "outputs": [{"name": OUTPUT}]}
