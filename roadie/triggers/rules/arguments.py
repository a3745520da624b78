"""From an event, in which nothing is trusted, to a run: its name, its description and the pipeline's arguments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from roadie.errors import TriggerError
from roadie.runs import Pipeline, load_pipeline
from roadie.triggers import placeholders
from roadie.triggers.config import Config, Model
from roadie.triggers.events import Event
from roadie.triggers.rules.deciding import key_of
from roadie.triggers.senders.addresses import normalise

_LONGEST_VALUE = 500
_LONGEST_TRIGGER = 200
_LONGEST_DESCRIPTION = 2000
# A value in an address could climb out of the folder that the configuration means.
_CLIMBS = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)")


@dataclass(frozen=True)
class Target:
    """A model of the configuration with its compiled pipeline."""

    name: str
    model: Model
    pipeline: Pipeline
    parameters: frozenset[str]


@dataclass(frozen=True)
class Order:
    """What the engine is told to run."""

    key: str
    name: str
    arguments: Mapping[str, Any]
    description: str


def load_targets(config: Config) -> dict[str, Target]:
    """Every model of the configuration with its pipeline, by name.

    Raises:
        UsageError: a pipeline is not there, or is none.
    """
    targets = {}
    for name, model in config.models.items():
        pipeline = load_pipeline(model.pipeline)
        targets[name] = Target(name, model, pipeline, frozenset(pipeline.parameters))
    return targets


def order(target: Target, event: Event, now: datetime) -> Order:
    """The run of `target` that `event` asks for, accepted at `now`.

    What the configuration does not set and the pipeline has is added: ``trigger`` says what started the run,
    ``model_name`` is the model's. ``revision`` is the commit that was pushed, where the pipeline is read from it.

    Raises:
        TriggerError: a value of the event that a parameter asks for is not fit to be one.
    """
    reason, key = event.kind, key_of(target.name, event.subject)
    values = {**event.names, **_window(target.model, event), "model": target.name, "reason": reason, "key": key}
    values |= {f"labels.{name}": value for name, value in event.labels.items()}
    for name in placeholders.names_in(target.model.parameters):
        _check(name, values.get(name, ""))
    own = {"trigger": trigger(event), "model_name": target.name}
    arguments = {name: value for name, value in own.items() if name in target.parameters}
    arguments |= _pushed_revision(target.model, event)
    arguments |= placeholders.fill(target.model.parameters, values)
    name = f"{target.name}-{reason}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{key}"
    return Order(key, name, arguments, _description(event))


def _pushed_revision(model: Model, event: Event) -> dict[str, str]:
    """The pushed commit, when it is one of the repository that the pipeline is read from."""
    if not model.from_git or event.kind != "push":
        return {}
    same = normalise(event.names.get("repository", "")) == normalise(model.from_git.repository)
    return {"revision": event.names.get("sha", "")} if same else {}


def trigger(event: Event) -> str:
    """What started the run, in one line that is fit for an annotation and a commit's trailer."""
    if event.kind == "alert":
        sentence = f"alert {event.names.get('alertname', '')} {event.subject}"
    else:
        sentence = f"push {event.subject}"
    return _line(sentence, _LONGEST_TRIGGER)


def _window(model: Model, event: Event) -> dict[str, str]:
    """The data window that ends when the event began."""
    if not model.window:
        return {}
    try:
        end = datetime.fromisoformat(event.happened).astimezone(UTC)
        start = end - model.window
    except (ValueError, OverflowError):
        raise TriggerError(f"the window before {event.happened[:40]!r} cannot be told; mend the event's time") from None
    return {"window_start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "window_end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}


def _check(name: str, value: str) -> None:
    wrong = ""
    if len(value) > _LONGEST_VALUE:
        wrong = f"is longer than {_LONGEST_VALUE} letters"
    elif value and not value.isprintable():
        wrong = "holds line breaks or control characters"
    elif _CLIMBS.search(value):
        wrong = "holds .. as a folder"
    if wrong:
        raise TriggerError(f"{name} of the event {wrong}, so that it cannot be used in a parameter; mend its sender")


def _description(event: Event) -> str:
    """The facts of the event, a line each."""
    facts = {name: event.names.get(name, "") for name in _FACTS[event.kind]}
    facts |= {f"label {name}": value for name, value in sorted(event.labels.items())}
    lines = [event.summary, *(f"{name}: {value}" for name, value in facts.items() if value)]
    text = "\n".join(_line(line, _LONGEST_VALUE) for line in lines)
    return text if len(text) <= _LONGEST_DESCRIPTION else text[: _LONGEST_DESCRIPTION - 1] + "…"


_FACTS = {
    "alert": ("alertname", "fingerprint", "starts_at", "generator_url"),
    "push": ("repository", "branch", "sha", "pusher"),
}


def _line(text: str, longest: int) -> str:
    """`text` as one printable line of at most `longest` letters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
