from collections.abc import Iterator
from pathlib import Path

import pytest

from roadie import gitops
from roadie.triggers.config import GitOps
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.journal import Journal
from roadie.triggers.metrics import Metrics
from roadie.triggers.work.deployed import Deployed
from roadie.triggers.work.following import Follower
from roadie.triggers.work.pipelines import Pipelines
from roadie.triggers.work.starting import Starter
from tests.unit.triggers.world import NOON, Clock, MemoryEngine, alert, store, targets, the_run

DIGEST = f"sha256:{'1' * 64}"
KEY = "applications.jukebox.values"


@pytest.fixture
def repository(tmp_path: Path) -> str:
    bare = tmp_path / "gitops.git"
    gitops.create_bare(gitops.examples() / "mlops-gitops", bare)
    return str(bare)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def deploy(repository: str, environment: str, run: str) -> str:
    done = gitops.bump_version(
        repository,
        f"{environment}/values.yaml",
        KEY,
        version="v7",
        digest=DIGEST,
        model_name="jukebox",
        environment=environment,
        run=run,
    )
    return done.commit


def test_it_says_what_is_deployed_where_and_when_that_was_read(repository: str, journal: Journal) -> None:
    deployed = Deployed(GitOps(repository=repository), journal, Clock())
    assert (list(deployed.rows), deployed.at, deployed.error) == ([], None, "")
    commit = deploy(repository, "test", "run-1")
    deployed.refresh()
    found = {(row.environment, row.model): row for row in deployed.rows}
    assert (found["test", "jukebox"].version, found["test", "jukebox"].commit) == ("v7", commit)
    assert (deployed.at, deployed.error) == (NOON, "")


def test_a_repository_that_cannot_be_read_leaves_what_was_known(
    repository: str, journal: Journal, tmp_path: Path
) -> None:
    deployed = Deployed(GitOps(repository=repository), journal, Clock())
    deploy(repository, "test", "run-1")
    deployed.refresh()
    rows = deployed.rows
    Path(repository).rename(tmp_path / "away")
    deployed.refresh()
    assert deployed.rows == rows
    assert deployed.at == NOON
    assert repository in deployed.error


def test_a_run_on_a_cluster_gets_version_image_and_commits_from_the_repository(
    repository: str, journal: Journal, tmp_path: Path
) -> None:
    clock = Clock()
    engine, wanted = MemoryEngine(clock), targets(parameters={"image": "registry.example/jukebox"})
    intents = Intents(journal, 1.0, clock, clock.ticks)
    deployed = Deployed(GitOps(repository=repository), journal, clock)
    store(journal, wanted, [alert()])
    Starter(intents, engine, wanted, Metrics(), Pipelines(tmp_path)).start_next()
    in_test = deploy(repository, "test", "run-1")
    deploy(repository, "stage", "somebody-elses")
    engine.set("run-1", state="succeeded")
    clock.forward(seconds=11)
    Follower(intents, engine, Metrics(), refresh=deployed.refresh).follow_all()

    run = the_run(journal)
    assert (run.state, run.decision, run.version) == ("succeeded", "promote", "v7")
    assert (run.image, run.commits) == (f"registry.example/jukebox@{DIGEST}", (in_test,))
    deployed.refresh()
    assert the_run(journal).commits == (in_test,)


def test_a_commit_that_comes_after_the_end_is_added(repository: str, journal: Journal, tmp_path: Path) -> None:
    clock = Clock()
    engine, wanted = MemoryEngine(clock), targets()
    intents = Intents(journal, 1.0, clock, clock.ticks)
    deployed = Deployed(GitOps(repository=repository), journal, clock)
    store(journal, wanted, [alert()])
    Starter(intents, engine, wanted, Metrics(), Pipelines(tmp_path)).start_next()
    engine.set("run-1", state="succeeded")
    clock.forward(seconds=11)
    Follower(intents, engine, Metrics(), refresh=deployed.refresh).follow_all()
    assert the_run(journal).commits == ()
    in_test, in_stage = deploy(repository, "test", "run-1"), deploy(repository, "stage", "run-1")
    deployed.refresh()
    assert sorted(the_run(journal).commits) == sorted((in_test, in_stage))
