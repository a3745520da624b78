"""The model that an environment deploys now."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from roadie.errors import ModelCarError, UsageError

# What a values file says before anything was ever deployed.
PLACEHOLDERS = frozenset({"", "latest"})


@dataclass(frozen=True)
class Champion:
    """The deployed version and its image; `version` is empty when there is none.

    `held` is what the values file of `environment` says, be it a placeholder, at the tip `commit`.
    """

    version: str
    digest: str
    environment: str
    held: str
    commit: str
    sentence: str


def find_champion(
    repository: str,
    files: Mapping[str, str],
    environment: str,
    key: str,
    *,
    image: str,
    branch: str,
    directory: Path,
) -> Champion:
    """Read the version that `environment` deploys and pull its model into ``directory/model``.

    ``directory/champion.json`` says what was found, also when that is nothing.

    Args:
        repository: Address or path of the GitOps repository.
        files: The values file of each environment, relative to the repository; empty where there is none.
        environment: Whose version is the champion; one without a values file leaves it to the others, in their order.
        key: The mapping in it that holds ``version`` and perhaps ``digest``.
        image: The repository of the model's images, without a tag.
        branch: The branch that is deployed.
        directory: Where to write; it is made.

    Raises:
        UsageError: there is no such environment, or none has a values file.
        GitOpsError: the repository or the file cannot be read.
        ModelCarError: the registry does not have the version, or does not answer.
    """
    from roadie import gitops, modelcar

    environment = _choose(files, environment)
    file = files[environment]
    deployed = gitops.read_value(repository, file, f"{key}.version", branch=branch, settable=True)
    version = held = deployed.value or ""
    digest = modelcar.resolve(f"{image}:{version}") if version else None
    if digest is None and version not in PLACEHOLDERS:
        raise ModelCarError(
            f"{file} deploys version {version}, which {image} does not have: push that version again, "
            f"or set {key}.version to one that is there"
        )
    directory.mkdir(parents=True, exist_ok=True)
    if digest is None:
        version, sentence = "", f"{file} deploys no version yet: there is no champion"
    else:
        modelcar.pull(f"{image}@{digest}", directory / "model")
        sentence = f"the champion is {version} ({digest})"
    found = Champion(version, digest or "", environment, held, deployed.commit, sentence)
    (directory / "champion.json").write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    return found


def _choose(files: Mapping[str, str], environment: str) -> str:
    if environment not in files:
        raise UsageError(f"there is no environment {environment!r} to take the champion from: use {' or '.join(files)}")
    with_file = [environment, *files]
    chosen = next((name for name in with_file if files[name]), None)
    if chosen is None:
        raise UsageError("no environment has a values file, so there is nothing to deploy to: set test_file")
    return chosen
