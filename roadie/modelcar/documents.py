"""The JSON documents of the OCI image specification 1.1: descriptors, manifests, indexes, configs."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from roadie.errors import ModelCarError

R = TypeVar("R")

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER = {
    "application/vnd.docker.distribution.manifest.v2+json": MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json": INDEX,
    "application/vnd.docker.container.image.v1+json": CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": f"{LAYER}+gzip",
}
# Where KServe looks for a model in the image (see contract.py), and the annotation that says what a layer of it holds.
ROOT = "models"
FILES = "io.roadie.files"
# A registry answers 404 for a manifest whose type is not listed here.
ACCEPT = ", ".join([MANIFEST, INDEX, *list(_DOCKER)[:2]])

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Documents larger than this are refused: registries hold manifests to 4 MiB.
MAX_DOCUMENT = 8 << 20


def parse_json(body: bytes | str) -> Any:
    """JSON from outside; ValueError when it is none, or is nested deeper than anybody nests it."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def texts(value: Any) -> dict[str, str]:
    """A map of texts, such as annotations; ValueError when it is none, and nothing for null."""
    if not isinstance(value, dict | None) or not all(isinstance(item, str) for item in (value or {}).values()):
        raise ValueError("it is no map of texts")
    return dict(value or {})


def _list_of_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | None) or not all(isinstance(item, str) for item in value or []):
        raise ValueError("it is no list of texts")
    return tuple(value or ())


def sha256(data: bytes) -> str:
    """The digest of `data` as OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def oci_type(media_type: str) -> str:
    """The OCI name of a Docker media type; every other type as it is."""
    return _DOCKER.get(media_type, media_type)


@dataclass(frozen=True)
class Descriptor:
    """A pointer to a blob or document by digest (OCI image specification, "Content Descriptors"); size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest or index."""
        document: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            document["platform"] = dict(self.platform)
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Descriptor":
        """Read one; KeyError, TypeError or ValueError when it is not one."""
        digest, size = str(document["digest"]), document["size"]
        if not DIGEST.fullmatch(digest):  # it becomes part of URLs and paths
            raise ValueError(digest)
        if type(size) is not int or size < 0:
            raise ValueError(size)
        platform = document.get("platform")
        named = {key: str(value) for key, value in platform.items()} if isinstance(platform, dict) else {}
        return cls(oci_type(str(document["mediaType"])), digest, size, texts(document.get("annotations")), named)


@dataclass(frozen=True)
class Document:
    """A manifest, index or config as bytes; its digest is that of exactly these bytes."""

    media_type: str
    body: bytes

    @classmethod
    def of(cls, media_type: str, content: Mapping[str, Any]) -> "Document":
        """Write `content` in the one way that gives the same digest everywhere: sorted keys, no spaces, ASCII.

        ModelCarError for what a base brought along that is nested deeper than anybody nests it.
        """
        try:
            return cls(media_type, json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii"))
        except RecursionError:
            raise ModelCarError("The base's config is nested too deeply: take another base.") from None

    @cached_property
    def digest(self) -> str:
        """sha256 of the body."""
        return sha256(self.body)

    @cached_property
    def json(self) -> dict[str, Any]:
        """The parsed body; ModelCarError when it is not a JSON object."""
        try:
            parsed = parse_json(self.body)
        except ValueError as error:
            raise ModelCarError(f"Document {self.digest} is not JSON: the image is damaged, push it again.") from error
        if not isinstance(parsed, dict):
            raise ModelCarError(f"Document {self.digest} is not a JSON object: the image is damaged, push it again.")
        return parsed

    @property
    def is_index(self) -> bool:
        """Whether it lists one image per platform; by content, since layouts and registries may not say the type."""
        return oci_type(self.media_type) == INDEX or "manifests" in self.json

    @property
    def annotations(self) -> dict[str, str]:
        """The document's own annotations; ModelCarError when they are none."""
        return self.texts("annotations")

    def texts(self, *path: str) -> dict[str, str]:
        """The map of texts under a path; ModelCarError when something else stands there."""
        return self._read(texts, *path)

    def list_of_texts(self, *path: str) -> tuple[str, ...]:
        """The list of texts under a path; ModelCarError when something else stands there."""
        return self._read(_list_of_texts, *path)

    def _read(self, read: Callable[[Any], R], *path: str) -> R:
        value: Any = self.json
        try:
            for step in path:
                value = None if value is None else value.get(step)
            return read(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise ModelCarError(
                f"Document {self.digest} has no readable {'.'.join(path)}: it is no OCI image that Roadie knows."
            ) from error

    def descriptors(self, key: str) -> tuple[Descriptor, ...]:
        """The descriptors under `manifests`, `layers` or `config`."""
        found = self.json.get(key, [])
        items: Iterable[Any] = [found] if isinstance(found, dict) else found
        try:
            return tuple(Descriptor.from_json(item) for item in items)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelCarError(
                f"Document {self.digest} has no readable {key}: it is no OCI image that Roadie knows."
            ) from error

    def descriptor(self, platform: Mapping[str, str] | None = None) -> Descriptor:
        """A pointer to this document."""
        return Descriptor(self.media_type, self.digest, len(self.body), platform=platform or {})
