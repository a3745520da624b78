"""The step that fetches the model that is deployed now."""

from typing import NamedTuple

from kfp.dsl import Model, Output

from components._step import step


# What is deployed changes in git without any input of this step changing.
@step(packages=["GitPython", "PyYAML"], cache=False)
def find_champion(
    gitops_repo: str,
    values_key: str,
    image: str,
    champion: Output[Model],
    test_file: str = "test/values.yaml",
    stage_file: str = "stage/values.yaml",
    environment: str = "stage",
    gitops_branch: str = "main",
) -> NamedTuple("Champion", [("version", str), ("started", str), ("test_held", str), ("stage_held", str)]):  # type: ignore[valid-type]
    """Read which version the GitOps repository deploys and pull its model from the registry.

    No key, an empty value, or a placeholder such as `latest` that the registry does not have mean that there is no
    champion yet. Any other version that the registry does not have is a failure, as is a registry that does not
    answer.

    Args:
        gitops_repo: Address of the GitOps repository; credentials: GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN).
        values_key: The mapping in it that holds `version`, such as applications.jukebox.values.
        image: The repository of the model's images without a tag, such as registry.example.com/models/jukebox.
        champion: The champion's model in folder 'model'; nothing but champion.json when there is none.
        test_file: The values file of test, relative to the repository; may be empty.
        stage_file: The values file of stage; may be empty.
        environment: Whose version is the champion, `stage` or `test`; without a values file it is the other's.
        gitops_branch: The branch that is deployed.

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
    found = trace.find_champion(
        gitops_repo,
        {"test": test_file, "stage": stage_file},
        environment,
        values_key,
        image=image,
        branch=gitops_branch,
        directory=Path(champion.path),
    )
    champion.metadata.update(version=found.version, digest=found.digest, commit=found.commit)
    print(found.sentence)
    held = {found.environment: found.held}
    return (found.version, started, held.get("test", ""), held.get("stage", ""))
