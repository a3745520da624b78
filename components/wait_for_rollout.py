"""The step that waits until the cluster serves the version, and takes it back where it does not."""

from typing import Optional

from kfp.dsl import Artifact, Input, Metrics, Output

from components._step import step


@step(packages=["kubernetes", "GitPython", "PyYAML"], cache=False)
def wait_for_rollout(
    version: str,
    digest: str,
    environment: str,
    model_name: str,
    gitops_repo: str,
    values_file: str,
    values_key: str,
    metrics: Output[Metrics],
    samples: Optional[Input[Artifact]] = None,  # noqa: UP045 - the only way that KFP reads
    gitops_branch: str = "main",
    commit: str = "",
    in_place: bool = True,
    inference_service: str = "",
    namespace: str = "",
    application: str = "",
    argocd_namespace: str = "argocd",
    timeout_minutes: float = 15.0,
    soak_minutes: float = 0.0,
    predictor_url: str = "",
    roll_back: bool = True,
    run: str = "",
    trigger: str = "",
) -> str:
    """Wait until Argo CD has synced a version and KServe serves it; put the version before back when that fails.

    Either of the two may be left out; with neither named there is nothing to wait for.

    Args:
        version: The version that is to serve; empty for whichever the values file holds now.
        digest: The image's digest.
        environment: The environment's name.
        model_name: The model's name.
        gitops_repo: Address of the GitOps repository; credentials: GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN).
        values_file: The environment's values file.
        values_key: The mapping in it that holds `version`.
        metrics: How long the rollout took, and the latency of the served model, where it was tried.
        samples: Requests with the answers to expect, as evaluate writes them.
        gitops_branch: The branch that is deployed.
        commit: The commit that asked for the version.
        in_place: Whether the branch holds the version; if not (a review is open), there is nothing to wait for yet.
        inference_service: The InferenceService's name; empty when no cluster serves the model.
        namespace: Its namespace; empty to wait for no InferenceService.
        application: The Argo CD Application's name, in which {environment} stands for the environment's; may be empty.
        argocd_namespace: The Application's namespace; openshift-gitops with OpenShift GitOps.
        timeout_minutes: How long to wait before it counts as failed, in minutes.
        soak_minutes: How long it has to stay healthy, in minutes.
        predictor_url: Where the served model answers to the samples over the Open Inference Protocol v2, with
            {environment} and {namespace} filled in; empty to ask it nothing.
        roll_back: Put the version before back when this one fails.
        run: The pipeline run, for the rollback's trailers.
        trigger: What started the run.

    Returns:
        `healthy`; `superseded` when another version took its place meanwhile; `skipped` when there was nothing to wait
        for. A version that does not come to serve is a failure.
    """
    from pathlib import Path

    from roadie import rollout, trace

    if not in_place:
        print(f"{environment} does not hold {version or 'the version'}: there is no rollout to wait for")
        return "skipped"
    url = predictor_url.replace("{environment}", environment).replace("{namespace}", namespace)
    verdict, tried = trace.see_through(
        trace.Place(gitops_repo, gitops_branch, values_file, values_key, model_name, environment),
        rollout.Target(
            inference_service if namespace else "",
            namespace,
            application.replace("{environment}", environment),
            argocd_namespace,
            gitops_repo,
        ),
        rollout.Wanted(version, digest, commit=commit),
        timeout=timeout_minutes * 60,
        soak=soak_minutes * 60,
        trial=trace.Trial(url, Path(samples.path)) if url and samples else None,
        roll_back=roll_back,
        run=run,
        trigger=trigger,
    )
    metrics.log_metric("rollout_seconds", verdict.seconds)
    for percentile, milliseconds in (tried.latency_ms if tried else {}).items():
        metrics.log_metric(f"latency_{percentile}_ms", milliseconds)
    print(f"{verdict.outcome}: {verdict.reason}")
    return str(verdict.outcome)
