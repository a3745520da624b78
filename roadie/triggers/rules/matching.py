"""Which models an event concerns: labels of alerts; repositories, branches and paths of pushes."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from roadie.triggers.config import Model, Push
from roadie.triggers.events import Event
from roadie.triggers.senders.addresses import normalise
from roadie.triggers.senders.reading import line

_MOST_NAMED = 10


def concerned(event: Event, models: Mapping[str, Model]) -> tuple[str, ...]:
    """The names of the models that wait for such an event, in the configuration's order."""
    return tuple(name for name, model in models.items() if _matches(event, name, model))


def _matches(event: Event, name: str, model: Model) -> bool:
    if event.kind == "alert":
        return all(event.labels.get(label) == value for label, value in wanted(name, model).items())
    return any(_pushed(event, push) for push in model.pushes)


def wanted(name: str, model: Model) -> Mapping[str, str]:
    """The labels that an alert must have to start a run of the model."""
    return model.alerts if model.alerts is not None else {"model": name, "retrain": "true"}


def why_nobody(event: Event, models: Mapping[str, Model]) -> str:
    """Why an event concerns no model: for an alert, by the model that it comes nearest to."""
    if event.kind != "alert":
        return f"no model waits for a push to {line(event.names.get('branch', ''), 100)} of this repository"
    if not models:
        return "no model is configured"
    lacks = [
        [(label, value) for label, value in wanted(name, model).items() if event.labels.get(label) != value]
        for name, model in models.items()
    ]
    label, value = min(lacks, key=len)[0]
    there = event.labels.get(label)
    if there is None:
        return f'no model waits for such an alert: its label {label} is missing, and {label}="{value}" is waited for'
    values = sorted({each for lack in lacks for name, each in lack if name == label})
    choice = ", ".join(values[:_MOST_NAMED]) + (", ..." if len(values) > _MOST_NAMED else "")
    return f"no model waits for such an alert: its label {label} is {line(there, 60)!r}, and there are {choice}"


def is_of(event: Event, repository: str) -> bool:
    """Whether what was pushed is of `repository`."""
    return normalise(event.names.get("repository", "")) == normalise(repository)


def _pushed(event: Event, push: Push) -> bool:
    branch = event.names.get("branch", "")
    return (
        is_of(event, push.repository)
        and any(fnmatchcase(branch, pattern) for pattern in push.branches)
        and _touches(event.paths, push.paths)
    )


def _touches(changed: tuple[str, ...] | None, patterns: tuple[str, ...]) -> bool:
    """Whether one of the changed files is meant; when they are not all known (None), one of them may be."""
    if not patterns or changed is None:
        return True
    return any(fnmatchcase(path, pattern) for path in changed for pattern in patterns)
