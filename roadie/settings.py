"""Structures that a pipeline takes as one parameter: what is left out has its default, what is unknown is refused."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from roadie.errors import UsageError


class Settings(BaseModel):
    """A structure; a parameter ``gitops`` is a ``GitOpsSettings``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> Self:
        """Read what a parameter holds.

        Raises:
            UsageError: a name is unknown, or a value is not of its kind; the sentence tells the first.
        """
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            name = cls.__name__.removesuffix("Settings").lower()
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise UsageError(f"{name} has no setting {place!r}: use one of {known}") from None
            raise UsageError(f"{name}.{place} cannot be {first['input']!r}: {first['msg']}") from None
