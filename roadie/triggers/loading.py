"""Read triggers.yaml, and refuse one that cannot work: every error names the key, and none repeats a value."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from roadie.addresses import found_in
from roadie.errors import TriggerError, UsageError
from roadie.runs import Parameter, Pipeline, StepImage, load_pipeline, require_real_places
from roadie.triggers import placeholders, secrets
from roadie.triggers.config import NAMES, Config, Model, Runs, Strict

# Parameters that every run is given, where its pipeline has them.
GIVEN = frozenset({"trigger", "model_name"})
# What pydantic complains about, in the words of YAML.
_WORDS = {
    "missing": "is missing",
    "string_type": "must be text; put it in quotes",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "tuple_type": "must be a list",
    "too_short": "must not be empty; leave it out for the default",
    "string_too_short": "must not be empty",
}
_SHORTEST_SECRET, _SHORTEST_PASSWORD = 16, 8
_NO_SECRET = "parameters are shown and logged: let the run read it from a Secret"  # noqa: S105 - a sentence
# What a parameter of the pipeline takes, by its type in the compiled YAML.
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "STRING": ((str,), "text; put it in quotes"),
    "NUMBER_INTEGER": ((int,), "a whole number"),
    "NUMBER_DOUBLE": ((int, float), "a number"),
    "BOOLEAN": ((bool,), "true or false"),
    "STRUCT": ((dict,), "a mapping"),
    "LIST": ((list,), "a list"),
}


def load(path: Path) -> Config:
    """The configuration in the file at `path`, with which the receiver can start.

    Raises:
        TriggerError: the file cannot be read, a key is wrong or unknown, no hook is configured, a secret is not there,
            or a model can never be started.
    """
    try:
        config = Config.model_validate(_read(path))
    except ValidationError as error:
        raise _refusal(path, _complaints(error)) from None
    if problems := list(_problems(config)):
        raise _refusal(path, problems)
    return config


def _refusal(path: Path, problems: Iterable[tuple[str, str]]) -> TriggerError:
    """One sentence about each key, a line each."""
    return TriggerError("\n".join(f"{path.name}: {key}: {problem}" for key, problem in problems))


def _read(path: Path) -> Any:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader, below
    except OSError as error:
        raise TriggerError(f"{path} cannot be read ({error.strerror}); name the file with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "it is no text"
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise TriggerError(f"{path.name} is not YAML{where}: {problem}; mend it there") from None
    if not isinstance(document, dict):
        raise TriggerError(f"{path.name} must be a mapping; see docs/how-to/triggers.md for one to start from")
    return document


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, where PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _complaints(error: ValidationError) -> Iterator[tuple[str, str]]:
    for each in error.errors(include_url=False, include_input=False):
        match each["type"]:
            case "extra_forbidden":
                words = f"is no key that Roadie knows{_meant(str(each['loc'][-1]))}"
            case "value_error":
                words = str(each["ctx"]["error"])
            case kind:
                words = _WORDS.get(kind) or each["msg"].removeprefix("Input ")
        yield _key(each["loc"]), words


def _key(location: Sequence[int | str]) -> str:
    """`models.jukebox.pushes[0].repository`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]"]
    return "".join(parts).removeprefix(".")


def _meant(key: str) -> str:
    known = {name for part in Strict.__subclasses__() for name in part.model_fields}
    close = difflib.get_close_matches(key, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _problems(config: Config) -> Iterator[tuple[str, str]]:
    """What is wrong though each value is right in itself: the key, and what about it."""
    hooks = {name: hook for name, hook in config.hooks if hook}
    if not hooks:
        yield (
            "hooks",
            "no sender is configured, and only who has a secret is heard; name one with its secret",
        )
    for key, secret in config.secrets():
        # Whoever guesses one of these is let in.
        least = _SHORTEST_SECRET if key.startswith("hooks.") else _SHORTEST_PASSWORD if key == "page.password" else 0
        try:
            if len(secrets.read(secret)) < least:
                yield key, f"is shorter than {least} letters and can be guessed; make one with `openssl rand -hex 32`"
        except TriggerError as error:
            yield key, str(error)
    if not config.models:
        yield "models", "there is none, so that no run can ever be started; name one"
    for name, model in config.models.items():
        if model.pushes and not hooks.keys() & {"github", "gitlab", "gitea"}:
            yield f"models.{name}.pushes", "nobody tells of pushes; configure hooks.github, hooks.gitlab or hooks.gitea"
        if not model.pushes and "alertmanager" not in hooks:
            yield f"models.{name}", "nothing can ever start it; configure hooks.alertmanager, or pushes and their hook"
        yield from _parameter_problems(f"models.{name}", model, config.runs)


def _parameter_problems(key: str, model: Model, runs: Runs) -> Iterator[tuple[str, str]]:
    for name, value in model.parameters.items():
        secrets_in = (f"{what}; {_NO_SECRET}" for what in found_in(name, value))
        for problem in (*_name_problems(value, model), *_choice_problems(name, value), *secrets_in):
            yield f"{key}.parameters.{name}", problem
    for name in model.values:
        if name not in NAMES and not placeholders.is_label(name):
            yield f"{key}.values.{name}", f"is no name; there are {', '.join(NAMES)} and labels.NAME"
    try:
        pipeline = load_pipeline(model.pipeline)
    except UsageError as error:
        yield f"{key}.pipeline", str(error)
        return
    yield from _argument_problems(key, model, pipeline)
    if runs.where == "cluster":
        try:
            require_real_places(pipeline, model.parameters)
            StepImage(runs.step_image).wanted_by(pipeline, model.parameters)
        except UsageError as error:
            yield f"{key}.parameters", str(error)


def _name_problems(value: Any, model: Model) -> Iterator[str]:
    for used in placeholders.names_in(value):
        if problem := _name_problem(used, model):
            yield problem


def _choice_problems(name: str, value: Any) -> Iterator[str]:
    """What an event must not choose: a run's code, which of the namespace's secrets it gets, and to whom it is sent."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _choice_problems(str(key), each)
        return
    used = [each for each in placeholders.names_in(value) if each not in ("{", "}", "model")]
    if used and name.endswith(("_secret", "_config_map")):
        yield f"uses {{{used[0]}}}, but no event may choose a secret; write its name out"
    if used and name == "step_image":
        yield f"uses {{{used[0]}}}, but no event may choose the code that runs; write the image out, by digest"
    if placeholders.ends_a_host(value):
        yield "lets an event end the name of a host; write it out up to the next slash"


def _name_problem(used: str, model: Model) -> str:
    if used in ("{", "}"):
        return f"has a {used} without its partner; write {used * 2} for a brace"
    if used.startswith("window_") and used in NAMES and not model.window:
        return f"uses {{{used}}}, but the model has no window; set one, such as 90d"
    if used in NAMES or placeholders.is_label(used):
        return ""
    return f"uses {{{used}}}, which is no name; there are {', '.join(NAMES)} and labels.NAME"


def _argument_problems(key: str, model: Model, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    declared = pipeline.parameters
    for name, value in model.parameters.items():
        if name not in declared:
            close = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(declared))}"
            yield f"{key}.parameters.{name}", f"the pipeline {pipeline.name} has no such parameter; {hint}"
        elif not _fits(value, declared[name]):
            yield f"{key}.parameters.{name}", f"must be {_TYPES[declared[name].type][1]}"
    for name, each in declared.items():
        if each.required and name not in {*model.parameters, *GIVEN}:
            yield f"{key}.parameters.{name}", f"is missing; the pipeline {pipeline.name} cannot run without it"


def _fits(value: Any, parameter: Parameter) -> bool:
    types, _ = _TYPES.get(parameter.type, ((object,), ""))
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types and object not in types):
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
