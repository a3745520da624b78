"""How a step is made: the only place that knows.

``@step`` turns a typed function into a KFP component whose command names the function and carries none of it: the code
comes with the image that a pipeline names by its parameter ``step_image`` on a cluster, and from the environment here.
In a pod, where ``roadie.step`` sets what KFP sets, a step is the function itself.

What differs between clusters comes from the environment, which is where ``roadie compile`` puts its options, so that
``kfp dsl compile`` gives the same YAML:

- ``ROADIE_STEP_IMAGE``: the image of components that stand alone, and the default of ``step_image``;
- ``ROADIE_SETTINGS``: what steps ask the cluster for, as JSON; see ``components/_cluster.py``.

An input artifact that may be absent is ``name: Input[Dataset] = None``, never ``Optional[...]``: a cluster's driver
hands artifacts over without their type, and KFP then instantiates what the annotation names (kfp/dsl/executor.py).
"""

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components._cluster import Cluster

STEP_IMAGE = os.environ.get("ROADIE_STEP_IMAGE", "")
# For who loads a component by itself and forgets its image: nobody publishes this name, and it says what to do.
NO_IMAGE = "set-the-image-that-roadie-image-push-made"


@dataclass(frozen=True)
class Step:
    """A KFP component that knows whether its results may be reused, and how often and how long it is tried."""

    component: Any
    function: Callable[..., Any]
    cache: bool
    retries: int
    minutes: int
    cluster: "Cluster"

    @property
    def name(self) -> str:
        """The component's name in compiled YAML, such as ``push-modelcar``."""
        return str(self.component.name)

    def __call__(self, *, step_image: Any = None, **arguments: Any) -> Any:
        """Add the step to the pipeline being built; returns KFP's task.

        Args:
            step_image: The pipeline's parameter that names the image with the step's code.
            arguments: The step's inputs.
        """
        from components import _cluster

        component = copy.deepcopy(self.component)
        # Argo keeps them four times a task, and no page shows them: compiled/components tells what inputs mean.
        for each in (component.component_spec.inputs or {}).values():
            each.description = None
        task = _cluster.apply(component(**arguments), self.cluster, self.minutes)
        if step_image is not None:
            task.set_container_image(step_image)
        if self.retries:
            task.set_retry(self.retries, backoff_duration="30s", backoff_factor=2.0)
        return task if self.cache else task.set_caching_options(False)


def step(*, cache: bool = True, retries: int = 0, minutes: int = 60) -> Callable[[Callable[..., Any]], Any]:
    """Make a step of a function that stands in a file of its name.

    Args:
        cache: False for a step with side effects: KFP then never serves it from an earlier run.
        retries: How often a cluster tries again when the pod or its node is lost: for a step that may be repeated.
        minutes: After how long a cluster ends it; 0 for a step that keeps its own time, or that users give theirs.
    """

    def make(function: Callable[..., Any]) -> Any:
        if os.environ.get("_KFP_RUNTIME") == "true":
            return function
        from components import _cluster

        settings = json.loads(os.environ.get("ROADIE_SETTINGS", "{}"))
        cluster = _cluster.read(settings, function.__name__)
        return Step(_component(function), function, cache, retries, minutes, cluster)

    return make


def _component(function: Callable[..., Any]) -> Any:
    from kfp import dsl

    component = dsl.component(function, base_image=STEP_IMAGE or NO_IMAGE, install_kfp_package=False)
    container = component.component_spec.implementation.container
    container.command = ["python3", "-m", "roadie.step", function.__module__]
    # kfp.local runs what names KFP's executor in its command, and takes all else for a container of somebody else's
    # (kfp/local/subprocess_task_handler.py, validate_not_container_component).
    container.args = ["{{$}}", "kfp.dsl.executor_main"]
    return component
