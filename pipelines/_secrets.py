"""How the names of secrets become files in a step's pod; ``roadie.mounted`` says which key means what.

Every secret is optional: one that the namespace does not have is left out, and the step goes on without it.
"""

from typing import Any

from kfp import kubernetes

from roadie import mounted


def with_secret(task: Any, mount: mounted.Mount, name: Any) -> Any:
    """Mount the secret `name` where the step looks for it; returns the task."""
    return kubernetes.use_secret_as_volume(task, secret_name=name, mount_path=mount.path, optional=True)


def with_git(task: Any, secret: Any) -> Any:
    """Give `task` the credentials and the identity for the GitOps repository."""
    return with_secret(task, mounted.GIT, secret)


def with_registry(task: Any, secret: Any) -> Any:
    """Give `task` a kubernetes.io/dockerconfigjson secret."""
    return with_secret(task, mounted.REGISTRY, secret)


def with_s3(task: Any, secret: Any) -> Any:
    """Give `task` the keys and the endpoint of a store."""
    return with_secret(task, mounted.S3, secret)


def with_webhook(task: Any, secret: Any) -> Any:
    """Give `task` the address where a run's end is told."""
    return with_secret(task, mounted.WEBHOOK, secret)
