"""How the names of secrets become credentials inside a step's pod.

Every secret is optional: one that the namespace does not have is left out, and the step goes on without it. Which
variables the rooms read is written down in docs/reference.
"""

from typing import Any

from kfp import kubernetes

REGISTRY_FOLDER = "/var/run/secrets/roadie/registry"


def with_git(task: Any, secret: Any) -> Any:
    """Give `task` a kubernetes.io/basic-auth secret (keys username and password) for the GitOps repository."""
    return kubernetes.use_secret_as_env(
        task,
        secret_name=secret,
        secret_key_to_env={"username": "GIT_USERNAME", "password": "GIT_PASSWORD"},
        optional=True,
    )


def with_registry(task: Any, secret: Any) -> Any:
    """Mount a kubernetes.io/dockerconfigjson secret where ``roadie.modelcar`` looks for it."""
    return kubernetes.use_secret_as_volume(task, secret_name=secret, mount_path=REGISTRY_FOLDER, optional=True)


def with_s3(task: Any, secret: Any) -> Any:
    """Give `task` a secret whose keys are AWS variables; the endpoint is one of them."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_S3_ENDPOINT")
    return kubernetes.use_secret_as_env(
        task, secret_name=secret, secret_key_to_env={name: name for name in names}, optional=True
    )


def with_webhook(task: Any, secret: Any) -> Any:
    """Give `task` a secret whose key `url` is where the end of a run is told."""
    return kubernetes.use_secret_as_env(
        task, secret_name=secret, secret_key_to_env={"url": "ROADIE_WEBHOOK_URL"}, optional=True
    )
