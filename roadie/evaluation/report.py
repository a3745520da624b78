"""The report: one HTML file that says what was decided and why, readable without network, light or dark."""

import math
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from pydantic import JsonValue

from roadie.evaluation import plots
from roadie.evaluation.drift import Drift
from roadie.evaluation.metrics import SLICE_METRICS
from roadie.evaluation.result import Evaluation

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_BARS = 25


def write_report(evaluation: Evaluation, facts: Mapping[str, str], path: Path, drift: Drift | None) -> None:
    """Write the report; the same evaluation, facts and drift give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(evaluation, facts, drift), encoding="utf-8")


def render_report(evaluation: Evaluation, facts: Mapping[str, str], drift: Drift | None) -> str:
    """Render the report as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, signed=lambda value: _number(value, "+.4f"), plain=_plain)
    sliced = evaluation.gate.metric if evaluation.gate.metric in SLICE_METRICS else "log_loss"
    sign = SLICE_METRICS[sliced].sign
    improvements = {part.label: sign * (part.challenger[sliced] - part.reference[sliced]) for part in evaluation.slices}
    worst_first = sorted(evaluation.slices, key=lambda part: (improvements[part.label], part.label))
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        evaluation=evaluation,
        decision=evaluation.decision,
        gate=evaluation.gate,
        slice_metrics=SLICE_METRICS,
        sliced=SLICE_METRICS[sliced].title,
        improvements=improvements,
        slices=worst_first,
        shown=min(MOST_BARS, len(worst_first)),
        plots=_plots(evaluation, [(part.label, improvements[part.label]) for part in worst_first[:MOST_BARS]]),
        drift=drift,
        facts={name: value for name, value in (dict(facts) | _own_facts(evaluation)).items() if value},
    )


def _own_facts(evaluation: Evaluation) -> dict[str, str]:
    no_champion = "it cannot be scored" if evaluation.override else "there is no champion"
    return {
        "challenger sha256": evaluation.challenger_sha256,
        "champion sha256": evaluation.champion_sha256 or no_champion,
        "holdout sha256": evaluation.holdout_sha256,
        "gate": ", ".join(f"{name}: {value}" for name, value in evaluation.gate.model_dump(exclude_none=True).items()),
    }


def _plots(evaluation: Evaluation, worst: list[tuple[str, float]]) -> dict[str, Markup]:
    drawn = {
        "reliability": plots.reliability(evaluation.calibration),
        "slices": plots.bars(f"improvement over the {evaluation.reference}", *zip(*worst, strict=True)),
    }
    judged = evaluation.judged
    if evaluation.champion_sha256 and math.isfinite(judged.lower + judged.upper):
        drawn["interval"] = plots.interval(judged, evaluation.gate.threshold)
    if evaluation.curve:
        drawn["curve"] = plots.training_curve(evaluation.curve)
    return drawn


def _number(value: float | None, form: str = ".4f") -> str:
    return "n/a" if value is None or not math.isfinite(value) else format(value, form)


def _plain(value: JsonValue) -> str:
    """A JSON value as text, numbers with four digits."""
    if isinstance(value, dict):
        return _plain([f"{name} {_plain(part)}" for name, part in value.items()])
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else "n/a" if value is None else str(value)
