"""Deploy a model's version to an environment: the commit that the pipeline makes, and its trailers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from roadie.errors import UsageError
from roadie.gitops.bump import Bumped, bump
from roadie.gitops.environments import Layout
from roadie.gitops.history import DIGEST, ENVIRONMENT, MODEL, RUN, VERSION
from roadie.gitops.promotion import edits_for, promote


def bump_version(
    repo: str,
    file: str,
    key: str,
    *,
    version: str = "",
    digest: str = "",
    model_name: str,
    environment: str,
    branch: str = "main",
    run: str = "",
    trigger: str = "",
    provenance: Mapping[str, str] = {},
    replacing: str = "",
    source: str = "",
    source_file: str = "",
    **options: Any,
) -> Bumped:
    """Set `version` under `key` (the map that holds it) of `file`, and `digest` where the file has a key for it.

    The commit's trailers name model, environment, version, digest, run, trigger and what is in `provenance`, each as
    `Roadie-<Name>`; `started` among them (ISO 8601) keeps an older run from overwriting a newer one. An empty `file`
    means that this environment is not deployed to. `replacing` is the version that was compared with: where another one
    is deployed by now, the comparison is void, and nothing is committed. With a `source_file` it is a promotion from
    the environment `source`: its version and digest are set (see promote), which must be `version` unless that is
    empty. `options` and errors are those of bump.
    """
    if not file:
        return Bumped(False, "", branch, reason="no values file is given for it")
    facts = {RUN: run, "Roadie-Trigger": trigger, **{trailer_name(name): value for name, value in provenance.items()}}
    if source_file:
        layout = Layout(files={source: source_file, environment: file}, key=key)
        options |= {"version": version, "replacing": replacing, "layout": layout, "trailers": _without_empty(facts)}
        return promote(repo, model_name, source=source, target=environment, branch=branch, **options)
    if not version:
        raise UsageError(f"no version is given for {environment}: give one, or an environment to promote from")
    edits = edits_for(file, key, version, digest, expected=replacing or None)
    trailers = {MODEL: model_name, ENVIRONMENT: environment, VERSION: version, DIGEST: digest, **facts}
    message = options.pop("message", "") or f"Deploy {model_name} {version} to {environment}"
    done = bump(repo, edits, branch=branch, message=message, trailers=_without_empty(trailers), **options)
    return replace(done, version=version, digest=digest)


def trailer_name(name: str) -> str:
    """`training_code` as `Roadie-Training-Code`."""
    return "-".join(["Roadie", *(word.capitalize() for word in name.replace("_", "-").split("-") if word)])


def _without_empty(trailers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in trailers.items() if value}
