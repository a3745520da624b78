"""Kubernetes manifests against the schemas of their kinds, strictly: an unknown field is a problem.

- :func:`problems` says what is wrong with a manifest, line by line; nothing when it is valid;
- :func:`documents` reads the manifests of a file, and refuses a key that is there twice, as the cluster does.

Built-in kinds have the schemas of the package kubernetes-validate, custom resources those beside this file, which
derive.py derived from the packages named in each.
"""

import functools
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

HERE = Path(__file__).parent
NEWEST = "1.37"


def documents(text: str) -> list[dict[str, Any]]:
    """The manifests in a YAML text.

    Raises:
        yaml.YAMLError: it is no YAML, or a key is there twice.
    """
    return [document for document in yaml.load_all(text, _Loader) if document]


class _Loader(yaml.SafeLoader):
    """PyYAML's, which takes the last of two equal keys, made strict."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"{', '.join(twice)} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def problems(manifest: Mapping[str, Any], kubernetes: str = NEWEST) -> list[str]:
    """What is wrong with `manifest`, each with its place; a kind without a schema is a problem, too.

    Args:
        manifest: One document.
        kubernetes: The release whose built-in kinds count.
    """
    validator = _validator(str(manifest.get("apiVersion")), str(manifest.get("kind")), kubernetes)
    if validator is None:
        return [f"there is no schema of {manifest.get('apiVersion')} {manifest.get('kind')}"]
    found = sorted(validator.iter_errors(manifest), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}" for error in found]


@functools.cache
def _validator(api_version: str, kind: str, kubernetes: str) -> Draft202012Validator | None:
    custom = HERE / f"{api_version.replace('/', '_')}_{kind.lower()}.json"
    group, _, version = api_version.rpartition("/")
    # The package names its files deployment-apps-v1.json and pod-v1.json, and leaves the domain out.
    builtin = "-".join([kind.lower(), *([group.split(".")[0]] if group else []), version])
    schema = json.loads(custom.read_text()) if custom.is_file() else _shipped(f"{builtin}.json", kubernetes)
    return Draft202012Validator(schema, registry=_definitions(kubernetes)) if schema else None


@functools.cache
def _definitions(kubernetes: str) -> Registry[Any]:
    return Resource.from_contents(_shipped("_definitions.json", kubernetes)) @ Registry()


def _shipped(name: str, kubernetes: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{kubernetes}.0-local-strict"
    assert folder.is_dir(), f"kubernetes-validate has no schemas of Kubernetes {kubernetes}"
    file = folder / name
    return json.loads(file.read_text()) if file.is_file() else None
