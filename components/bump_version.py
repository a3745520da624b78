"""The step that tells the GitOps repository which version to deploy."""

from typing import NamedTuple

from components._step import step


# A review is waited for as long as the settings say.
@step(cache=False, retries=2, minutes=0)
def bump_version(
    gitops_repo: str,
    model_name: str,
    environment: str,
    gitops: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    version: str = "",
    digest: str = "",
    source: str = "",
    run: str = "",
    started: str = "",
    trigger: str = "",
    provenance: dict[str, object] = {},  # noqa: B006
    replacing: str = "",
) -> NamedTuple(  # type: ignore[valid-type]
    "Bumped",
    [("commit", str), ("changed", bool), ("in_place", bool), ("version", str), ("digest", str), ("review_url", str)],
):
    """Commit a version to an environment's values file, or open a pull request for it.

    Changes the bytes of the version and, where the file has a key for it, of its digest, and nothing else. The same
    version twice makes no commit. With a source environment it is a promotion: exactly what that one holds is set here.
    A version that is not set, because another one has the last word, fails the step: that is never silent.

    Args:
        gitops_repo: Address of the GitOps repository; credentials come from GIT_USERNAME and GIT_PASSWORD (or
            GIT_TOKEN).
        model_name: The model's name, for the commit's message and trailers.
        environment: The environment's name; when it has no values file, nothing is done.
        gitops: Where versions stand in the repository, and whether stage gets a pull request instead of a commit.
        version: The version to deploy; for a promotion the one that the source must still hold, or empty for any.
        digest: The image's digest that the version stands for; a promotion takes the source's.
        source: The environment to promote from; empty when it is no promotion.
        run: The pipeline run that made the version.
        started: When that run read the champion, as ISO 8601 in UTC; a version of a later start is not overwritten.
        trigger: What started the run.
        provenance: What made the version, by name, for the commit's trailers.
        replacing: The version that the evaluation compared with; if another one is deployed by now, it is void.

    Returns:
        commit: The commit that holds the version.
        changed: Whether this step made it.
        in_place: Whether the branch holds the version now.
        version: The version.
        digest: The digest that goes with it; may be empty.
        review_url: Address of the pull request, if one was asked for.
    """
    import roadie.gitops
    from roadie import trace
    from roadie.errors import GitOpsError

    settings = trace.GitOpsSettings.parse(gitops)
    review = roadie.gitops.Proposal(settings.host, wait=settings.review_hours * 3600)
    result = roadie.gitops.bump_version(
        gitops_repo,
        settings.file(environment),
        settings.place(model_name),
        version=version,
        digest=digest,
        source=source,
        source_file=settings.file(source),
        model_name=model_name,
        environment=environment,
        branch=settings.branch,
        run=run,
        trigger=trigger,
        provenance={**{name: str(value) for name, value in provenance.items()}, "started": started},
        replacing=replacing,
        # A person looks at what goes to stage; test is where versions are tried.
        proposal=review if settings.review and environment != "test" else None,
    )
    print(result.diff or f"{environment} is left as it is: {result.reason}")
    if result.withheld:
        raise GitOpsError(f"{environment} does not get {model_name} {version}: {result.reason}")
    return (
        result.commit,
        result.changed,
        result.in_place,
        result.version or version,
        result.digest or digest,
        result.review or "",
    )
