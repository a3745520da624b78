"""Samples made with the model's file: the one module of the room that needs the runtime."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roadie.errors import RolloutError
from roadie.rollout.look import told
from roadie.rollout.samples import OUTPUT, Sample

Row = Mapping[str, float]


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
