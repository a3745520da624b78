"""The gate's configuration: which metric decides, how sure to be, and what no model may fall short of."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from roadie.errors import EvaluationError
from roadie.evaluation.metrics import METRICS, SLICE_METRICS

SECONDS = 600.0  # far below the hour that the step has, far above what the holdouts of a gate take
IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class GateConfig(BaseModel):
    """What a challenger has to show. A floor is the worst value allowed, whichever way the metric points."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str = Field(
        default="log_loss",
        description=f"The metric that challenger and champion are compared by: {', '.join(METRICS)}, or an own one.",
    )
    mode: Literal["superiority", "non-inferiority"] = Field(
        default="superiority",
        description="superiority: better by more than the margin; non-inferiority: not worse by the margin.",
    )
    margin: float = Field(default=0.0, ge=0, description="In units of the metric.")
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description="How sure to be before promoting; of equal challengers 1 - confidence get through.",
    )
    resamples: int = Field(default=10_000, ge=200, le=1_000_000, description="Bootstrap resamples.")
    seed: int = Field(default=0, ge=0, description="Seed of the bootstrap.")
    minimum_songs: int = Field(default=100, ge=2, description="Fewer songs (groups) decide nothing.")
    floors: dict[str, float] = Field(
        default={"gain": 0.0}, description="Worst value allowed on the whole holdout, per metric."
    )
    slice_floors: dict[str, float] = Field(
        default={}, description=f"Worst value allowed in each country, per metric ({', '.join(SLICE_METRICS)})."
    )
    slice_minimum_songs: int = Field(
        default=30, ge=1, description="Countries with fewer songs are not held to slice_floors."
    )
    metrics: dict[str, Literal["higher", "lower"]] = Field(
        default={},
        description="Metrics of one's own as package.module:function, and whether higher or lower is better.",
    )
    maximum_bytes: int | None = Field(default=None, ge=1, description="The largest model file allowed, in bytes.")
    maximum_latency_ratio: float | None = Field(
        default=None,
        gt=0,
        description="How many times the champion's median time per row is allowed; measured only when this is set.",
    )
    maximum_seconds: float = Field(
        default=SECONDS,
        gt=0,
        le=604_800,
        description="What a model may take in all, until it has answered the whole holdout.",
    )
    champion_unusable: Literal["fail", "floors"] = Field(
        default="fail",
        description="What a champion that cannot be scored means: fail the run, or let the floors decide alone.",
    )
    strict: bool = Field(
        default=False,
        description="Decide nothing by songs that the champion was trained on, or when nobody knows whether it, or the "
        "challenger, was. A challenger that was is rejected in any case.",
    )

    @model_validator(mode="after")
    def _non_inferiority_has_a_margin(self) -> Self:
        if self.mode == "non-inferiority" and self.margin == 0:
            raise ValueError("mode: non-inferiority needs a margin above 0: how much worse may the challenger be")
        return self

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Self:
        for path in self.metrics:
            if not IMPORT_PATH.fullmatch(path):
                raise ValueError(f"metrics: {path!r} is no import path; write it as package.module:function")
        known = (*METRICS, *self.metrics)
        for setting, names, allowed in (
            ("metric", (self.metric,), known),
            ("floors", self.floors, known),
            ("slice_floors", self.slice_floors, SLICE_METRICS),
        ):
            for name in names:
                if name not in allowed:
                    own = "; a function of one's own is declared in metrics" if ":" in name else ""
                    raise ValueError(f"{setting}: {name!r} is none of {', '.join(allowed)}{own}")
        return self

    @property
    def threshold(self) -> float:
        """The improvement that has to be exceeded, in units of the metric."""
        return self.margin if self.mode == "superiority" else -self.margin


def parse_gate(values: Mapping[str, object]) -> GateConfig:
    """Check a gate configuration.

    Raises:
        EvaluationError: it is empty, a name is unknown, or a value is out of bounds.
    """
    if not values:
        raise EvaluationError(
            'The gate has no configuration, so nothing could be promoted; give at least {"metric": "log_loss"}'
        )
    try:
        return GateConfig.model_validate(dict(values))
    except ValidationError as error:
        raise EvaluationError(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    """All complaints of pydantic in one sentence, with the known names where one is unknown."""
    details = error.errors(include_url=False)
    unknown = [str(detail["loc"][0]) for detail in details if detail["type"] == "extra_forbidden"]
    if unknown:
        return f"The gate has no setting {', '.join(unknown)}; it knows {', '.join(GateConfig.model_fields)}"
    complaints = (
        ": ".join(filter(None, (".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, "))))
        for detail in details
    )
    return f"The gate's configuration is unusable; correct {'; '.join(complaints)}"
