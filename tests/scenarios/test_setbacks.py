"""What goes wrong on the road: bad tables, refused pushes, missing versions. Nothing half-done stays visible."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from roadie import data
from tests.scenarios.world import LENIENT, ROOT, World, outcome
from tests.servers.git_http import git, serving
from tests.servers.registry import RegistryServer

NEVER = json.dumps({"metric": "log_loss", "floors": {"top_1": 1.0}})
RANKINGS, PROPERTIES = "song_rankings.parquet", "song_properties.parquet"


@pytest.fixture
def world(tmp_path: Path, registry: RegistryServer, request: pytest.FixtureRequest) -> Iterator[World]:
    """An open registry, with a repository of its own for each test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    with serving(tmp_path / "git") as git_server:
        yield World(registry, git_server, tmp_path / "state", repository=f"setbacks/{name}")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory, registry: RegistryServer) -> tuple[World, dict[str, Any]]:
    """A world in which test and stage hold a first version, and what the run that made it came to; to be copied."""
    folder = tmp_path_factory.mktemp("promoted")
    with serving(folder / "git") as git_server:
        made = World(registry, git_server, folder / "state", repository="setbacks/promoted")
        return made, outcome(made.train("sample"))


@pytest.fixture
def first(world: World, promoted: tuple[World, dict[str, Any]]) -> dict[str, Any]:
    """The run whose version the test's world holds: that world begins where this run ended."""
    world.begin_as(promoted[0])
    return promoted[1]


@pytest.fixture
def charts(tmp_path: Path) -> Path:
    folder = tmp_path / "charts"
    data.write_sample(folder)
    return folder


def edit(table: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    change(pl.read_parquet(table)).write_parquet(table)


BROKEN: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a column is missing": (PROPERTIES, lambda table: table.drop("tempo"), r"song_properties\.parquet.*tempo"),
    "the table is empty": (RANKINGS, lambda table: table.clear(), r"song_rankings\.parquet"),
    "a duration is negative": (
        PROPERTIES,
        lambda table: table.with_columns(-pl.col("duration_ms")),
        r"duration_ms.*\d",
    ),
    "there is one country only": (
        RANKINGS,
        lambda table: table.with_columns(country=pl.lit("DE")),
        r"countr",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_table_fails_in_one_sentence_and_leaves_no_trace(world: World, charts: Path, case: str) -> None:
    table, change, names = BROKEN[case]
    edit(charts / table, change)
    before = world.tip
    done = world.train(str(charts))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.match(r"roadie: the step (load-charts|check-data) failed: ", last)
    assert re.search(names, last)
    assert "Traceback" not in done.stderr
    assert (world.tip, world.tags()) == (before, [])


def test_wrong_credentials_for_git_show_before_any_training(world: World) -> None:
    world.environment = {"GIT_PASSWORD": "not-the-password"}
    done = world.train("sample")
    assert done.returncode == 1
    states = {step["name"]: step["state"] for step in json.loads(done.stdout)["steps"]}
    assert states["find-champion"] == "failed"
    assert states["train"] == "skipped"
    assert "not-the-password" not in done.stdout + done.stderr


def test_an_unknown_hyperparameter_is_answered_with_those_there_are(world: World) -> None:
    done = world.train("sample", hyperparameters='{"epoch": 3}')
    assert done.returncode == 1
    assert re.search(r"the step train failed: .*epoch.*epochs", done.stderr)
    assert world.tags() == []


def test_a_gate_that_asks_for_nothing_is_refused(world: World) -> None:
    done = world.train("sample", gate="{}")
    assert done.returncode == 1
    assert "the step evaluate failed: The gate has no configuration" in done.stderr
    assert world.tags() == []


def test_without_a_champion_a_model_below_the_floors_is_rejected(world: World) -> None:
    result = outcome(world.train("sample", gate=NEVER))
    assert result["decision"] == "reject"
    assert world.tags() == []


def test_a_deployed_version_that_the_registry_lost_is_an_error(world: World) -> None:
    done = world.roadie(
        "gitops", "bump", "--repo", world.gitops, "--set", "stage/values.yaml:applications.jukebox.values.version=gone"
    )
    assert done.returncode == 0, done.stderr
    done = world.train("sample")
    assert done.returncode == 1
    assert "stage/values.yaml deploys version gone" in done.stderr


def test_a_run_that_died_between_test_and_stage_is_completed_by_the_next(world: World, first: dict[str, Any]) -> None:
    # As it died: the commit to test is the last one.
    git("-C", str(world.bare), "update-ref", "refs/heads/main", first["commits"][0])
    completed = outcome(world.train("sample"))
    assert completed["decision"] == "promote"
    assert completed["version"] == first["version"]
    assert world.tags() == [first["version"]]
    assert len(completed["commits"]) == 1, "test holds the version already"
    assert git("-C", str(world.bare), "diff", "--name-only", "main^", "main") == "stage/values.yaml"


def test_a_fixed_holdout_keeps_its_bytes_whatever_the_seed_of_the_split(world: World, first: dict[str, Any]) -> None:
    holdout = next(Path(first["folder"]).glob("artifacts/*/split-data/holdout"))
    second = outcome(world.train("sample", split=json.dumps({"fixed": str(holdout), "seed": 7})))
    again = next(Path(second["folder"]).glob("artifacts/*/split-data/holdout"))
    assert again.read_bytes() == holdout.read_bytes()
    assert second["decision"] == "unchanged"


BY_HAND = """\
#!/bin/sh
# When the run pushes to test, somebody changes stage by hand.
git diff --name-only main^ main | grep -q ^test/ || exit 0
export GIT_INDEX_FILE="$PWD/by-hand" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a
git read-tree main
blob=$(git show main:stage/values.yaml | sed 's/version: .*/version: by-hand/' | git hash-object -w --stdin)
git update-index --cacheinfo "100644,$blob,stage/values.yaml"
git update-ref refs/heads/main "$(git commit-tree -p main -m 'By hand' "$(git write-tree)")"
"""


def test_a_champion_that_changed_during_the_run_voids_the_evaluation(world: World, first: dict[str, Any]) -> None:
    hook = world.bare / "hooks" / "post-receive"
    hook.write_text(BY_HAND)
    hook.chmod(0o755)
    done = world.train("sample", seed="7", gate=LENIENT)
    assert done.returncode == 1
    assert f"is by-hand by now, not {first['version']}; nothing was changed" in done.stderr
    assert git("-C", str(world.bare), "log", "-1", "--format=%s", "main") == "By hand"


def test_an_interrupt_ends_the_steps_as_well(world: World) -> None:
    command = [sys.executable, "-m", "roadie", "run", "training", "--state", str(world.state)]
    parameters = ["-p", f"image={world.image}", "-p", f"gitops_repo={world.gitops}"]
    run = subprocess.Popen([*command, *parameters], stderr=subprocess.PIPE, text=True, cwd=ROOT, env=world.variables)
    assert run.stderr is not None
    for line in run.stderr:
        if "load-charts ..." in line:
            break
    run.send_signal(signal.SIGINT)
    assert "interrupted" in run.communicate(timeout=120)[1]
    assert run.returncode == 130
    assert [each for each in processes() if str(world.state) in each] == []
    assert world.tags() == []


def processes() -> list[str]:
    """The command line of every process on this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found
