"""The trainers by name. To add one: a file with one subclass of ``Hyperparameters``, and a line here."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from roadie.errors import TrainingError
from roadie.training.hyperparameters import Hyperparameters
from roadie.training.trainers.logistic import Logistic
from roadie.training.trainers.mlp import Mlp

TRAINERS: Mapping[str, type[Hyperparameters]] = {"mlp": Mlp, "logistic": Logistic}
DEFAULT_TRAINER = "mlp"


@dataclass(frozen=True)
class Description:
    """One hyperparameter of a trainer in words, for people; `allowed` is empty where any value of the type will do."""

    trainer: str
    name: str
    default: object
    allowed: str
    meaning: str


def describe() -> tuple[Description, ...]:
    """Every hyperparameter of every trainer, the trainer's own first and then those that all have."""
    shared = Hyperparameters.model_fields
    return tuple(
        Description(trainer, name, field.default, _allowed(field), field.description or "")
        for trainer, model in TRAINERS.items()
        for name, field in sorted(
            model.model_fields.items(), key=lambda item: item[0] in shared and item[0] != "trainer"
        )
    )


def _allowed(field: FieldInfo) -> str:
    """The bounds of a field, such as `above 0, at most 1`."""
    found = {type(bound).__name__: bound for bound in field.metadata}
    texts = (
        ("Ge", "ge", "at least {:,.10g}"),
        ("Gt", "gt", "above {:,.10g}"),
        ("Le", "le", "at most {:,.10g}"),
        ("MinLen", "min_length", "at least {} of them"),
        ("MaxLen", "max_length", "at most {}"),
    )
    return ", ".join(text.format(getattr(found[kind], name)) for kind, name, text in texts if kind in found)


def parse_hyperparameters(values: Mapping[str, object]) -> Hyperparameters:
    """Check hyperparameters and fill in the defaults.

    Raises:
        TrainingError: a name is unknown, or a value has the wrong type or is out of bounds.
    """
    name = values.get("trainer", DEFAULT_TRAINER)
    if not isinstance(name, str) or name not in TRAINERS:
        raise TrainingError(f"There is no trainer {name!r}; choose one of {', '.join(sorted(TRAINERS))}")
    try:
        return TRAINERS[name].model_validate(dict(values))
    except ValidationError as error:
        raise TrainingError(_sentence(name, error)) from error


def _sentence(trainer: str, error: ValidationError) -> str:
    """All complaints of pydantic in one sentence, with the known names where one is unknown."""
    details = error.errors(include_url=False)
    unknown = [str(detail["loc"][0]) for detail in details if detail["type"] == "extra_forbidden"]
    if unknown:
        known = ", ".join(sorted(TRAINERS[trainer].model_fields))
        return f"The trainer {trainer!r} has no hyperparameter {', '.join(unknown)}; it knows {known}"
    complaints = (
        f"{'.'.join(map(str, detail['loc']))} is {detail['input']!r} but {detail['msg'].lower()}" for detail in details
    )
    return f"The hyperparameters of the trainer {trainer!r} are unusable; correct them: {', '.join(complaints)}"
