"""From a base and layers to an image: one config and manifest per platform, and an index over them.

Pure: the same base, layers and annotations give the same bytes. Nothing here knows the time, the machine or the user.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadie.errors import UsageError
from roadie.modelcar.documents import CONFIG, FILES, INDEX, LAYER, MANIFEST, Descriptor, Document

_OCI = "org.opencontainers.image."
BASE_NAME, BASE_DIGEST, CREATED = f"{_OCI}base.name", f"{_OCI}base.digest", f"{_OCI}created"
# Short names that push takes for the annotations Roadie's pipelines write.
ANNOTATIONS: Mapping[str, str] = {
    **{name: f"{_OCI}{name}" for name in ("version", "revision", "source", "created", "title")},
    **{name: f"io.roadie.{name}" for name in ("run", "data.digest", "model.digest", "metrics", "trigger")},
}
# What tells of the circumstances of a push, not of what was pushed: it does not make another image of the same model.
_CIRCUMSTANCES = {ANNOTATIONS["run"], ANNOTATIONS["trigger"], CREATED}
_NAME = re.compile(r"[A-Za-z0-9]+([._/-][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Platform:
    """The part of a base for one platform: its config's content and its layers."""

    platform: Mapping[str, str]
    config: Mapping[str, Any]
    layers: tuple[Descriptor, ...] = ()


@dataclass(frozen=True)
class Base:
    """What the model's layers are put on; `name` and `digest` are empty for none."""

    platforms: tuple[Platform, ...]
    name: str = ""
    digest: str = ""
    is_index: bool = True


# Image volumes need nothing but files; an index still, since containerd refuses a config of another architecture.
NOTHING = Base(tuple(Platform({"architecture": cpu, "os": "linux"}, {}) for cpu in ("amd64", "arm64")))


@dataclass(frozen=True)
class ModelImage:
    """A finished image; `top` gets the tag: the index over `manifests`, or the manifest when there is but one."""

    configs: tuple[Document, ...]
    manifests: tuple[Document, ...]
    top: Document

    @property
    def documents(self) -> tuple[Document, ...]:
        """All of it: `top`, then each manifest with its config."""
        pairs = zip(self.manifests, self.configs, strict=True) if self.manifests else [self.configs]
        return (self.top, *(document for pair in pairs for document in pair))


def layer_descriptor(digest: str, size: int, label: str) -> Descriptor:
    """A model layer; its annotation says what it holds, so that nobody has to fetch it to know."""
    return Descriptor(LAYER, digest, size, {FILES: label.encode("utf-8", "backslashreplace").decode()})


def full_annotations(
    given: Mapping[str, str], base: Base, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The given annotations under their full names, the base's, and `created` when SOURCE_DATE_EPOCH says a time."""
    epoch = (os.environ if environment is None else environment).get("SOURCE_DATE_EPOCH", "")
    annotations = {BASE_NAME: base.name, BASE_DIGEST: base.digest} if base.digest else {}
    if epoch:
        if not epoch.isdigit():
            raise UsageError(
                f"SOURCE_DATE_EPOCH is {epoch!r}, which is not a number of seconds: set it right or unset it."
            )
        from datetime import UTC, datetime

        annotations[CREATED] = datetime.fromtimestamp(int(epoch), UTC).isoformat().replace("+00:00", "Z")
    for name, value in given.items():
        full = ANNOTATIONS.get(name, name)
        if not _NAME.fullmatch(full) or "." not in full:
            raise UsageError(
                f"{name!r} is no annotation: use {', '.join(ANNOTATIONS)}, or a full name such as org.example.team."
            )
        annotations[full] = value
    return annotations


def compose(base: Base, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> ModelImage:
    """Put uncompressed `layers` on every platform of `base`; an index as well when the base is one."""
    configs, manifests, listed = [], [], []
    for part in base.platforms:
        config = Document.of(CONFIG, _config(part, layers, annotations))
        content = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor().to_json(),
            "layers": [layer.to_json() for layer in (*part.layers, *layers)],
            "annotations": dict(annotations),
        }
        manifest = Document.of(MANIFEST, content)
        configs.append(config)
        manifests.append(manifest)
        listed.append(manifest.descriptor(part.platform).to_json())
    if not base.is_index:
        return ModelImage(tuple(configs), (), manifests[0])
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed, "annotations": dict(annotations)}
    return ModelImage(tuple(configs), tuple(manifests), Document.of(INDEX, index))


def _config(part: Platform, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> dict[str, Any]:
    """The base's config without its times, with the model's diff_ids and the annotations as labels."""
    inner = dict(part.config.get("config") or {})
    inner["Labels"] = {**(inner.get("Labels") or {}), **annotations}
    diff_ids = [*(part.config.get("rootfs") or {}).get("diff_ids", []), *(layer.digest for layer in layers)]
    kept = {key: value for key, value in part.config.items() if key not in {"created", "history", "container"}}
    created = {"created": annotations[CREATED]} if CREATED in annotations else {}
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return {**kept, **part.platform, **created, "config": inner, "rootfs": rootfs}


def essence(documents: Sequence[Document]) -> list[Any]:
    """What is left of documents (manifests and configs) without digests of one another and circumstances.

    Two images with the same essence serve the same model in the same way. What is nested deeper than anybody nests it
    has an essence of its own.
    """
    try:
        return [_stripped(document.json) for document in documents]
    except RecursionError:
        return [document.body for document in documents]


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {
            key: item for key, item in value.items() if key not in {*_CIRCUMSTANCES, "config", "manifests", "created"}
        }
        inner = value.get("config")
        if isinstance(inner, dict) and "digest" not in inner:
            kept["config"] = inner
        return {key: _stripped(item) for key, item in kept.items()}
    return [_stripped(item) for item in value] if isinstance(value, list) else value
