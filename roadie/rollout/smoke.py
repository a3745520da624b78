"""Ask the served model what the model in hand answers as well, over the Open Inference Protocol v2.

Its REST API is that of kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from roadie.errors import RolloutError, UsageError
from roadie.rollout.look import told

OUTPUT = "probabilities"
PERCENTILES = (50, 95, 99)
_PAUSE = 0.5  # seconds between two questions whether the model is ready
_ANSWER = 30.0  # seconds for one answer

Row = Mapping[str, float]


@dataclass(frozen=True)
class Smoke:
    """What a smoke test showed.

    `reason` is a sentence. `max_difference` is the largest between a served probability and that of the file, NaN when
    none was compared. `latency_ms` has p50, p95 and p99 of the requests in milliseconds, from a request's first byte
    to its answer's last. `requests` is how many were answered.
    """

    ok: bool
    reason: str
    max_difference: float = math.nan
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    requests: int = 0


class _AnswerError(RolloutError):
    """The server does not answer, or with something else than was asked for."""


def smoke(
    url: str,
    model_name: str,
    model: Path,
    rows: Sequence[Row],
    *,
    tolerance: float = 1e-4,
    requests: int = 20,
    timeout: float = 60.0,
) -> Smoke:
    """Send rows to the served model, and compare its probabilities with those of the model's file.

    The rows are dealt to the requests in turn, and used again where there are fewer of them.

    Args:
        url: Where the predictor answers, such as ``http://jukebox-predictor.music.svc.cluster.local``. SSL_CERT_FILE
            names a private CA.
        model_name: The model's name there.
        model: The ONNX file. Its inputs are float32 [n, 1] by feature, or one float32 [n, features] of which the
            metadata ``roadie.features`` names the columns; its output is ``probabilities``, float32 [n, classes].
        rows: Features by name.
        tolerance: The largest difference that two runtimes may have.
        requests: How many requests are sent.
        timeout: Seconds for the model to be ready, and as many again for the requests.

    Returns:
        What it showed; a server that does not answer, or answers something else, is not ok.

    Raises:
        UsageError: there are no rows or requests, or the address is none.
        RolloutError: the file is no such model, or the rows are not for it: there is nothing to compare with.
    """
    if not rows or requests < 1:
        raise UsageError("there is nothing to try the served model with: give at least one row and one request")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is no http address: give the one where the predictor answers")
    batches = [rows[start::requests] or [rows[start % len(rows)]] for start in range(requests)]
    pairs = _with_own_answers(model, batches)
    base, worst, latencies = f"{url.rstrip('/')}/v2/models/{urllib.parse.quote(model_name, safe='')}", 0.0, []
    try:
        _await_ready(f"{base}/ready", timeout)
        deadline = time.monotonic() + timeout
        for question, own in pairs:
            began = time.monotonic()
            answer = _ask(f"{base}/infer", min(_ANSWER, deadline - began), question)
            latencies.append((time.monotonic() - began) * 1000)
            worst = max(worst, _difference(answer, own))
    except _AnswerError as error:
        return Smoke(False, str(error), latency_ms=percentiles(latencies), requests=len(latencies))
    ok = worst <= tolerance
    reason = (
        f"the served model {'agrees' if ok else 'does not agree'} with {model.name}: "
        f"their largest difference over {len(rows)} rows is {worst:.2g}, and {tolerance:.2g} is allowed"
    )
    return Smoke(ok, reason, worst, percentiles(latencies), len(latencies))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The smallest of `values` that so many per cent do not exceed (nearest rank), as p50, p95 and p99."""
    ordered = sorted(values)
    return {f"p{rank}": ordered[math.ceil(rank / 100 * len(ordered)) - 1] for rank in PERCENTILES if ordered}


def _with_own_answers(model: Path, batches: Sequence[Sequence[Row]]) -> list[tuple[dict[str, Any], list[float]]]:
    """Each batch as a request of the protocol, and what the file answers to it, row by row in one list."""
    import numpy as np
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(model.read_bytes(), providers=["CPUExecutionProvider"])
        inputs = [each.name for each in session.get_inputs()]
        features = (
            inputs if len(inputs) > 1 else json.loads(session.get_modelmeta().custom_metadata_map["roadie.features"])
        )
        pairs = []
        for batch in batches:
            matrix = np.array([[row[name] for name in features] for row in batch], dtype=np.float32)
            feed = {inputs[0]: matrix} if len(inputs) == 1 else {name: matrix[:, [i]] for i, name in enumerate(inputs)}
            own = session.run([OUTPUT], feed)[0]
            if not np.isfinite(own).all():
                raise ValueError(f"its {OUTPUT} are no numbers")
            pairs.append((_question(feed), own.ravel().tolist()))
    except KeyError as error:
        raise RolloutError(
            f"{model.name} needs {error}, which the rows do not have: take rows of its holdout"
        ) from error
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise RolloutError(f"{model.name} does not answer to these rows here: {told(error)}") from error
    return pairs


def _question(feed: Mapping[str, Any]) -> dict[str, Any]:
    """An inference request with every input as a tensor of FP32, its data flat in row-major order."""
    tensors = [
        {"name": name, "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
        for name, values in feed.items()
    ]
    return {"inputs": tensors, "outputs": [{"name": OUTPUT}]}


def _await_ready(address: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            _ask(address, min(_ANSWER, max(_PAUSE, deadline - time.monotonic())))
        except _AnswerError as error:
            if time.monotonic() + _PAUSE >= deadline:
                raise _AnswerError(f"the model was not ready within {timeout:.0f} s: {error}") from error
        else:
            return
        time.sleep(_PAUSE)


def _ask(address: str, timeout: float, question: Mapping[str, Any] | None = None) -> Any:
    """GET, or POST a question; the JSON that is answered, or None when there is none in a 200."""
    body = json.dumps(question).encode() if question else None
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), checked
    try:
        with urllib.request.urlopen(asked, timeout=max(timeout, 0.001)) as response:  # noqa: S310
            answer = response.read()
            return json.loads(answer) if question else None
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(2_000).decode(errors="replace")
        raise _AnswerError(told(f"{address} answered {error.code} {error.reason}", said)) from error
    except (OSError, HTTPException) as error:
        raise _AnswerError(told(f"{address} does not answer", getattr(error, "reason", error))) from error
    except ValueError as error:
        raise _AnswerError(f"{address} answered with something else than JSON") from error


def _difference(answer: Any, own: Sequence[float]) -> float:
    """The largest difference between the output of an answer and `own`."""
    try:
        data = next(each["data"] for each in answer["outputs"] if each["name"] == OUTPUT)
        served = [float(value) for value in _flat(data)]
    except (StopIteration, LookupError, TypeError, ValueError) as error:
        raise _AnswerError(f"the served model answered without an output {OUTPUT}: is it another model?") from error
    if len(served) != len(own):
        raise _AnswerError(f"the served model answered {len(served)} numbers for {len(own)}: is it another model?")
    if not all(map(math.isfinite, served)):
        raise _AnswerError(f"the served model answered {OUTPUT} that are no numbers")
    return max(abs(one - other) for one, other in zip(served, own, strict=True))


def _flat(data: Any) -> list[Any]:
    """Tensor data may be flat or nested (inference_rest.md, "Tensor Data")."""
    return [value for each in data for value in (_flat(each) if isinstance(each, list) else [each])]
