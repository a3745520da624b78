"""What the report shows of drift: figures that were measured elsewhere, and that decide nothing."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from roadie.errors import EvaluationError


class FeatureDrift(BaseModel):
    """One feature, now against the champion's training data; a figure that there is none of is None.

    mean_shift is in the champion's standard deviations, ks the Kolmogorov-Smirnov distance (0 to 1), psi the
    population stability index.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    mean_shift: float | None = None
    ks: float | None = None
    psi: float | None = None
    alarm: bool = False


class Drift(BaseModel):
    """The features, figures or lists about the labels by name, and a sentence for whoever reads only that."""

    model_config = ConfigDict(frozen=True)

    summary: str
    features: tuple[FeatureDrift, ...] = ()
    labels: dict[str, JsonValue] = {}


def parse_drift(values: Mapping[str, object]) -> Drift | None:
    """Check a drift mapping; an empty one says that nothing was measured.

    Raises:
        EvaluationError: it does not have the shape of Drift.
    """
    if not values:
        return None
    try:
        return Drift.model_validate(dict(values))
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise EvaluationError(f"The drift figures are unusable; correct {place}: {detail['msg']}") from error
