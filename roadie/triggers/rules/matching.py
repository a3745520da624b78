"""Which models an event concerns: labels of alerts; repositories, branches and paths of pushes."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from roadie.triggers.config import Model, Push
from roadie.triggers.events import Event
from roadie.triggers.senders.addresses import normalise


def concerned(event: Event, models: Mapping[str, Model]) -> tuple[str, ...]:
    """The names of the models that wait for such an event, in the configuration's order."""
    return tuple(name for name, model in models.items() if _matches(event, name, model))


def _matches(event: Event, name: str, model: Model) -> bool:
    if event.kind == "alert":
        wanted = model.alerts if model.alerts is not None else {"model": name, "retrain": "true"}
        return all(event.labels.get(label) == value for label, value in wanted.items())
    return any(_pushed(event, push) for push in model.pushes)


def _pushed(event: Event, push: Push) -> bool:
    branch, repository = event.names.get("branch", ""), event.names.get("repository", "")
    return (
        normalise(repository) == normalise(push.repository)
        and any(fnmatchcase(branch, pattern) for pattern in push.branches)
        and _touches(event.paths, push.paths)
    )


def _touches(changed: tuple[str, ...] | None, patterns: tuple[str, ...]) -> bool:
    """Whether one of the changed files is meant; when they are not all known (None), one of them may be."""
    if not patterns or changed is None:
        return True
    return any(fnmatchcase(path, pattern) for path in changed for pattern in patterns)
