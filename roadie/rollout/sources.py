"""What an Argo CD Application is made of: its sources, and the versions in their Helm values."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from roadie.rollout.look import Object, at
from roadie.rollout.target import Wanted


def of(tree: Object | None) -> list[Object]:
    """The sources of a spec, of what was compared, or of what was synced."""
    return at(tree, "sources") or [at(tree, "source") or {}]


def same(source: Object, repository: str) -> bool:
    """Whether a source is of a repository; scheme, user, `.git` and the host's case do not matter in an address."""
    plain = (
        re.sub(r"^(\w+://)?([^@/]*@)?|(\.git)?/*$", "", address or "").replace(":", "/").lower()
        for address in (source.get("repoURL"), repository)
    )
    return bool(repository) and len(set(plain)) == 1


def held(sources: list[Object]) -> dict[str, str]:
    """The versions and digests in the Helm values of sources, by their path."""
    import yaml

    found: list[tuple[str, str]] = []
    for helm in (source.get("helm") or {} for source in sources):
        with contextlib.suppress(yaml.YAMLError):  # Argo CD complains of it in the Application's conditions
            found += _leaves(yaml.safe_load(helm.get("values") or ""))
        found += _leaves(helm.get("valuesObject"))
        found += [(str(each.get("name")), str(each.get("value"))) for each in helm.get("parameters") or []]
    return {path: value for path, value in found if value and path.rpartition(".")[2] in {"version", "digest"}}


def name(values: dict[str, str], wanted: Wanted) -> bool:
    """Whether one of the versions and digests is ours."""
    return bool({wanted.version, *wanted.all_digests}.intersection(values.values()))


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping | list):
        for key, value in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(tree or "")
