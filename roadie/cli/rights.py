"""What `roadie doctor` says of a rollout: whether an account may watch it in each environment."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from roadie.rollout import Target

KUBEFLOW = "kubeflow"  # where Kubeflow Pipelines runs steps when it has one user
rollout_option = click.option(
    "--rollout",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What runs get as `-p rollout=@FILE`: ask Kubernetes whether the steps may watch it.",
)


def account_name(namespace: str, service_account: str) -> str:
    """A service account as RBAC names it; empty when none is named."""
    return f"system:serviceaccount:{namespace or KUBEFLOW}:{service_account}" if service_account else ""


def rollout_findings(file: Path, account: str) -> Iterator[tuple[str, bool, str, str]]:
    """For each environment: its name, whether all is allowed there, what was found, and what to do.

    Raises:
        UsageError: the file does not hold settings of a rollout.
    """
    from roadie import rollout
    from roadie.errors import RolloutError

    for environment, target in _targets(file).items():
        name = f"rollout {environment}"
        try:
            found = rollout.rights(target, account)
        except RolloutError as error:
            what, _, remedy = str(error).rpartition(": ")
            yield name, False, what, remedy
            continue
        where = dict.fromkeys(filter(None, (target.namespace, target.application and target.application_namespace)))
        lacking = "; ".join(f"not {', '.join(rights)} in {place}" for place, rights in found.lacking.items())
        apply = ", ".join(f"`{_apply(place, target)}`" for place in found.lacking)
        yield name, not lacking, f"{found.who} may {lacking or 'watch it in ' + ' and '.join(where)}", apply


def _targets(file: Path) -> dict[str, "Target"]:
    """What a pipeline with these settings waits for in each environment."""
    import yaml

    from roadie.errors import UsageError, why_no_yaml
    from roadie.trace import RolloutSettings

    try:
        held = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file} is not readable as YAML ({why_no_yaml(error)}): mend it") from None
    if not isinstance(held, dict):
        raise UsageError(f"{file} holds no settings of a rollout: write inference_service, namespaces, application")
    settings = RolloutSettings.parse(held)
    return {each: settings.target(each) for each in settings.namespaces or ("test", "stage")}


def _apply(namespace: str, target: "Target") -> str:
    role = "rollout-argocd" if namespace == target.application_namespace else "rollout"
    return f"kubectl apply --namespace {namespace} --filename deploy/rbac/{role}.yaml"
