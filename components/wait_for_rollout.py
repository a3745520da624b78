"""The step that waits until the cluster serves the version."""

from components._step import step


@step(packages=["kubernetes"], cache=False)
def wait_for_rollout(
    inference_service: str, namespace: str, version: str, digest: str, timeout_minutes: float = 15.0
) -> str:
    """Wait until an InferenceService is ready with this version; with no InferenceService named, return at once.

    Args:
        inference_service: The InferenceService's name; empty when no cluster serves the model.
        namespace: Its namespace.
        version: The version that its storageUri must name, unless it names the digest.
        digest: The image's digest.
        timeout_minutes: How long to wait before failing, in minutes.

    Returns:
        `ready`, or `skipped` when no InferenceService was named.
    """
    from roadie import rollout

    return rollout.wait(inference_service, namespace, version=version, digest=digest, timeout=timeout_minutes * 60)
