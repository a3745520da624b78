"""How a pipeline is made: KFP's own decorator, and then all that a cluster has to keep twice, or for nothing, goes."""

from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from kfp import dsl

KUBERNETES = "kubernetes"


def pipeline(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``dsl.pipeline`` with `options`, made small: Argo keeps the whole of it in one object of about 1 MiB.

    KFP compiles a component and an executor for each task, so that two commits carry the code of a commit twice. Tasks
    may refer to one component: KFP's backend visits each component once (backend/src/v2/compiler/visitor.go), and
    kfp.local looks it up by the task's reference.
    """

    def make(function: Callable[..., Any]) -> Any:
        made = dsl.pipeline(**options)(function)
        share_components(made.pipeline_spec, made.platform_spec)
        drop_descriptions(made.pipeline_spec)
        return made

    return make


def share_components(spec: Any, platform: Any) -> None:
    """Keep one of each set of equal components in `spec` (PipelineSpec), with its executor and its part of `platform`.

    Equal are components with the same interface, container and Kubernetes settings.
    """
    executors = spec.deployment_spec.fields["executors"].struct_value.fields
    settings = platform.platforms[KUBERNETES].deployment_spec.executors if KUBERNETES in platform.platforms else {}
    kept: dict[str, str] = {}
    replaced: dict[str, str] = {}
    for name in sorted(spec.components, key=lambda name: (len(name), name)):
        label = spec.components[name].executor_label
        if not label:
            continue
        interface = json_format.MessageToDict(spec.components[name])
        del interface["executorLabel"]
        identity = repr((interface, _plain(executors[label]), _plain(settings[label]) if label in settings else None))
        replaced[name] = kept.setdefault(identity, name)
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            reference = task.component_ref
            reference.name = replaced.get(reference.name, reference.name)
    for name, stays in replaced.items():
        if name != stays:
            label = spec.components[name].executor_label
            del spec.components[name]
            del executors[label]
            if label in settings:
                del settings[label]


def drop_descriptions(spec: Any) -> None:
    """Leave out what the steps' inputs and outputs mean: compiled/components tells it, and no pod asks.

    The pipeline's own parameters keep their descriptions, which people see when they start a run.
    """
    for component in spec.components.values():
        for definitions in (component.input_definitions, component.output_definitions):
            for each in (*definitions.parameters.values(), *definitions.artifacts.values()):
                each.ClearField("description")


def _plain(message: Any) -> Any:
    return json_format.MessageToDict(message)
