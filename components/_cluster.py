"""What a step asks its cluster for: told when a pipeline is compiled, so that CI checks it and git keeps it.

A mapping from the names of steps to their settings; ``all`` stands for every step, and what a step says itself counts
more::

    all: {run_as_user: 1000, ca_config_map: company-ca, pull_secrets: [registry]}
    train: {cpu: 4, memory: 8Gi, accelerator: nvidia.com/gpu, tolerations: [{key: gpu, operator: Exists}]}
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from kfp import kubernetes
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from roadie import mounted
from roadie.errors import UsageError

ALL = "all"


def _like(pattern: str, examples: str) -> AfterValidator:
    """What KFP and Kubernetes take; KFP's own complaint names neither the step nor the setting."""

    def check(text: str) -> str:
        if text and not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} is none, write it like {examples}")
        return text

    return AfterValidator(check)


_Cpu = Annotated[str, _like(r"[0-9]*\.?[0-9]+m?", "2, 0.5 or 500m")]
_Memory = Annotated[str, _like("[0-9]+([EPTGMK]i?)?", "4Gi or 512Mi")]


class Toleration(BaseModel):
    """A taint that the step's pod tolerates (Kubernetes, "Taints and Tolerations")."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = None
    operator: Literal["Equal", "Exists"] | None = None
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    toleration_seconds: int | None = None


class Cluster(BaseModel):
    """What one step asks for. What is asked for in cpu and memory is also the limit."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    cpu: _Cpu = Field("", description="CPUs, such as 2 or 500m.")
    memory: _Memory = Field("", description="Memory, such as 4Gi.")
    accelerator: str = Field("", description="The resource of an accelerator, such as nvidia.com/gpu.")
    accelerators: int = Field(1, ge=1, description="How many of it.")
    tolerations: list[Toleration] = Field([], description="Taints that the step's pod tolerates.")
    node_selector: dict[str, str] = Field({}, description="Labels that its node must have.")
    pull_secrets: list[str] = Field([], description="Secrets for the registry of the step's image.")
    ca_config_map: str = Field("", description="ConfigMap whose key ca.crt holds every CA to trust, in PEM.")
    minutes: int | None = Field(None, ge=0, description="After how long its pod is ended; 0 for never.")
    scratch: _Memory = Field(
        "", description="Room in /tmp, such as 2Gi, on an empty volume: for pods with a read-only root."
    )
    run_as_non_root: bool = Field(False, description="Refuse to run as root; enough where the cluster assigns users.")
    run_as_user: int | None = Field(
        None, ge=1, description="The user to run as, for the restricted profile where the cluster assigns none."
    )


def read(steps: Mapping[str, Any], name: str) -> Cluster:
    """The settings of the step `name`, from what ``all`` and the step say.

    Raises:
        UsageError: a setting is unknown, or has a value that it cannot have.
    """
    try:
        return Cluster.model_validate({**steps.get(ALL, {}), **steps.get(name, {})})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(Cluster.model_fields)
            raise UsageError(f"the step {name} has no setting {place!r}: use one of {known}") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"the step {name} cannot have this {place}: {reason}") from None


def apply(task: Any, cluster: Cluster, minutes: int = 0) -> Any:
    """Give the KFP `task` what `cluster` says, and `minutes` where that says no other time; returns the task."""
    if deadline := minutes if cluster.minutes is None else cluster.minutes:
        kubernetes.set_timeout(task, deadline * 60)
    if cluster.scratch:
        kubernetes.empty_dir_mount(task, volume_name="scratch", mount_path="/tmp", size_limit=cluster.scratch)  # noqa: S108 - the pod's own
    if cluster.cpu:
        task.set_cpu_request(cluster.cpu).set_cpu_limit(cluster.cpu)
    if cluster.memory:
        task.set_memory_request(cluster.memory).set_memory_limit(cluster.memory)
    if cluster.accelerator:
        task.set_accelerator_type(cluster.accelerator).set_accelerator_limit(cluster.accelerators)
    for toleration in cluster.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump())
    for label, value in cluster.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    if cluster.pull_secrets:
        kubernetes.set_image_pull_secrets(task, cluster.pull_secrets)
    if cluster.ca_config_map:
        kubernetes.use_config_map_as_volume(task, cluster.ca_config_map, mounted.CA.path)
    if cluster.run_as_non_root or cluster.run_as_user:
        # KFP's backend adds the rest of the restricted profile to every step: no privilege escalation, no capability,
        # the runtime's seccomp profile (backend/src/v2/compiler/argocompiler/security_context.go).
        kubernetes.set_security_context(task, run_as_user=cluster.run_as_user, run_as_non_root=True)
    return task
