"""Score, compare, decide, report: the room's one way through."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadie.errors import EvaluationError
from roadie.evaluation.bootstrap import Comparison, compare
from roadie.evaluation.decision import Check, Decision, decide
from roadie.evaluation.gate import GateConfig, parse_gate
from roadie.evaluation.holdout import Columns, Holdout, read_holdout
from roadie.evaluation.metrics import METRICS, Floats, calibration_bins
from roadie.evaluation.scoring import Model, load_model, score
from roadie.evaluation.slices import Confusion, Slice, confuse, slice_by_label

# What the challenger is compared with when there is no champion: always answering the holdout's own shares.
CLASS_PRIOR = "class prior"


@dataclass(frozen=True)
class Evaluation:
    """The decision and all that led to it; `reference` is what the challenger was compared with."""

    decision: Decision
    gate: GateConfig
    reference: str
    comparisons: tuple[Comparison, ...]
    slices: tuple[Slice, ...]
    confusion: Confusion
    calibration: Mapping[str, Floats]
    """By role, [bins, (entries, mean confidence, share right)]."""
    curve: tuple[float, ...]
    columns: Columns
    groups: int
    entries: int
    classes: int
    holdout_sha256: str
    challenger_sha256: str
    champion_sha256: str | None

    @property
    def judged(self) -> Comparison:
        """The comparison that the gate decides on."""
        return _by_name(self.comparisons, self.gate.metric)

    @property
    def metrics(self) -> dict[str, float]:
        """All figures by name, as KFP's Metrics takes them; those that are no number are left out."""
        values = {}
        reference = self.reference.replace(" ", "_")
        for found in self.comparisons:
            values[f"challenger_{found.metric}"] = found.challenger
            values[f"{reference}_{found.metric}"] = found.reference
            values[f"improvement_{found.metric}"] = found.improvement
            values[f"improvement_{found.metric}_lower"] = found.lower
            values[f"improvement_{found.metric}_upper"] = found.upper
        return {name: value for name, value in values.items() if np.isfinite(value)}


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
    config = parse_gate(gate)
    models = [load_model(challenger, "challenger")]
    if champion is not None:
        models.append(load_model(champion, "champion"))
    names = columns or Columns()
    table = read_holdout(holdout, names, known_classes=[name for each in models for name in each.classes])
    evaluation = _judge(config, models, table, names, _sha256(holdout))
    from roadie.evaluation.report import write_report  # here, so that only a report draws in matplotlib

    write_report(evaluation, facts or {}, report)
    return evaluation


def _judge(
    gate: GateConfig, models: Sequence[Model], holdout: Holdout, columns: Columns, holdout_sha256: str
) -> Evaluation:
    probabilities = [score(model, holdout.inputs, holdout.classes) for model in models]
    broken = int((~np.isfinite(probabilities[0]).all(axis=1)).sum())
    # A case without an answer counts as one with no idea at all, so that the figures stay figures.
    own = np.where(np.isfinite(probabilities[0]), probabilities[0], 0.0)
    if len(models) > 1:
        if not np.isfinite(probabilities[1]).all():
            raise EvaluationError(
                "The champion cannot be scored: it answers with something that is no number; roll it back first"
            )
        reference, other = "champion", probabilities[1]
    else:
        reference, other = CLASS_PRIOR, np.broadcast_to(holdout.prior, own.shape)
    comparisons = compare(
        {name: metric.statistic(holdout, own) for name, metric in METRICS.items()},
        {name: metric.statistic(holdout, other) for name, metric in METRICS.items()},
        resamples=gate.resamples,
        confidence=gate.confidence,
        seed=gate.seed,
    )
    slices = slice_by_label(holdout, own, other)
    if len(models) > 1 and models[0].sha256 == models[1].sha256:
        decision = Decision("unchanged", "Nothing new: the challenger is the deployed model, byte for byte.")
    else:
        decision = decide(
            gate,
            groups=holdout.group_count,
            unit=columns.unit,
            broken=broken,
            checks=list(_checks(gate, comparisons, slices)),
            comparison=None if len(models) == 1 else _by_name(comparisons, gate.metric),
        )
    return Evaluation(
        decision=decision,
        gate=gate,
        reference=reference,
        comparisons=comparisons,
        slices=slices,
        confusion=confuse(holdout, own),
        calibration={"challenger": _calibration(holdout, own), reference: _calibration(holdout, other)},
        curve=models[0].curve,
        columns=columns,
        groups=holdout.group_count,
        entries=round(holdout.entries),
        classes=len(holdout.classes),
        holdout_sha256=holdout_sha256,
        challenger_sha256=models[0].sha256,
        champion_sha256=models[1].sha256 if len(models) > 1 else None,
    )


def _checks(gate: GateConfig, comparisons: Sequence[Comparison], slices: Sequence[Slice]) -> Iterator[Check]:
    for name, floor in gate.floors.items():
        yield Check(name, _by_name(comparisons, name).challenger, floor)
    for part in slices:
        if part.groups >= gate.slice_minimum_songs:
            for name, floor in gate.slice_floors.items():
                yield Check(name, part.challenger[name], floor, where=part.label)


def _by_name(comparisons: Sequence[Comparison], metric: str) -> Comparison:
    return next(found for found in comparisons if found.metric == metric)


def _calibration(holdout: Holdout, probabilities: Floats) -> Floats:
    sums = calibration_bins(holdout, probabilities).sum(axis=0)
    entries, confidence, right = sums[sums[:, 0] > 0].T
    return np.column_stack([entries, confidence / entries, right / entries])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
