"""From ``components/`` and ``pipelines/`` to the YAML in ``compiled/``, and what stands between the two."""

import ast
import difflib
import importlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roadie.errors import RunError, UsageError
from roadie.runs.budget import within_budget

SETTINGS = {"ROADIE_STEP_IMAGE", "ROADIE_SETTINGS"}

_DEFAULT_OF_DICT = re.compile(r"^(#    \w+: dict \[Default: )(\{.*\})(\])$", re.MULTILINE)


def compile_all(root: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Compile every step and pipeline of the checkout at `root`.

    Args:
        root: The checkout; it holds components/ and pipelines/.
        settings: Variables of components/_step.py that differ from the defaults, such as ROADIE_STEP_IMAGE.

    Returns:
        The YAML by its path below compiled/.

    Raises:
        UsageError: `root` is no checkout, or a pipeline grows larger than a cluster takes.
    """
    if not (root / "components").is_dir() or not (root / "pipelines").is_dir():
        raise UsageError(f"{root} has no components/ and pipelines/: run `roadie compile` in a checkout of Roadie")
    # The steps are made when their files are imported, by these variables alone.
    for name in SETTINGS & os.environ.keys():
        del os.environ[name]
    os.environ.update(settings or {})
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))

    steps = dict(_exports(root, "components"))
    known = {importlib.import_module("components._cluster").ALL, *steps}
    unknown = sorted(json.loads(os.environ.get("ROADIE_SETTINGS", "{}")).keys() - known)
    if unknown:
        raise UsageError(f"there is no step {', '.join(unknown)} to set anything for: there are {', '.join(steps)}")
    texts = {f"components/{name}.yaml": _compile(step.component) for name, step in steps.items()}
    for name, pipeline in _exports(root, "pipelines"):
        text = _compile(pipeline)
        within_budget(name, text)
        texts[f"pipelines/{name}.yaml"] = text
    return texts


def _exports(root: Path, package: str) -> Iterator[tuple[str, Any]]:
    """What each public file of a package defines under the file's own name."""
    for path in sorted((root / package).glob("[!_]*.py")):
        module = importlib.import_module(f"{package}.{path.stem}")
        if not hasattr(module, path.stem):
            raise UsageError(f"{path} must define {path.stem}, the step or pipeline that it is named after")
        yield path.stem, getattr(module, path.stem)


def _compile(component: Any) -> str:
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compiled.yaml"
        compiler.Compiler().compile(component, str(path))
        text = path.read_text(encoding="utf-8")
    # KFP prints dicts in the order of a hash map; sorted, they are the same with every protobuf.
    return _DEFAULT_OF_DICT.sub(lambda found: found[1] + _sorted_repr(ast.literal_eval(found[2])) + found[3], text)


def _sorted_repr(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_sorted_repr(value[key])}" for key in sorted(value)) + "}"
    return repr(value)


def differences(texts: Mapping[str, str], folder: Path) -> str:
    """What separates `folder` from `texts`, as a unified diff; empty when nothing does.

    A file in `folder` that is not compiled any more counts as a difference.
    """
    there = {path.relative_to(folder).as_posix(): path for path in _yaml_files(folder)}
    diffs: list[str] = []
    for name in sorted(texts.keys() | there.keys()):
        old = there[name].read_text(encoding="utf-8") if name in there else ""
        diffs += difflib.unified_diff(
            old.splitlines(keepends=True),
            texts.get(name, "").splitlines(keepends=True),
            f"committed/{name}",
            f"compiled/{name}",
        )
    return "".join(diffs)


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Make `folder` hold just `texts`; each file is replaced whole or not at all.

    Raises:
        RunError: `folder` cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _yaml_files(folder):
            if path.relative_to(folder).as_posix() not in texts:
                path.unlink()
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8", newline="\n")
            partial.replace(path)
    except OSError as error:
        raise RunError(f"{folder} cannot be written to ({error.strerror}): name another with --output") from error


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("components/*.yaml")) + sorted(folder.glob("pipelines/*.yaml"))
