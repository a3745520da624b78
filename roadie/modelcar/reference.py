"""Names of images: `registry/repository:tag`, `...@sha256:hex`, and the same for OCI image layouts on disk."""

import re
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import UsageError
from roadie.modelcar.documents import DIGEST

# The grammar of the OCI distribution specification, "Pulling manifests".
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::[0-9]+)?")
_LAYOUT = "oci:"
_FORMS = "registry/repository:tag, registry/repository@sha256:..., oci:DIR:tag or oci:DIR@sha256:..."


@dataclass(frozen=True)
class Reference:
    """One image, named by tag or by digest, in a registry or (with an empty `registry`) in an OCI layout.

    `repository` is the layout's directory when `registry` is empty. Exactly one of `tag` and `digest` is set.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The tag or the digest: what comes last in the URL of a manifest."""
        return self.digest or self.tag

    @property
    def layout(self) -> Path | None:
        """The directory of the OCI image layout, or None for a registry."""
        return None if self.registry else Path(self.repository)

    def pinned(self, digest: str) -> "Reference":
        """The same place, by digest."""
        return Reference(self.registry, self.repository, digest=digest)

    def __str__(self) -> str:
        place = f"{self.registry}/{self.repository}" if self.registry else f"{_LAYOUT}{self.repository}"
        return f"{place}@{self.digest}" if self.digest else f"{place}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Read a reference; raises UsageError when it has none of the four forms.

    A tag together with a digest is refused: CRI-O 1.31.0 and skopeo do not take it either.
    """
    text = _without_scheme(text)
    layout = text.startswith(_LAYOUT)
    place, at, digest = text.removeprefix(_LAYOUT).partition("@")
    if at and not DIGEST.fullmatch(digest):
        # What stands before the @ is not repeated: it may be a password that somebody put there.
        raise UsageError(
            f"A reference ends in @{digest}, which is no digest: write @sha256: and 64 hexadecimal digits."
        )
    tag = ""
    if not at:
        place, _, tag = place.rpartition(":")
        if not place or "/" in tag:
            raise UsageError(f"{text!r} has no tag and no digest: write it as {_FORMS}.")
        if not _TAG.fullmatch(tag):
            raise UsageError(
                f"{tag!r} is no tag: use up to 128 letters, digits, '.', '_' and '-', not starting with '.' or '-'."
            )
    if layout:
        if not place:
            raise UsageError(f"{text!r} names no directory: write it as oci:DIR:tag.")
        return Reference("", place, tag, digest)
    return Reference(*_place(text, place, _FORMS), tag, digest)


def check_repository(text: str) -> None:
    """Raises UsageError when `text` is no repository for images that a version will be the tag of."""
    place = _without_scheme(text)
    if "@" in place:
        raise UsageError("The image has an @: name its repository alone, the version decides which one is meant.")
    if place.startswith(_LAYOUT):
        return
    tag = place.rpartition("/")[2].partition(":")[2]
    if tag and "/" in place:
        raise UsageError(f"The image {text!r} has the tag {tag!r}: leave it out, the version is the tag.")
    _place(text, place, "registry/repository, or oci:DIR")


def _without_scheme(text: str) -> str:
    text = text.removeprefix("oci://")
    scheme, separator, _ = text.partition("://")
    if separator:
        # The rest is not repeated: it may hold a password.
        raise UsageError(f"A reference is written without {scheme[:20]}://, as {_FORMS}.")
    return text


def _place(text: str, place: str, forms: str) -> tuple[str, str]:
    registry, _, repository = place.partition("/")
    if not repository or not _is_registry(registry):
        raise UsageError(
            f"{text!r} does not start with a registry such as quay.io/ or localhost:5000/: write it as {forms}."
        )
    if not _REPOSITORY.fullmatch(repository):
        hint = " (is a tag together with a digest meant? give the digest alone)" if ":" in repository else ""
        raise UsageError(
            f"{repository!r} is no repository name{hint}: use lower-case letters, digits, '.', '_', '-' and '/'."
        )
    return registry, repository


def _is_registry(host: str) -> bool:
    """Docker's rule: a first component with a dot or a port, or `localhost`, is a host; others are part of the name."""
    return bool(_HOST.fullmatch(host)) and (host == "localhost" or "." in host or ":" in host)
