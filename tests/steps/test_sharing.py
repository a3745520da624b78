"""Tasks share a component where, and only where, everything about it is equal."""

from kfp import dsl, kubernetes

from pipelines._pipeline import pipeline


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def greet(name: str) -> str:
    return f"hello {name}"


def references(made: object) -> list[str]:
    tasks = made.pipeline_spec.root.dag.tasks  # type: ignore[attr-defined]
    return [tasks[key].component_ref.name for key in sorted(tasks)]


def test_equal_tasks_refer_to_one_component_with_one_executor() -> None:
    @pipeline(name="equal")
    def made() -> None:
        for each in ("a", "b"):
            kubernetes.use_secret_as_env(greet(name=each), "a-secret", {"key": "VARIABLE"})

    assert references(made) == ["comp-greet", "comp-greet"]
    assert list(made.pipeline_spec.components) == ["comp-greet"]
    assert list(made.pipeline_spec.deployment_spec["executors"]) == ["exec-greet"]
    assert list(made.platform_spec.platforms["kubernetes"].deployment_spec.executors) == ["exec-greet"]


def test_a_secret_of_one_task_does_not_reach_another() -> None:
    @pipeline(name="guarded")
    def made() -> None:
        kubernetes.use_secret_as_env(greet(name="a"), "a-secret", {"key": "VARIABLE"})
        greet(name="b")

    assert references(made) == ["comp-greet", "comp-greet-2"]


def test_tasks_with_other_resources_keep_components_of_their_own() -> None:
    @pipeline(name="sized")
    def made() -> None:
        greet(name="a").set_cpu_limit("1")
        greet(name="b").set_cpu_limit("2")
        greet(name="c").set_cpu_limit("2")

    assert references(made) == ["comp-greet", "comp-greet-2", "comp-greet-2"]
