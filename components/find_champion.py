"""The step that fetches the model that is deployed now."""

from typing import NamedTuple

from kfp.dsl import Model, Output

from components._step import step


# What is deployed changes in git without any input of this step changing.
@step(cache=False)
def find_champion(
    gitops_repo: str,
    image: str,
    model_name: str,
    champion: Output[Model],
    gitops: dict[str, object] = {},  # noqa: B006 - KFP takes defaults from the signature, and {} is its way to say none
    rollout: dict[str, object] = {},  # noqa: B006
) -> NamedTuple("Champion", [("version", str), ("started", str), ("test_held", str), ("stage_held", str)]):  # type: ignore[valid-type]
    """Read which version the GitOps repository deploys and pull its model from the registry.

    No key, an empty value, or a placeholder such as `latest` that the registry does not have mean that there is no
    champion yet. Any other version that the registry does not have is a failure, as is a registry that does not
    answer.

    Args:
        gitops_repo: Address of the GitOps repository; credentials: GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN).
        image: The repository of the model's images without a tag, such as registry.example.com/models/jukebox.
        model_name: The model's name.
        champion: The champion's model in folder 'model'; nothing but champion.json when there is none.
        gitops: Where versions stand in the repository, and whose version is the champion.
        rollout: What will be waited for; read here, so that a mistake is found before the training.

    Returns:
        version: The champion's version; empty when there is none.
        started: When it was read, as ISO 8601 in UTC; a commit of this run does not replace one of a later start.
        test_held: What test's values file said, if the champion is test's; its commit replaces nothing else.
        stage_held: The same for stage.
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from roadie import trace

    started = datetime.now(UTC).isoformat(timespec="seconds")
    trace.RolloutSettings.parse(rollout)
    settings = trace.GitOpsSettings.parse(gitops)
    found = trace.find_champion(
        gitops_repo,
        settings.files,
        settings.champion,
        settings.place(model_name),
        image=image,
        branch=settings.branch,
        directory=Path(champion.path),
    )
    champion.metadata.update(version=found.version, digest=found.digest, commit=found.commit)
    print(found.sentence)
    held = {found.environment: found.held}
    return (found.version, started, held.get("test", ""), held.get("stage", ""))
