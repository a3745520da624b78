"""The arithmetic around the classifier, twice: in numpy for training, and as ONNX nodes for serving.

features -> (x - mean) / scale -> clip -> classifier -> (1 - share) * p + share * prior
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, compose, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

# Pinned, so that a newer converter does not emit what deployed runtimes cannot run yet: these are ONNX 1.13's.
OPSET, IR_VERSION = 18, 8
# OpenVINO Model Server does not run ai.onnx.ml: with these refused, the converter keeps to the standard operators,
# and the checker would find any other, because the model imports the standard domain only.
REFUSED = {"LinearClassifier", "Normalizer", "Scaler"}
OUTPUT = "probabilities"


@dataclass(frozen=True)
class Wrapping:
    """What is put around a classifier. mean and scale are float32 [features], prior is float32 [classes]."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    clip: float
    prior: NDArray[np.float32]
    prior_share: float

    @classmethod
    def measure(
        cls,
        features: NDArray[np.float32],
        weights: NDArray[np.float64],
        prior: NDArray[np.float64],
        *,
        clip: float,
        prior_share: float,
    ) -> "Wrapping":
        """Measure mean and deviation over chart entries; a feature that never changes is only centred."""
        values = features.astype(np.float64)
        mean = np.average(values, axis=0, weights=weights)
        deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
        scale = np.where(deviation > np.finfo(np.float32).eps * np.maximum(np.abs(mean), 1), deviation, 1.0)
        return cls(mean.astype(np.float32), scale.astype(np.float32), clip, prior.astype(np.float32), prior_share)

    def standardise(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw features to what the classifier sees, both [examples, features]."""
        scaled = (features - self.mean) / self.scale
        clipped: NDArray[np.float32] = np.clip(scaled, np.float32(-self.clip), np.float32(self.clip))
        return clipped

    def mix(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """The classifier's probabilities to the model's, [examples, classes]."""
        return probabilities * (1 - self.prior_share) + self.prior * self.prior_share


def build_model(
    classifier: Any,  # a fitted scikit-learn classifier on the classes 0, 1, 2, ...
    wrapping: Wrapping,
    features: Sequence[str],
    metadata: Mapping[str, str],
) -> ModelProto:
    """Build the ONNX model: inputs float32 [batch, 1] named as the features, output `probabilities`."""
    width = len(features)
    converted = to_onnx(
        classifier,
        initial_types=[("standardised", FloatTensorType([None, width]))],
        options={"zipmap": False},
        target_opset={"": OPSET, "ai.onnx.ml": 3},
        black_op=REFUSED,
    )
    # The prefix keeps the converter's names apart from the features', whatever those are.
    inner = compose.add_prefix(converted, "classifier/").graph
    nodes = [*_prepare(features), *_needed(inner.node, f"classifier/{OUTPUT}"), *_mix()]
    read = {name for node in nodes for name in node.input}
    constants = {
        "mean": wrapping.mean,
        "scale": wrapping.scale,
        "lowest": np.float32(-wrapping.clip),
        "highest": np.float32(wrapping.clip),
        "own_share": np.float32(1 - wrapping.prior_share),
        "prior_part": (wrapping.prior * np.float32(wrapping.prior_share)).astype(np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "roadie",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in features],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(wrapping.prior)])],
        [numpy_helper.from_array(np.asarray(value), f"wrapping/{name}") for name, value in constants.items()]
        + [initializer for initializer in inner.initializer if initializer.name in read],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="roadie",
    )
    helper.set_model_props(model, dict(sorted(metadata.items())))
    checker.check_model(model, full_check=True)
    return model


def _prepare(features: Sequence[str]) -> list[NodeProto]:
    return [
        helper.make_node("Concat", list(features), ["wrapping/raw"], axis=1),
        helper.make_node("Sub", ["wrapping/raw", "wrapping/mean"], ["wrapping/centred"]),
        helper.make_node("Div", ["wrapping/centred", "wrapping/scale"], ["wrapping/scaled"]),
        helper.make_node(
            "Clip", ["wrapping/scaled", "wrapping/lowest", "wrapping/highest"], ["classifier/standardised"]
        ),
    ]


def _mix() -> list[NodeProto]:
    return [
        helper.make_node("Mul", [f"classifier/{OUTPUT}", "wrapping/own_share"], ["wrapping/own_part"]),
        helper.make_node("Add", ["wrapping/own_part", "wrapping/prior_part"], [OUTPUT]),
    ]


def _needed(nodes: Sequence[NodeProto], output: str) -> list[NodeProto]:
    """Only the nodes that lead to the output: the converter also computes a label, which nobody asks for."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
