"""What a challenger has to keep, whatever it is compared with: floors on metrics, limits on costs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.costs import Cost
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.holdout import Columns
from roadie.evaluation.metrics import Metric
from roadie.evaluation.slices import Slice

THOUSAND = 1000


@dataclass(frozen=True)
class Check:
    """One bound on the challenger: a floor on a metric, or a limit on what it costs.

    sign is 1 when the value may not be lower than the bound, -1 when it may not be higher; where names the slice, and
    is empty for the whole holdout. hint says what to do where it cannot be computed.
    """

    kind: Literal["floor", "limit"]
    title: str
    value: float
    bound: float
    sign: int
    where: str = ""
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value keeps the bound; NaN never does."""
        return self.value * self.sign >= self.bound * self.sign

    @property
    def subject(self) -> str:
        """What was measured, and where."""
        return f"{self.title} in {self.where}" if self.where else self.title

    @property
    def measured(self) -> str:
        """The value, as text."""
        return _figure(self.value)

    @property
    def asked(self) -> str:
        """The bound, as text."""
        return f"{'at least' if self.sign > 0 else 'at most'} {_figure(self.bound)}"

    def __str__(self) -> str:
        return f"{self.subject} is {self.measured}, and has to be {self.asked}"


def check_floors(
    gate: GateConfig,
    metrics: Mapping[str, Metric],
    comparisons: Mapping[str, Comparison],
    slices: Sequence[Slice],
    columns: Columns,
) -> Iterator[Check]:
    """Hold the challenger's metrics, on the whole holdout and on every slice that is large enough, to their floors."""

    def check(name: str, value: float, floor: float, where: str = "") -> Check:
        return Check("floor", metrics[name].title, value, floor, metrics[name].sign, where)

    for name, floor in gate.floors.items():
        yield check(name, comparisons[name].challenger, floor)
    large = [part for part in slices if part.groups >= gate.slice_minimum_songs]
    for name, floor in gate.slice_floors.items():
        if not large:  # what cannot be looked at is not met
            most = max((part.groups for part in slices), default=0)
            where = f"any {columns.label} of {gate.slice_minimum_songs:,} {columns.unit} or more"
            hint = f"the largest has {most:,}: set slice_minimum_songs to that or less, or leave slice_floors out"
            yield replace(check(name, math.nan, floor, where), hint=hint)
        for part in large:
            yield check(name, part.challenger[name], floor, part.label)


def check_limits(gate: GateConfig, costs: Mapping[str, Cost]) -> Iterator[Check]:
    """Hold the challenger's costs by role to the limits; there is none on latency where it was not measured."""
    own = costs["challenger"]
    if gate.maximum_bytes is not None:
        yield Check("limit", "size in bytes", own.bytes, gate.maximum_bytes, -1)
    if gate.maximum_latency_ratio is not None and own.seconds and (other := costs["champion"].seconds):
        yield Check("limit", "latency over the champion's", own.seconds / other, gate.maximum_latency_ratio, -1)


def _figure(value: float) -> str:
    if not math.isfinite(value):
        return "n/a"
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:.4g}"
