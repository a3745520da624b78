"""Publish: push a trained model under a version that never names two different models."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from roadie.errors import UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.base import EMBEDDED
from roadie.modelcar.documents import ROOT
from roadie.modelcar.files import Entry, scan
from roadie.modelcar.push import push
from roadie.modelcar.reference import check_repository

REVISION_DIGITS, MODEL_DIGITS = 10, 12
LONGEST = 1000  # letters of a trailer, see roadie.gitops


@dataclass(frozen=True)
class Published:
    """The image by digest, its version, and what made it by name. `existed`: the version was there before."""

    reference: str
    version: str
    digest: str
    provenance: Mapping[str, str]
    existed: bool


def publish(
    model: Path,
    image: str,
    *,
    version: str = "",
    title: str = "",
    source: str = "",
    revision: str = "",
    data_digest: str = "",
    metrics: Mapping[str, float] | None = None,
    trigger: str = "",
    override: str = "",
    base: str = EMBEDDED,
    access: Access | None = None,
) -> Published:
    """Push the model in folder `model` to `image` under `version`, annotated with what made it.

    Everything that goes into the image is told by the inputs; the run that pushes is not among them, so that the same
    inputs give the same image. The run stands in the commit that deploys the version.

    Raises UsageError, ModelCarError, RegistryError.
    """
    if not image:
        raise UsageError("no image was named: set the parameter image, such as registry.example.com/models/jukebox")
    check_repository(image)
    # Earlier steps have been there: a registry that does not answer now is away, and no typing error.
    access = access or replace(Access.from_environment(), known=True)
    digest = model_digest(model)
    provenance = {
        "model_digest": f"sha256:{digest}",
        "data": f"sha256:{data_digest}" if data_digest else "",
        "metrics": _one_line(metrics or {}),
        "revision": revision,
        "source": source,
        "override": override,
    }
    version = version or default_version(revision, digest)
    annotations = {
        "title": title,
        "version": version,
        "revision": revision,
        "source": source,
        "data.digest": provenance["data"],
        "model.digest": provenance["model_digest"],
        "metrics": provenance["metrics"],
        "trigger": trigger,
    }
    pushed = push(
        model,
        f"{image}:{version}",
        base=base,
        annotations={name: value for name, value in annotations.items() if value},
        access=access,
    )
    # By these a node may call what it runs; whoever looks at its pods has to know them.
    provenance["manifests"] = " ".join(pushed.manifests)
    return Published(
        pushed.reference,
        version,
        pushed.digest,
        {name: value for name, value in provenance.items() if value},
        pushed.existed,
    )


def default_version(revision: str, digest: str) -> str:
    """Ten digits of the source commit and twelve of the model's digest; without a commit the model's alone."""
    parts = [revision[:REVISION_DIGITS].lower(), digest[:MODEL_DIGITS]]
    return "-".join(part for part in parts if part)


def _one_line(metrics: Mapping[str, float]) -> str:
    """The metrics as JSON, the last by name left out where it would be longer than a commit's trailer may be."""
    rounded = {name: round(metrics[name], 6) for name in sorted(metrics)}
    while len(text := json.dumps(rounded)) > LONGEST:
        rounded.popitem()
    return text


def model_digest(model: Path) -> str:
    """The sha256 of a model: of its one file, or of the sorted lines that ``sha256sum`` prints for its files.

    What is served lies in folders that are numbers (OpenVINO Model Server, "Preparing a Model Repository"); what stands
    beside them tells about the model and is not part of it. Without such a folder everything is the model.

    Raises ModelCarError when the folder cannot be read.
    """
    found = [entry for entry in scan(model) if entry.stamp]
    files = [entry for entry in found if _is_served(entry)] or found
    if len(files) == 1:
        return _sha256(files[0])
    lines = sorted(f"{_sha256(entry)}  {entry.name.removeprefix(f'{ROOT}/')}\n" for entry in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _is_served(entry: Entry) -> bool:
    return entry.name.split("/")[1].isdecimal()


def _sha256(entry: Entry) -> str:
    with Path(entry.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
