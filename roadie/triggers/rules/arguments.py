"""From an event, in which nothing is trusted, to a run: its name, its description and the pipeline's arguments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

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
_CLIMBS = re.compile(r"(?:^|[/\\])\.\.(?:[/\\?#]|$)")
# What a stranger's value may be made of, where the model's `values` do not say otherwise: no address, no folder.
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,63}")
_BRANCH = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_ANY = re.compile(r".*", re.DOTALL)
# Names whose values are Roadie's own, or were read as what they are: times, digits, the address that was compared.
_OUR_OWN = frozenset({"model", "reason", "key", "fingerprint", "starts_at", "repository", "sha", "generator_url"})


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


def order(target: Target, event: Event) -> Order:
    """The run of `target` that `event` asks for. The same event gives the same run, whenever it comes: also its name.

    What the configuration does not set and the pipeline has is added: ``trigger`` says what started the run,
    ``model_name`` is the model's. ``revision`` is the commit that was pushed, where the pipeline is read from it.

    Raises:
        TriggerError: a value of the event that a parameter asks for is not fit to be one.
    """
    reason, key = event.kind, key_of(target.name, event.subject)
    values = {**event.names, **_window(target.model, event), "model": target.name, "reason": reason, "key": key}
    values |= {f"labels.{name}": value for name, value in event.labels.items()}
    for name in placeholders.names_in(target.model.parameters):
        _check(name, values.get(name, ""), target.model)
    own = {"trigger": trigger(event), "model_name": target.name}
    arguments = {name: value for name, value in own.items() if name in target.parameters}
    arguments |= _pushed_revision(target.model, event)
    filled = placeholders.fill(target.model.parameters, values)
    _check_filled(target.model.parameters, filled)
    return Order(
        key, f"{target.name}-{reason}-{_of_the_event(event)}-{key}", {**arguments, **filled}, _description(event)
    )


def _of_the_event(event: Event) -> str:
    """When the alert began, or which commit was pushed: nothing of when it was told."""
    if event.kind == "push":
        return event.names.get("sha", "")[:10]
    return f"{datetime.fromisoformat(event.happened).astimezone(UTC):%Y%m%dT%H%M%SZ}"


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


def _check(name: str, value: str, model: Model) -> None:
    """TriggerError where the value of `name` is not what the configuration expects there."""
    wrong = ""
    if len(value) > _LONGEST_VALUE:
        wrong = f"is longer than {_LONGEST_VALUE} letters"
    elif value and not value.isprintable():
        wrong = "holds line breaks or control characters"
    elif _climbs(value):
        wrong = "holds .. as a folder"
    elif value and not _pattern(name, model).fullmatch(value):
        wrong = f"is not of the form {_pattern(name, model).pattern}"
    if wrong:
        raise TriggerError(
            f"{name} of the event {wrong}, so that it cannot be used in a parameter; mend its sender, or widen the"
            " model's values"
        )


def _pattern(name: str, model: Model) -> re.Pattern[str]:
    default = _ANY if name in _OUR_OWN or name.startswith("window_") else _BRANCH if name == "branch" else _PLAIN
    return model.values.get(name, default)


def _check_filled(template: Any, filled: Any) -> None:
    """TriggerError where values that are harmless one by one make a way out of a folder together."""
    if isinstance(filled, Mapping):
        for key, each in filled.items():
            _check_filled(template[key], each)
    elif isinstance(filled, list):
        for before, each in zip(template, filled, strict=True):
            _check_filled(before, each)
    elif isinstance(filled, str) and filled != template and _climbs(filled):
        raise TriggerError("the event's values make .. as a folder in a parameter; mend their sender")


def _climbs(text: str) -> bool:
    # What decodes once decodes twice behind a proxy.
    return any(_CLIMBS.search(each) for each in (text, unquote(text), unquote(unquote(text))))


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
    # A label's value may be long: no more of it is looked at than can be left of it.
    text = text[: 2 * longest]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
