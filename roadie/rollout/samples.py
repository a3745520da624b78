"""Questions for a served model, with the answers that it must give, as a file holds them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadie.errors import RolloutError

OUTPUT = "probabilities"


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
