"""What an evaluation found: the decision and all that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.costs import Cost
from roadie.evaluation.decision import Decision
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.holdout import Columns
from roadie.evaluation.leakage import Seen
from roadie.evaluation.metrics import Floats
from roadie.evaluation.slices import Confusion, Slice


@dataclass(frozen=True)
class Evaluation:
    """The decision, the figures behind it, and the digests of what was compared.

    `reference` is what the challenger was compared with: "champion", or "class prior" when nothing is deployed.
    `calibration` has a table for each of the two, [bins, (entries, mean confidence, share right)]; `costs` are by role;
    `curve` is the challenger's training loss per epoch, if its file tells. `seen` counts the groups that the champion
    was trained on; None when nobody knows, or when there is no champion; `leaks` has what is known of both, by role.
    `override` is the setting of the gate that let the floors decide although there is a champion
    ("champion_unusable=floors"), and else empty.
    """

    decision: Decision
    gate: GateConfig
    reference: str
    comparisons: tuple[Comparison, ...]
    slices: tuple[Slice, ...]
    confusion: Confusion
    calibration: Mapping[str, Floats]
    costs: Mapping[str, Cost]
    curve: tuple[float, ...]
    columns: Columns
    groups: int
    seen: int | None
    entries: int
    classes: int
    holdout_sha256: str
    challenger_sha256: str
    champion_sha256: str | None
    leaks: Mapping[str, Seen] = field(default_factory=dict)
    override: str = ""

    @property
    def judged(self) -> Comparison:
        """The comparison by the gate's own metric."""
        return next(found for found in self.comparisons if found.metric == self.gate.metric)

    @property
    def metrics(self) -> dict[str, float]:
        """All figures by name, as KFP's Metrics takes them; those that are no number are left out.

        Times are none of them: they would make the image of the same model another one.
        """
        values: dict[str, float] = {}
        reference = self.reference.replace(" ", "_")
        for found in self.comparisons:
            values[f"challenger_{found.metric}"] = found.challenger
            values[f"{reference}_{found.metric}"] = found.reference
            values[f"improvement_{found.metric}"] = found.improvement
            values[f"improvement_{found.metric}_lower"] = found.lower
            values[f"improvement_{found.metric}_upper"] = found.upper
        for role, seen in self.leaks.items():
            prefix = "" if role == "challenger" else f"{role}_"  # what begins with challenger_ goes with the image
            values |= {
                f"{prefix}seen_{name}": count
                for name, count in (("groups", seen.groups), ("rows", seen.rows))
                if count is not None
            }
        return {name: value for name, value in values.items() if np.isfinite(value)}
