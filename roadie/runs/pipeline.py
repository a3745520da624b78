"""A compiled pipeline as data: which steps it has and which parameters it takes."""

import copy
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roadie.addresses import refuse_secrets
from roadie.errors import UsageError, why_no_yaml

SHIPPED = Path(__file__).resolve().parent.parent / "_shipped"


@dataclass(frozen=True)
class Parameter:
    """One input of a pipeline, as its compiled YAML declares it."""

    name: str
    type: str
    description: str
    default: Any
    required: bool


@dataclass(frozen=True)
class Step:
    """A task of a pipeline that runs a container: its display name, and the component that several tasks may share."""

    name: str
    component: str


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline: where it lies, and what its first YAML document says."""

    path: Path
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.spec["pipelineInfo"]["name"])

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The pipeline's parameters by name."""
        declared = self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {
            name: Parameter(
                name=name,
                type=body["parameterType"],
                description=body.get("description", ""),
                # KFP writes every number as a float.
                default=int(default) if body["parameterType"] == "NUMBER_INTEGER" and default is not None else default,
                required=not body.get("isOptional", False) and "defaultValue" not in body,
            )
            for name, body, default in ((name, body, body.get("defaultValue")) for name, body in declared.items())
        }

    @property
    def steps(self) -> dict[str, Step]:
        """The steps by the keys of their tasks, in the order of the YAML."""
        return dict(self._steps_in(self.spec["root"]["dag"]))

    def _steps_in(self, dag: Mapping[str, Any]) -> Iterator[tuple[str, Step]]:
        for key, task in dag["tasks"].items():
            component = task["componentRef"]["name"]
            body = self.spec["components"][component]
            if "dag" in body:
                yield from self._steps_in(body["dag"])
            else:
                yield key, Step(task["taskInfo"]["name"], component.removeprefix("comp-"))


def load_pipeline(name_or_path: str, folder: Path | None = None) -> Pipeline:
    """Read a compiled pipeline by its path, or by its name from ``compiled/pipelines`` of the checkout one stands in.

    Outside a checkout, the pipelines that Roadie was packaged with are used.

    Raises:
        UsageError: there is no such pipeline, or the file is none.
    """
    path = _find(name_or_path, folder or Path.cwd())
    try:
        spec = next(iter(yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml_loader())))
        if not isinstance(spec, dict) or not {"pipelineInfo", "root", "components"} <= spec.keys():
            raise UsageError(f"{path} is no compiled pipeline: make one with `roadie compile` or `kfp dsl compile`")
    except (yaml.YAMLError, UnicodeDecodeError, StopIteration) as error:
        raise UsageError(f"{path} is not readable as YAML: compile it again with `roadie compile`") from error
    return Pipeline(path, spec)


def yaml_loader() -> Any:
    """libyaml's loader where there is one: a pipeline carries some hundred kilobytes."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _find(name_or_path: str, folder: Path) -> Path:
    if name_or_path.endswith((".yaml", ".yml")) or os.sep in name_or_path:
        path = Path(name_or_path)
        if not path.is_file():
            raise UsageError(f"there is no pipeline at {path}: give the path of a compiled YAML")
        return path
    roots = [folder, *folder.parents]
    places = [root / "compiled" / "pipelines" for root in roots if (root / "compiled" / "pipelines").is_dir()][:1]
    for place in [*places, SHIPPED / "compiled" / "pipelines"]:
        if (place / f"{name_or_path}.yaml").is_file():
            return place / f"{name_or_path}.yaml"
    known = sorted(path.stem for place in places for path in place.glob("*.yaml"))
    raise UsageError(
        f"there is no pipeline named {name_or_path!r}: "
        + (
            f"compiled/pipelines has {', '.join(known)}"
            if known
            else "stand in a checkout of Roadie, or give the path of a compiled YAML"
        )
    )


def parse_arguments(pipeline: Pipeline, pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``name=value`` pairs into the pipeline's arguments, each of its declared type.

    A structure is JSON or ``@file.yaml``; ``name.key=value`` sets one entry of its default, or of what stood before.

    Raises:
        UsageError: a pair has no '=', names no parameter of the pipeline, or its value is not of the parameter's type;
            or holds a password, a token or a signature.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"-p {pair} is not of the form name=value")
        name, *inside = name.split(".")
        parameter = pipeline.parameters.get(name)
        if parameter is None or (inside and parameter.type != "STRUCT"):
            raise UsageError(
                f"the pipeline {pipeline.name} has no parameter {pair.partition('=')[0]!r}; "
                f"it has {', '.join(sorted(pipeline.parameters))}"
            )
        if inside:
            start = copy.deepcopy(arguments.get(name, parameter.default or {}))
            arguments[name] = _with(start, inside, _yaml(name, text))
        else:
            arguments[name] = _parse(parameter, text)
    missing = [name for name, each in pipeline.parameters.items() if each.required and name not in arguments]
    if missing:
        raise UsageError(f"the pipeline {pipeline.name} needs {', '.join(missing)}: give each with -p name=value")
    refuse_secrets(arguments)
    return arguments


def _with(structure: dict[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """`structure` with `value` at `path`, in which mappings are made as needed."""
    inner = structure
    for key in path[:-1]:
        inner[key] = dict(inner[key]) if isinstance(inner.get(key), dict) else {}
        inner = inner[key]
    inner[path[-1]] = value
    return structure


def _yaml(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"the parameter {name} is not readable as YAML ({why_no_yaml(error)}): mend it") from None


def _structure(name: str, text: str) -> Any:
    """What JSON or ``@file.yaml`` holds; None where it is no JSON."""
    if text.startswith("@"):
        try:
            return _yaml(name, Path(text[1:]).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"the parameter {name} cannot be read from {text[1:]} ({error}): name a YAML file"
            ) from None
    try:
        return json.loads(text)
    except ValueError:
        return None


_JSON_TYPES: dict[str, tuple[type, str]] = {
    "STRUCT": (dict, "a JSON object or @file.yaml"),
    "LIST": (list, "a JSON array or @file.yaml"),
}


def _parse(parameter: Parameter, text: str) -> Any:
    def wrong(what: str) -> UsageError:
        return UsageError(f"the parameter {parameter.name} takes {what}, not {text!r}")

    match parameter.type:
        case "NUMBER_INTEGER":
            try:
                return int(text)
            except ValueError:
                raise wrong("a whole number") from None
        case "NUMBER_DOUBLE":
            try:
                return float(text)
            except ValueError:
                raise wrong("a number") from None
        case "BOOLEAN":
            if text.lower() not in {"true", "false"}:
                raise wrong("true or false")
            return text.lower() == "true"
        case "STRUCT" | "LIST" as kind:
            type_, what = _JSON_TYPES[kind]
            value = _structure(parameter.name, text)
            if not isinstance(value, type_):
                raise wrong(what)
            return value
    return text
