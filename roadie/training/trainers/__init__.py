"""The trainers by name. To add one: a file with one subclass of ``Hyperparameters``, and a line here."""

from collections.abc import Mapping

from pydantic import ValidationError

from roadie.errors import TrainingError
from roadie.training.hyperparameters import Hyperparameters
from roadie.training.trainers.logistic import Logistic
from roadie.training.trainers.mlp import Mlp

TRAINERS: Mapping[str, type[Hyperparameters]] = {"mlp": Mlp, "logistic": Logistic}
DEFAULT_TRAINER = "mlp"


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
