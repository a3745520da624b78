"""Score, compare, decide, report: the room's one way through."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from roadie.evaluation.bootstrap import Comparison, compare
from roadie.evaluation.decision import Check, Decision, decide
from roadie.evaluation.gate import GateConfig, parse_gate
from roadie.evaluation.holdout import Columns, Holdout, read_holdout
from roadie.evaluation.metrics import METRICS, Floats, calibration_bins
from roadie.evaluation.result import Evaluation
from roadie.evaluation.scoring import Model, UnusableModelError, load_model, score
from roadie.evaluation.slices import Slice, confuse, slice_by_label


def evaluate(
    challenger: Path,
    champion: Path | None,
    holdout: Path,
    *,
    gate: Mapping[str, object],
    report: Path,
    facts: Mapping[str, str] | None = None,
    columns: Columns | None = None,
) -> Evaluation:
    """Decide whether the challenger may take the champion's place, and write the report.

    Both are ONNX model files; champion is None when nothing is deployed yet. `facts` (digests, where the data is
    from) stand at the report's end. `columns` says what the holdout's columns mean, by default those of the charts.

    Raises:
        EvaluationError: the gate's configuration is unusable, the holdout or a model cannot be read, or a model
            cannot be scored on the holdout.
    """
    config, meaning = parse_gate(gate), columns or Columns()
    try:
        evaluation = _weigh(config, challenger, champion, holdout, meaning)
    except UnusableModelError as error:
        if error.role != "champion" or config.champion_unusable == "fail":
            raise
        evaluation = _weigh(config, challenger, None, holdout, meaning)
        reason = f"{error}. The gate lets the floors decide alone then. {evaluation.decision.reason}"
        evaluation = replace(evaluation, decision=replace(evaluation.decision, reason=reason))
    from roadie.evaluation.report import write_report  # here, so that only a report loads matplotlib

    write_report(evaluation, facts or {}, report)
    return evaluation


def _weigh(gate: GateConfig, candidate: Path, deployed: Path | None, table: Path, columns: Columns) -> Evaluation:
    challenger = load_model(candidate, "challenger")
    champion = load_model(deployed, "champion") if deployed else None
    known = (*challenger.classes, *(champion.classes if champion else ()))
    holdout = read_holdout(table, columns, known_classes=known)
    answers = score(challenger, holdout.inputs, holdout.classes)
    finite = np.isfinite(answers).all(axis=1, keepdims=True)
    own = np.where(finite, answers, 0.0)  # no answer is scored as no idea, so that figures stay figures
    reference, other = _reference(champion, holdout)
    comparisons = compare(
        {name: metric.statistic(holdout, own) for name, metric in METRICS.items()},
        {name: metric.statistic(holdout, other) for name, metric in METRICS.items()},
        resamples=gate.resamples,
        confidence=gate.confidence,
        seed=gate.seed,
    )
    slices = slice_by_label(holdout, own, other)
    if champion and challenger.sha256 == champion.sha256:
        decision = Decision("unchanged", "Nothing new: the challenger is the deployed model, byte for byte.")
    else:
        decision = decide(
            gate,
            groups=holdout.group_count,
            unit=columns.unit,
            broken=int((~finite).sum()),
            checks=tuple(_checks(gate, comparisons, slices)),
            comparison=_by_name(comparisons)[gate.metric] if champion else None,
        )
    return Evaluation(
        decision=decision,
        gate=gate,
        reference=reference,
        comparisons=comparisons,
        slices=slices,
        confusion=confuse(holdout, own),
        calibration={"challenger": _calibrate(holdout, own), reference: _calibrate(holdout, other)},
        curve=challenger.curve,
        columns=columns,
        groups=holdout.group_count,
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
    answers = score(champion, holdout.inputs, holdout.classes)
    if not np.isfinite(answers).all():
        raise UnusableModelError("champion", "it answers with something that is no number; roll it back first")
    return "champion", answers


def _checks(gate: GateConfig, comparisons: Sequence[Comparison], slices: Sequence[Slice]) -> Iterator[Check]:
    for name, floor in gate.floors.items():
        yield Check(name, _by_name(comparisons)[name].challenger, floor)
    for part in slices:
        if part.groups >= gate.slice_minimum_songs:
            for name, floor in gate.slice_floors.items():
                yield Check(name, part.challenger[name], floor, where=part.label)


def _by_name(comparisons: Sequence[Comparison]) -> dict[str, Comparison]:
    return {found.metric: found for found in comparisons}


def _calibrate(holdout: Holdout, probabilities: Floats) -> Floats:
    sums = calibration_bins(holdout, probabilities).sum(axis=0)
    entries, confidence, right = sums[sums[:, 0] > 0].T
    return np.column_stack([entries, confidence / entries, right / entries])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
