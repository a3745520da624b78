"""Score, compare, decide, report: the room's one way through."""

import hashlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from roadie.evaluation.bootstrap import compare
from roadie.evaluation.checks import check_floors, check_limits
from roadie.evaluation.costs import measure_costs
from roadie.evaluation.decision import Decision, decide
from roadie.evaluation.drift import parse_drift
from roadie.evaluation.gate import GateConfig, parse_gate
from roadie.evaluation.holdout import Columns, Holdout, read_holdout
from roadie.evaluation.imported import metrics_for
from roadie.evaluation.leakage import Seen, look_for
from roadie.evaluation.metrics import Floats, calibration_bins
from roadie.evaluation.process import UnusableModelError
from roadie.evaluation.result import Evaluation
from roadie.evaluation.samples import write_samples
from roadie.evaluation.scoring import Model, load_model, score, to_matrix
from roadie.evaluation.slices import confuse, slice_by_label

ROUNDING = 1e-5  # of a probability
SMALL = 0.1  # of the logarithm of one


def evaluate(
    challenger: Path,
    champion: Path | None,
    holdout: Path,
    *,
    gate: Mapping[str, object],
    report: Path,
    facts: Mapping[str, str] | None = None,
    columns: Columns | None = None,
    champion_groups: Path | None = None,
    challenger_groups: Path | None = None,
    drift: Mapping[str, object] | None = None,
    samples: Path | None = None,
) -> Evaluation:
    """Decide whether the challenger may take the champion's place, and write the report.

    Both are version folders with a model.onnx, or ONNX files; champion is None when nothing is deployed yet. `facts`
    (digests, where the data is from) stand at the report's end. `columns` says what the holdout's columns mean, by
    default those of the charts. `champion_groups` is the file that `group_digests` made of the groups that the champion
    was trained on; None, or a path where there is no file, when nobody knows. `challenger_groups` is that of the
    challenger, which is looked for where a path is given; beside either may stand the file that `row_digests` made.
    `drift` is what the report shows of it, in the shape of `roadie.evaluation.drift.Drift`. `samples` is where to write
    questions with the challenger's answers (see `roadie.evaluation.samples`).

    Raises:
        EvaluationError: the gate's configuration or the drift is unusable, the holdout or a model cannot be read, or
            a model cannot be scored on the holdout.
    """
    config, meaning, shift = parse_gate(gate), columns or Columns(), parse_drift(drift or {})
    trained_on = {"challenger": challenger_groups, "champion": champion_groups}
    with load_model(challenger, "challenger", config.maximum_seconds) as candidate:
        try:
            with load_model(champion, "champion", config.maximum_seconds) if champion else nullcontext() as deployed:
                evaluation = _weigh(config, candidate, deployed, holdout, meaning, trained_on)
        except UnusableModelError as error:
            if error.role != "champion" or config.champion_unusable == "fail":
                raise
            evaluation = _weigh(config, candidate, None, holdout, meaning, trained_on)
            reason = f"{error}. The gate lets the floors decide alone then. {evaluation.decision.reason}"
            decision = replace(evaluation.decision, reason=reason)
            evaluation = replace(evaluation, decision=decision, override="champion_unusable=floors")
        from roadie.evaluation.report import write_report  # here, so that only a report loads matplotlib

        write_report(evaluation, facts or {}, report, shift)
        if samples:
            write_samples(candidate, read_holdout(holdout, meaning), samples)
    return evaluation


def _weigh(
    gate: GateConfig,
    challenger: Model,
    champion: Model | None,
    table: Path,
    columns: Columns,
    trained_on: Mapping[str, Path | None],
) -> Evaluation:
    metrics = metrics_for(gate)
    known = (*challenger.classes, *(champion.classes if champion else ()))
    holdout = read_holdout(table, columns, known_classes=known)
    answers = score(challenger, to_matrix(challenger, holdout.inputs), holdout.classes)
    finite = np.isfinite(answers).all(axis=1, keepdims=True)
    own = np.where(finite, answers, 0.0)  # no answer is scored as no idea, so that figures stay figures
    reference, other = _reference(champion, holdout)
    comparisons = compare(
        {name: metric.statistic(holdout, own) for name, metric in metrics.items()},
        {name: metric.statistic(holdout, other) for name, metric in metrics.items()},
        resamples=gate.resamples,
        confidence=gate.confidence,
        seed=gate.seed,
        metrics=metrics,
    )
    by_name = {found.metric: found for found in comparisons}
    slices = slice_by_label(holdout, own, other)
    timed = champion is not None and gate.maximum_latency_ratio is not None
    costs = measure_costs([challenger, champion] if champion else [challenger], holdout.inputs, latency=timed)
    roles = ("challenger", "champion") if champion else ("challenger",)
    leaks = {role: look_for(holdout, path) for role in roles if (path := trained_on[role])}
    seen, own_seen = (_leaked(leaks.get(role), holdout.group_count) for role in ("champion", "challenger"))
    if champion and challenger.sha256 == champion.sha256:
        decision = Decision("unchanged", "Nothing new: the challenger is the deployed model, byte for byte.")
    elif champion and finite.all() and _agree(own, other):
        decision = Decision(
            "unchanged", "Nothing new: the challenger answers as the deployed model does, but for rounding."
        )
    else:
        decision = decide(
            gate,
            groups=holdout.group_count,
            unit=columns.unit,
            broken=int((~finite).sum()),
            checks=(*check_floors(gate, metrics, by_name, slices, columns), *check_limits(gate, costs)),
            comparison=by_name[gate.metric] if champion else None,
            seen=seen,
            own_seen=own_seen if "challenger" in leaks else 0,
        )
    return Evaluation(
        decision=decision,
        gate=gate,
        reference=reference,
        comparisons=comparisons,
        slices=slices,
        confusion=confuse(holdout, own),
        calibration={"challenger": _calibrate(holdout, own), reference: _calibrate(holdout, other)},
        costs=costs,
        curve=challenger.curve,
        columns=columns,
        groups=holdout.group_count,
        seen=seen,
        leaks=leaks,
        entries=round(holdout.entries),
        classes=len(holdout.classes),
        holdout_sha256=_sha256(table),
        challenger_sha256=challenger.sha256,
        champion_sha256=champion.sha256 if champion else None,
    )


def _reference(champion: Model | None, holdout: Holdout) -> tuple[str, Floats]:
    """What the challenger is compared with: the champion, or always answering the holdout's own shares."""
    if champion is None:
        return "class prior", np.broadcast_to(holdout.prior, holdout.weights.shape)
    answers = score(champion, to_matrix(champion, holdout.inputs), holdout.classes)
    if not np.isfinite(answers).all():
        raise UnusableModelError("champion", "it answers with something that is no number; roll it back first")
    return "champion", answers


def _leaked(seen: Seen | None, groups: int) -> int | None:
    if seen is None:
        return None
    return seen.leaked(groups) or (None if seen.groups is None else 0)


def _agree(own: Floats, other: Floats) -> bool:
    """Whether two models' probabilities [cases, classes] differ by rounding alone, also where they are small.

    Other processors and BLAS kernels move them by some 1e-7.
    """
    least = 1e-6
    apart = np.abs(np.log(np.maximum(own, least)) - np.log(np.maximum(other, least)))
    return bool((np.abs(own - other) <= ROUNDING).all() and (apart <= SMALL).all())


def _calibrate(holdout: Holdout, probabilities: Floats) -> Floats:
    sums = calibration_bins(holdout, probabilities).sum(axis=0)
    entries, confidence, right = sums[sums[:, 0] > 0].T
    return np.column_stack([entries, confidence / entries, right / entries])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
