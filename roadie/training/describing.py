"""The hyperparameters in words, for people who choose them."""

from dataclasses import dataclass

from pydantic.fields import FieldInfo

from roadie.training.hyperparameters import Hyperparameters
from roadie.training.trainers import TRAINERS

BOUNDS = {
    "gt": "above {:,.10g}",
    "ge": "at least {:,.10g}",
    "le": "at most {:,.10g}",
    "min_length": "at least {} of them",
    "max_length": "at most {}",
}


@dataclass(frozen=True)
class Description:
    """One hyperparameter of a trainer; `allowed` is empty where any value of the default's type will do."""

    trainer: str
    name: str
    default: object
    allowed: str
    meaning: str


def describe() -> tuple[Description, ...]:
    """Every hyperparameter of every trainer: first which trainer it is, then its own, then those that all have."""
    shared = [name for name in Hyperparameters.model_fields if name != "trainer"]
    return tuple(
        Description(trainer, name, model.model_fields[name].default, _allowed(field), field.description or "")
        for trainer, model in TRAINERS.items()
        for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] in shared)
    )


def _allowed(field: FieldInfo) -> str:
    """The bounds of a field, such as `above 0, at most 1`."""
    # Pydantic keeps each bound as an object with one attribute, named as in Field(): ge, gt, le, ...
    bounds = ((name, getattr(bound, name)) for bound in field.metadata for name in BOUNDS if hasattr(bound, name))
    return ", ".join(BOUNDS[name].format(value) for name, value in bounds)
