"""The step that waits until the cluster serves the version, and takes it back where it does not."""

from kfp.dsl import Artifact, Input, Metrics, Output

from components._step import step


# It waits as long as the settings say.
@step(cache=False, minutes=0)
def wait_for_rollout(
    version: str,
    digest: str,
    environment: str,
    model_name: str,
    gitops_repo: str,
    metrics: Output[Metrics],
    samples: Input[Artifact] = None,
    gitops: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    rollout: dict[str, object] = {},  # noqa: B006
    commit: str = "",
    in_place: bool = True,
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
        metrics: How long the rollout took, and the latency of the served model, where it was tried.
        samples: Requests with the answers to expect, as evaluate writes them.
        gitops: Where versions stand in the repository.
        rollout: What serves the version, where it answers to the samples, and how long it may take to come up.
        commit: The commit that asked for the version.
        in_place: Whether the branch holds the version; if not (a review is open), there is nothing to wait for yet.
        roll_back: Put the version before back when this one fails by itself: its image, a crash, never ready, other
            answers. What is wrong beside it is an error that leaves Git as it is.
        run: The pipeline run, for the rollback's trailers.
        trigger: What started the run.

    Returns:
        `healthy`; `superseded` when another version took its place meanwhile; `skipped` when there was nothing to wait
        for. A version that does not come to serve is a failure.
    """
    from pathlib import Path

    from roadie import trace
    from roadie.rollout import Wanted

    if not in_place:
        print(f"{environment} does not hold {version or 'the version'}: there is no rollout to wait for")
        return "skipped"
    git, serving = trace.GitOpsSettings.parse(gitops), trace.RolloutSettings.parse(rollout)
    url = serving.url(environment)
    verdict, tried = trace.see_through(
        trace.Place(gitops_repo, git.branch, git.file(environment), git.place(model_name), model_name, environment),
        serving.target(environment, gitops_repo),
        Wanted(version, digest, commit=commit),
        timeout=serving.minutes * 60,
        soak=serving.soak_minutes * 60,
        trial=trace.Trial(url, Path(samples.path)) if samples and url != "none" else None,
        roll_back=roll_back,
        run=run,
        trigger=trigger,
    )
    metrics.log_metric("rollout_seconds", verdict.seconds)
    for percentile, milliseconds in (tried.latency_ms if tried else {}).items():
        metrics.log_metric(f"latency_{percentile}_ms", milliseconds)
    print(f"{verdict.outcome}: {verdict.reason}")
    return str(verdict.outcome)
