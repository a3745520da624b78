"""What a run grows to, held against Workflows that were measured when they had ended on a real cluster.

``workflows/`` holds the pipelines that ran there, as they were compiled then.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from roadie.errors import UsageError
from roadie.runs import budget, within_budget

WORKFLOWS = Path(__file__).parent / "workflows"


def six_equal_steps(bytes_each: int) -> list[dict[str, Any]]:
    names = [f"s{number}" for number in range(6)]
    command = ["sh", "-c", "x" * bytes_each]
    return [
        {
            "deploymentSpec": {
                "executors": {
                    f"exec-{name}": {"container": {"command": command, "image": "python:3.11"}} for name in names
                }
            },
            "components": {f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in names},
            "root": {
                "dag": {
                    "tasks": {
                        name: {"componentRef": {"name": f"comp-{name}"}, "taskInfo": {"name": name}} for name in names
                    }
                }
            },
        }
    ]


@pytest.mark.parametrize(
    ("documents", "measured", "pods"),
    [
        (json.loads((WORKFLOWS / "training-promoted.json").read_text()), 802_174, 31),
        (json.loads((WORKFLOWS / "promotion.json").read_text()), 371_195, 10),
        (six_equal_steps(16_640), 1_030_236, 13),
    ],
    ids=["training, promoted", "promotion", "six steps of 17 kB"],
)
def test_the_estimate_is_what_was_measured(documents: list[dict[str, Any]], measured: int, pods: int) -> None:
    found = budget.growth(*documents)
    assert found.bytes == pytest.approx(measured, rel=0.07)
    assert found.pods == pods


def compiled(folder: Path, pipeline: Any) -> str:
    compiler.Compiler().compile(pipeline, str(folder / "pipeline.yaml"))
    return (folder / "pipeline.yaml").read_text()


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def greet(name: str) -> str:
    return name


def test_a_level_costs_a_pod_and_what_goes_through_it(tmp_path: Path) -> None:
    @dsl.pipeline(name="flat")
    def flat(name: str = "a") -> None:
        greet(name=name)

    @dsl.pipeline(name="deep")
    def deep(name: str = "a") -> None:
        with dsl.If(name == "a"):
            greet(name=name)

    @dsl.pipeline(name="loop")
    def loop(names: list[str] = ["a"]) -> None:  # noqa: B006 - a pipeline's default
        with dsl.ParallelFor(names) as name:
            greet(name=name)

    flat_, deep_, loop_ = (within_budget("a", compiled(tmp_path, each)) for each in (flat, deep, loop))
    assert (flat_.pods, deep_.pods, loop_.pods) == (3, 4, 5)
    assert flat_.bytes + 5_000 < deep_.bytes < loop_.bytes


def test_a_pipeline_that_would_die_of_its_size_is_refused_with_what_to_do() -> None:
    text = yaml.safe_dump_all(six_equal_steps(20_000))
    with pytest.raises(
        UsageError, match=r"the pipeline large grows to about 1,\d+,\d+ bytes on a cluster, 11\d% of the"
    ):
        within_budget("large", text)
