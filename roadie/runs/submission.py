"""What a cluster is sent of a compiled pipeline. Pure, but for reading the file."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from roadie.errors import UsageError
from roadie.runs.pipeline import Pipeline, yaml_loader

DESCRIPTION = 255  # characters that the service's database keeps of a description
EMBEDDED = {"image": "the registry's repository to push to", "gitops_repo": "the address of the GitOps repository"}


def specification(pipeline: Pipeline, *, cache: bool) -> dict[str, Any]:
    """The pipeline's YAML as the API takes it: the one document, or both under the names that kfp.Client gives them.

    Args:
        pipeline: The compiled pipeline; its file is read again, for the second document (what is Kubernetes' own).
        cache: False switches the cache off for every task. kfp.Client's enable_caching=False does that for the tasks
            of the outermost graph only; here it holds for those inside conditions and loops, too.

    Raises:
        UsageError: the file is gone or is no pipeline any more.
    """
    try:
        text = pipeline.path.read_text(encoding="utf-8")
        documents = [each for each in yaml.load_all(text, Loader=yaml_loader()) if each]
        specification, platform = documents[0], documents[1] if len(documents) > 1 else None
    except (OSError, yaml.YAMLError, UnicodeDecodeError, IndexError) as error:
        raise UsageError(f"{pipeline.path} cannot be read as a compiled pipeline: compile it again") from error
    if not cache:
        for task in tasks(specification):
            task["cachingOptions"] = {}
    return {"pipeline_spec": specification, "platform_spec": platform} if platform else dict(specification)


def tasks(specification: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every task of a pipeline's specification, whichever graph it is in."""
    for component in [specification["root"], *specification.get("components", {}).values()]:
        yield from component.get("dag", {}).get("tasks", {}).values()


def require_real_places(pipeline: Pipeline, arguments: Mapping[str, Any]) -> None:
    """Refuse to start on a cluster what only this machine has a stand-in for.

    Raises:
        UsageError: the pipeline takes an image or a GitOps repository, and none is given.
    """
    known = pipeline.parameters
    empty = [name for name in EMBEDDED if name in known and not arguments.get(name, known[name].default)]
    if empty:
        verb, each = ("is", "it") if len(empty) == 1 else ("are", "them")
        remedy = " and ".join(f"{EMBEDDED[name]} with -p {name}=..." for name in empty)
        raise UsageError(
            f"{' and '.join(empty)} {verb} empty, and a cluster has nothing that stands in for {each}: give {remedy}"
        )


def shortened(text: str, limit: int = DESCRIPTION) -> str:
    """`text`, cut to what the service keeps."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
