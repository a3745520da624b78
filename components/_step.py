"""How a step is made: the only place that knows.

``@step`` turns a typed function into a KFP component and, at compile time, embeds the modules of roadie that its body
reaches, pins the packages that they need, and sets the base image. What differs between clusters comes from the
environment, which is where ``roadie compile`` puts its options, so that ``kfp dsl compile`` gives the same YAML:

- ``ROADIE_IMAGE``: an image that holds Roadie and its packages; nothing is embedded and pip is not called;
- ``ROADIE_BASE_IMAGE``: a mirror of the stock Python image;
- ``ROADIE_PIP_INDEX_URL``: a mirror of the package index;
- ``ROADIE_SETTINGS``: what steps ask the cluster for, as JSON; see ``components/_cluster.py``.
"""

import inspect
import json
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp import dsl

from components import _archive, _cluster, _lock
from roadie.errors import UsageError

# The command is one argv string, and Argo keeps the spec and every pod's patch in one object of about 1 MiB.
STEP_LIMIT = 40_000
PIPELINE_LIMIT = 300_000


@dataclass(frozen=True)
class Settings:
    """What differs between clusters at compile time."""

    image: str = ""
    base_image: str = "python:3.11"
    pip_index_url: str = ""
    cluster: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings that the variables named in this module's docstring ask for."""
        return cls(
            image=environment.get("ROADIE_IMAGE", cls.image),
            base_image=environment.get("ROADIE_BASE_IMAGE", cls.base_image),
            pip_index_url=environment.get("ROADIE_PIP_INDEX_URL", cls.pip_index_url),
            cluster=json.loads(environment.get("ROADIE_SETTINGS", "{}")),
        )


@dataclass(frozen=True)
class Step:
    """A KFP component that knows whether its results may be reused."""

    component: Any
    function: Callable[..., Any]
    packages: tuple[str, ...]
    cache: bool
    cluster: _cluster.Cluster

    @property
    def name(self) -> str:
        """The component's name in compiled YAML, such as ``push-modelcar``."""
        return str(self.component.name)

    def __call__(self, **arguments: Any) -> Any:
        """Add the step to the pipeline being built; returns KFP's task."""
        task = _cluster.apply(self.component(**arguments), self.cluster)
        return task if self.cache else task.set_caching_options(False)


def step(*, packages: Sequence[str] = (), cache: bool = True) -> Callable[[Callable[..., Any]], Step]:
    """Make a step of a function whose body imports rooms of roadie; the modules that it reaches travel with it.

    Args:
        packages: The distributions of requirements.lock that these modules import; what these need is pinned as well.
        cache: False for a step with side effects: KFP then never serves it from an earlier run.
    """
    settings = Settings.from_environment(os.environ)

    def make(function: Callable[..., Any]) -> Step:
        make_component = _component_of_image if settings.image else _component_with_embedding
        component = make_component(function, packages, settings)
        return Step(component, function, tuple(packages), cache, _cluster.read(settings.cluster, function.__name__))

    return make


def _component_of_image(function: Callable[..., Any], _packages: Sequence[str], settings: Settings) -> Any:
    return dsl.component(function, base_image=settings.image, install_kfp_package=False)


def _component_with_embedding(function: Callable[..., Any], packages: Sequence[str], settings: Settings) -> Any:
    component = dsl.component(
        function,
        base_image=settings.base_image,
        packages_to_install=_lock.read().pins(packages),
        pip_index_urls=[settings.pip_index_url] if settings.pip_index_url else None,
        pip_trusted_hosts=[],
    )
    command = component.component_spec.implementation.container.command
    command[-1] = _archive.embed(_archive.bare_body(command[-1]), _archive.pack(_archive.files(source_of(function))))
    if len(command[-1]) > STEP_LIMIT:
        raise UsageError(
            f"the step {function.__name__} takes {len(command[-1]):,} bytes with what it reaches of roadie, more than "
            f"the {STEP_LIMIT:,} a step may take: let it reach less, or compile with --image"
        )
    return component


def source_of(function: Callable[..., Any]) -> str:
    """The source of a step's function without its decorator, as KFP ships it."""
    _, define, rest = textwrap.dedent(inspect.getsource(function)).partition("def ")
    return define + rest
