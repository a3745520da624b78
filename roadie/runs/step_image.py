"""The image that steps run in on a cluster: who named it, and by which digest it goes to the pipeline."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from roadie.errors import ModelCarError, RunError, UsageError
from roadie.runs.pipeline import Pipeline

PARAMETER = "step_image"
VARIABLE = "ROADIE_STEP_IMAGE"
# In the name of an image, the run's commit: the code that runs is then that which the version names.
REVISION = "{revision}"


def _quiet(_sentence: str) -> None:
    pass


class MissingImageError(UsageError):
    """The registry does not have the image."""


class StepImage:
    """What a pipeline's parameter ``step_image`` is given, where it has one; safe to share.

    An image that is named by a tag is looked up once, so that all steps of a run, and all runs of a schedule, get the
    very same one. A tag may hold {revision}, which is the run's own commit; where CI has not pushed that image yet, the
    run cannot be started yet.
    """

    def __init__(self, named: str = "", tell: Callable[[str], None] = _quiet) -> None:
        """Take the image that is `named`, or else ROADIE_STEP_IMAGE; `tell` hears which digest a tag stands for."""
        self.named = named or os.environ.get(VARIABLE, "")
        self._tell = tell
        self._pinned: dict[str, str] = {}

    def wanted_by(self, pipeline: Pipeline, arguments: Mapping[str, Any]) -> str:
        """What the pipeline's steps run in, as it was named; empty where the pipeline takes no such image.

        Raises:
            UsageError: the pipeline takes one, and none is named.
        """
        parameter = pipeline.parameters.get(PARAMETER)
        if parameter is None:
            return ""
        image = str(arguments.get(PARAMETER) or self.named or parameter.default or "")
        if not image:
            raise UsageError(
                f"no image is named for the steps of {pipeline.name}: make one with `roadie image push "
                f"REGISTRY/REPOSITORY`, and name it with --image, {VARIABLE} or {PARAMETER}"
            )
        return image

    def given_to(self, pipeline: Pipeline, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, with the image by digest where the pipeline takes one.

        Raises:
            UsageError: none is named, it cannot be pulled by a cluster, or the registry has no such image.
            RunError: the registry cannot be asked, or does not have the image of this commit yet.
        """
        image = self.wanted_by(pipeline, arguments)
        if REVISION in image and not arguments.get("revision"):
            raise UsageError(f"the steps' image {image} is named after a commit, and the run names none: give revision")
        if not image:
            return dict(arguments)
        try:
            return {**arguments, PARAMETER: self.pinned(image.replace(REVISION, str(arguments.get("revision", ""))))}
        except MissingImageError as error:
            if REVISION in image:
                raise RunError(f"{error}, or wait for CI to do so") from None
            raise

    def pinned(self, image: str) -> str:
        """The image by digest; raises as :meth:`given_to` does."""
        from roadie import modelcar

        if image in self._pinned:
            return self._pinned[image]
        reference = modelcar.parse_reference(image)
        if reference.layout:
            raise UsageError(f"{image} is a folder of this machine, from which no cluster pulls: push it to a registry")
        if not reference.digest:
            reference = reference.pinned(self._digest(image))
            self._tell(f"the steps' image {image} is {reference}")
        self._pinned[image] = str(reference)
        return str(reference)

    def _digest(self, image: str) -> str:
        from roadie import modelcar

        try:
            digest = modelcar.resolve(image)
        except ModelCarError as error:
            raise RunError(f"which image {image} is cannot be told, so name it by digest: {error}") from None
        if digest is None:
            place = image.rpartition(":")[0]
            raise MissingImageError(
                f"there is no image {image} for the steps: make it with `roadie image push {place}`"
            )
        return digest
