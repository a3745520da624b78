"""Ask the served model what the model in hand has answered, over the Open Inference Protocol v2.

Its REST API is that of kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

import itertools
import json
import math
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadie.errors import RolloutError, UsageError
from roadie.http import Http, HttpError, Redirects
from roadie.rollout.look import told
from roadie.rollout.samples import OUTPUT, Sample

PERCENTILES = (50, 95, 99)
_PAUSE = 0.5  # seconds between two questions whether the model is ready
_ANSWER = 30.0  # seconds for one answer
# What a login, a gateway or a wrong path answers in the place of the model server.
_OF_OTHERS = {301, 302, 303, 307, 308, 401, 403, 404, 405, 407, 502, 504}


@dataclass(frozen=True)
class Smoke:
    """What a smoke test showed.

    `reason` is a sentence. `max_difference` is the largest between a served probability and that of the file, NaN when
    none was compared. `latency_ms` has p50, p95 and p99 of the requests in milliseconds, from a request's first byte
    to its answer's last. `requests` is how many were answered. `tried` is False when no model server was reached: that
    says something of the address or the network, and nothing of the model.
    """

    ok: bool
    reason: str
    max_difference: float = math.nan
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    requests: int = 0
    tried: bool = True


class _AnswerError(RolloutError):
    """The server does not answer, or with something else than was asked for."""


class _UnreachedError(_AnswerError):
    """Nobody answers at the address, or somebody else than the model server: a proxy, a gateway, a login."""


def smoke(
    url: str,
    model_name: str,
    samples: Sequence[Sample],
    *,
    tolerance: float = 1e-4,
    requests: int = 20,
    timeout: float = 60.0,
) -> Smoke:
    """Send samples to the served model, and compare its answers with theirs.

    Args:
        url: Where the predictor answers, such as ``http://jukebox-predictor.music.svc.cluster.local``. SSL_CERT_FILE
            names a private CA.
        model_name: The model's name there.
        samples: What is asked, one a request; they are asked again where there are fewer of them than requests.
        tolerance: The largest difference of a probability that two runtimes may have.
        requests: How many requests are sent.
        timeout: Seconds for the model to be ready, and as many again for the requests.

    Returns:
        What it showed; a server that does not answer, or answers something else, is not ok.

    Raises:
        UsageError: there are no samples or requests, or the address is none.
    """
    if not samples or requests < 1:
        raise UsageError("there is nothing to try the served model with: give at least one sample and one request")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is no http address: give the one where the predictor answers")
    base, worst, latencies = f"{url.rstrip('/')}/v2/models/{urllib.parse.quote(model_name, safe='')}", 0.0, []
    http = Http(Redirects.NONE)
    try:
        _await_ready(http, f"{base}/ready", timeout)
        deadline = time.monotonic() + timeout
        for sample in itertools.islice(itertools.cycle(samples), requests):
            began = time.monotonic()
            answer = _ask(http, f"{base}/infer", min(_ANSWER, deadline - began), sample.request)
            latencies.append((time.monotonic() - began) * 1000)
            worst = max(worst, _difference(answer, sample.outputs))
    except _AnswerError as error:
        reached = bool(latencies) or not isinstance(error, _UnreachedError)
        return Smoke(False, str(error), latency_ms=percentiles(latencies), requests=len(latencies), tried=reached)
    ok = worst <= tolerance
    reason = (
        f"the served model {'agrees' if ok else 'does not agree'} with the model's file: "
        f"their largest difference over {requests} requests is {worst:.2g}, and {tolerance:.2g} is allowed"
    )
    return Smoke(ok, reason, worst, percentiles(latencies), len(latencies))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The smallest of `values` that so many per cent do not exceed (nearest rank), as p50, p95 and p99."""
    ordered = sorted(values)
    return {f"p{rank}": ordered[math.ceil(rank / 100 * len(ordered)) - 1] for rank in PERCENTILES if ordered}


def _await_ready(http: Http, address: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            _ask(http, address, min(_ANSWER, max(_PAUSE, deadline - time.monotonic())))
        except _AnswerError as error:
            if isinstance(error.__cause__, socket.gaierror):
                raise  # nobody has that name, such as one of the cluster's outside of it
            if time.monotonic() + _PAUSE >= deadline:
                raise type(error)(f"the model was not ready within {timeout:g} s: {error}") from error
        else:
            return
        time.sleep(_PAUSE)


def _ask(http: Http, address: str, timeout: float, question: Mapping[str, Any] | None = None) -> Any:
    """GET, or POST a question; the JSON that is answered, or None when there is none in a 200."""
    body = json.dumps(question).encode() if question else None
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - http(s), checked
    try:
        answer = http.ask(asked, max(timeout, 0.001)).body
        return json.loads(answer) if question else None
    except HttpError as error:
        if not error.status:
            raise _UnreachedError(told(f"{address} does not answer", error.cause or error)) from error.cause or error
        # 503 is what a server says that is still loading; others of a gateway come here as well, and nothing tells.
        kind = _UnreachedError if error.status in _OF_OTHERS else _AnswerError
        said = error.body[:2_000].decode(errors="replace")
        raise kind(told(f"{address} answered {error.why.removeprefix('HTTP ')}", said)) from error
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
