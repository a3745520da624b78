"""What the receiver makes of a cluster that behaves as a real one did: ghosts, refusals, ended runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie.runs import Cluster
from roadie.triggers.config import Model
from roadie.triggers.rules.arguments import Target
from tests.servers.kfp_api import KfpApi, serving
from tests.unit.runs.small import small_pipeline
from tests.unit.triggers.world import Clock, Receiver, alert, alerts, store


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with serving() as api:
        yield api


def receiver(api: KfpApi, folder: Path, **settings: Any) -> Receiver:
    """One with a model that is run on the cluster."""
    pipeline = small_pipeline(folder)
    model = Model(pipeline=str(pipeline.path), parameters={"image": "registry.example/m"}, **settings)
    wanted = {"jukebox": Target("jukebox", model, pipeline, frozenset(pipeline.parameters))}
    return Receiver(folder / "journal.db", Cluster(api.url), Clock(), wanted)  # type: ignore[arg-type]


def test_a_run_whose_workflow_is_gone_holds_no_place(api: KfpApi, tmp_path: Path) -> None:
    world = receiver(api, tmp_path, max_active=1, when_active="supersede")
    first, second = alerts(2)
    store(world.journal, world.wanted, [first])
    world.start_all()
    (ghost,) = api.runs
    api.order(ghost, "RUNNING")
    api.lose_workflow(ghost)
    store(world.journal, world.wanted, [second])
    world.follow()  # it is told to end, which its Workflow cannot be
    world.follow()
    world.start_all()
    assert len(api.runs) == 2
    assert sorted(run.state for run in world.journal.runs()) == ["canceled", "running"]
    world.journal.close()


def test_a_run_that_somebody_ended_in_the_cluster_is_canceled(api: KfpApi, tmp_path: Path) -> None:
    world = receiver(api, tmp_path)
    store(world.journal, world.wanted, [alert()])
    world.start_all()
    (run_id,) = api.runs
    api.order(run_id, "RUNNING")
    Cluster(api.url).stop(run_id)
    world.follow()
    (run,) = world.journal.runs()
    assert (run.state, run.error) == ("canceled", "it was canceled")
    world.journal.close()


def test_a_pipeline_that_the_service_will_never_take_is_given_up_at_once(api: KfpApi, tmp_path: Path) -> None:
    world = receiver(api, tmp_path)
    text = (tmp_path / "small.yaml").read_text()
    (tmp_path / "small.yaml").write_text(text.replace("componentRef: {name: comp-train}", "componentRef: {name: none}"))
    store(world.journal, world.wanted, [alert()])
    world.start_all()
    world.start_all()
    (run,) = world.journal.runs()
    assert run.state == "failed"
    assert 'cannot find component ref name="none"' in run.error
    assert api.asked.count("POST /apis/v2beta1/runs") == 1
    assert json.dumps(api.runs) == "{}"
    world.journal.close()
