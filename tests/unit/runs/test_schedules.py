"""Recurring runs by name, against the double of the KFP API."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina

from roadie.errors import RunError, UsageError
from roadie.runs import Cluster, Pipeline, RunRefusedError, Schedules
from roadie.runs.schedules import with_seconds
from tests.servers.kfp_api import KfpApi, serving
from tests.unit.runs.small import small_pipeline

ARGUMENTS = {"image": "registry.example/models/jukebox"}
NIGHTLY = "0 3 * * *"
HOURLY = "0 * * * *"


class Clock:
    """A clock that goes on by sleeping only."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with serving() as api:
        yield api


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 1, 12, 30, 30, tzinfo=UTC))


@pytest.fixture
def schedules(api: KfpApi, clock: Clock) -> Schedules:
    return Schedules(Cluster(api.url), now=clock.now, sleep=clock.sleep)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return small_pipeline(tmp_path)


def put(schedules: Schedules, pipeline: Pipeline, cron: str = NIGHTLY, **changes: Any) -> str:
    options = {key: changes.pop(key) for key in ("cache", "enabled") if key in changes}
    return schedules.put("nightly", pipeline, {**ARGUMENTS, **changes}, cron, **options).action


def calls(api: KfpApi) -> list[str]:
    """What was asked that changes something."""
    changing = [each for each in api.asked if not each.startswith("GET")]
    return [each.partition(" ")[0] + (":" + each.partition(":")[2] if ":" in each else "") for each in changing]


def enabled(api: KfpApi) -> list[str]:
    return [each["recurring_run_id"] for each in api.recurring.values() if each["status"] == "ENABLED"]


def test_a_schedule_is_created_with_what_a_run_of_it_gets(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    change = schedules.put("nightly", pipeline, ARGUMENTS, NIGHTLY)
    assert change.action == "created"
    assert change.schedule is not None
    assert change.schedule.enabled
    made = api.recurring[change.schedule.id]
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert made["runtime_config"] == {"parameters": ARGUMENTS}
    assert made["pipeline_spec"].keys() == {"pipeline_spec", "platform_spec"}
    assert (made["max_concurrency"], made["no_catchup"]) == ("1", True)
    assert change.schedule.url == f"{api.url}/#/recurringrun/details/{change.schedule.id}"


def test_the_same_again_changes_nothing(api: KfpApi, schedules: Schedules, pipeline: Pipeline) -> None:
    put(schedules, pipeline)
    before = calls(api)
    assert put(schedules, pipeline) == "unchanged"
    assert put(schedules, pipeline, " 0  3 * * * ") == "unchanged"
    assert calls(api) == before


@pytest.mark.parametrize("different", [{"cron": HOURLY}, {"rows": 7}, {"cache": False}])
def test_another_one_takes_its_place_and_never_do_two_fire(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline, different: dict[str, Any]
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    api.asked.clear()
    assert put(schedules, pipeline, **different) == "replaced"
    assert len(api.recurring) == 1
    assert enabled(api) == list(api.recurring) != [old]
    # Made first, so that a refusal changes nothing; made disabled, so that at no time two are enabled.
    assert calls(api) == ["POST", "POST:disable", "POST:enable", "DELETE"]


def test_a_changed_pipeline_is_another_one(api: KfpApi, schedules: Schedules, pipeline: Pipeline) -> None:
    put(schedules, pipeline)
    pipeline.path.write_text(pipeline.path.read_text().replace("secretAsEnv", "secretAsVolume"))
    assert put(schedules, pipeline) == "replaced"


def test_a_replacement_that_is_refused_leaves_the_old_one_as_it_was(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    api.fault("refuse", method="POST")
    with pytest.raises(RunError, match="answered 503 while creating the schedule nightly"):
        put(schedules, pipeline, HOURLY)
    assert enabled(api) == list(api.recurring) == [old]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "recurringruns"), ("POST", ":disable"), ("POST", ":enable"), ("DELETE", "recurringruns")],
)
def test_what_was_broken_off_is_completed_by_the_same_command(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline, method: str, path: str
) -> None:
    put(schedules, pipeline)
    # From this call on the service is away, as if the command had been killed there.
    api.fault("refuse", method=method, path=path, times=None)
    with stamina.set_testing(True, attempts=2), pytest.raises(RunError):
        put(schedules, pipeline, HOURLY)
    assert len(enabled(api)) <= 1
    api.faults.clear()
    put(schedules, pipeline, HOURLY)
    assert enabled(api) == list(api.recurring)
    assert [each["trigger"]["cron_schedule"]["cron"] for each in api.recurring.values()] == ["0 0 * * * *"]


@pytest.mark.parametrize("path", ["recurringruns", ":disable", ":enable"])
def test_lost_answers_double_nothing(api: KfpApi, schedules: Schedules, pipeline: Pipeline, path: str) -> None:
    put(schedules, pipeline)
    api.fault("lose", method="POST", path=path)
    api.fault("lose", method="DELETE")
    assert put(schedules, pipeline, HOURLY) == "replaced"
    assert enabled(api) == list(api.recurring)
    assert len(api.recurring) == 1


def test_a_first_creation_whose_answer_was_lost_is_found(api: KfpApi, schedules: Schedules, pipeline: Pipeline) -> None:
    api.fault("lose", method="POST")
    assert put(schedules, pipeline) == "created"
    assert len(enabled(api)) == 1


def test_many_at_once_leave_one(api: KfpApi, pipeline: Pipeline, clock: Clock) -> None:
    def put_one(_: int) -> str:
        return put(Schedules(Cluster(api.url), now=clock.now, sleep=clock.sleep), pipeline)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put_one, range(4)))
    schedules = Schedules(Cluster(api.url), now=clock.now, sleep=clock.sleep)
    assert put(schedules, pipeline) in {"unchanged", "replaced"}
    assert len(enabled(api)) == len(api.recurring) == 1


@pytest.mark.parametrize(
    ("now", "waited"), [("12:59:45", 0.0), ("12:59:52", 28.0), ("13:00:05", 15.0), ("13:00:30", 0.0)]
)
def test_a_moment_is_waited_for_in_which_nothing_fires(
    schedules: Schedules, pipeline: Pipeline, clock: Clock, now: str, waited: float
) -> None:
    put(schedules, pipeline)
    for change in (lambda: put(schedules, pipeline, HOURLY), lambda: schedules.delete("nightly")):
        clock.moment = began = datetime.fromisoformat(f"2026-01-01T{now}Z")
        change()
        assert (clock.moment - began).total_seconds() == waited


# Runs that go on


def test_a_run_that_goes_on_is_never_taken_away_by_a_replacement(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    run = api.fire(old)
    change = schedules.put("nightly", pipeline, ARGUMENTS, HOURLY)
    assert (change.action, [each.id for each in change.left]) == ("replaced", [run["run_id"]])
    assert old in api.recurring
    assert change.schedule is not None
    assert enabled(api) == [change.schedule.id]
    assert not api.ghosts
    # Given again, it is just so already; and once the run has ended, the old one goes.
    assert put(schedules, pipeline, HOURLY) == "unchanged"
    assert len(api.recurring) == 2
    api.order(run["run_id"], "SUCCEEDED")
    assert put(schedules, pipeline, HOURLY) == "unchanged"
    assert list(api.recurring) == [change.schedule.id]


def test_a_run_that_goes_on_is_never_taken_away_by_a_deletion(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    run = api.fire(old)
    with pytest.raises(RunError, match=f"starts nothing any more, but is not deleted yet.*{run['display_name']}"):
        schedules.delete("nightly")
    assert enabled(api) == []
    assert list(api.recurring) == [old]
    assert not api.ghosts
    api.order(run["run_id"], "FAILED")
    assert schedules.delete("nightly").action == "deleted"
    assert api.recurring == {}


def test_a_run_is_not_taken_away_however_many_have_begun_since(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    api.recurring[old]["created_at"] = "2026-01-01T00:00:00Z"
    run = api.fire(old)
    run["created_at"] = "2026-01-01T03:00:00Z"
    for number in range(250):
        key = f"other-{number}"
        other = {"run_id": key, "created_at": "2026-02-01T00:00:00Z", "state": "SUCCEEDED", "state_history": []}
        api.runs[key] = {**other, "display_name": "x", "experiment_id": run["experiment_id"]}
    with pytest.raises(RunError, match="not deleted yet"):
        schedules.delete("nightly")
    assert not api.ghosts


def test_a_run_that_is_being_ended_is_not_taken_away_either(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    api.set(seconds_canceling=None)
    Cluster(api.url).stop(api.fire(old)["run_id"])
    with pytest.raises(RunError, match="not deleted yet"):
        schedules.delete("nightly")


def test_what_comes_back_while_a_run_of_it_goes_on_is_made_anew(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    put(schedules, pipeline)
    (old,) = api.recurring
    api.fire(old)
    put(schedules, pipeline, HOURLY)
    assert put(schedules, pipeline) == "replaced"
    assert api.recurring[old]["status"] == "DISABLED"
    assert len(enabled(api)) == 1


# When


def test_the_time_has_five_fields_to_which_the_second_is_added() -> None:
    # Given five, the service takes the first for the second: every hour at the third minute.
    assert with_seconds(" 0  3 * * MON") == "0 0 3 * * MON"
    for wrong in ("", "0 3 * *", "0 0 3 * * *", "@daily"):
        with pytest.raises(UsageError, match="but takes five: minute, hour"):
            with_seconds(wrong)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("61 * * * *", r"End of range \(61\) above maximum \(59\): 61"),
        ("0 3 * * 7", r"End of range \(7\) above maximum \(6\): 7"),
        ("0 3 0 * *", r"Beginning of range \(0\) below minimum \(1\): 0"),
    ],
)
def test_a_time_that_is_none_is_refused_in_the_words_of_the_service(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline, cron: str, said: str
) -> None:
    put(schedules, pipeline)
    before = enabled(api)
    with pytest.raises(RunRefusedError, match=f"answered 400 while creating the schedule nightly: {said}; correct"):
        put(schedules, pipeline, cron)
    assert enabled(api) == list(api.recurring) == before


def test_a_schedule_is_disabled_enabled_and_deleted_by_name(
    api: KfpApi, schedules: Schedules, pipeline: Pipeline
) -> None:
    assert schedules.disable("nightly").action == "absent"
    assert put(schedules, pipeline, enabled=False) == "created"
    assert enabled(api) == []
    assert put(schedules, pipeline) == "enabled"
    assert enabled(api) == list(api.recurring)
    assert put(schedules, pipeline, enabled=False) == "disabled"
    assert put(schedules, pipeline, enabled=False) == "unchanged"
    assert put(schedules, pipeline) == "enabled"
    assert [schedules.disable("nightly").action for _ in range(2)] == ["disabled", "unchanged"]
    assert len(api.recurring) == 1
    assert [schedules.delete("nightly").action for _ in range(2)] == ["deleted", "absent"]
    assert api.recurring == {}


def test_what_somebody_else_made_is_left_alone(api: KfpApi, schedules: Schedules, pipeline: Pipeline) -> None:
    put(schedules, pipeline)
    (theirs,) = api.recurring.values()
    theirs["description"] = "made by hand"
    for action in (lambda: put(schedules, pipeline), lambda: schedules.delete("nightly")):
        with pytest.raises(UsageError, match="`roadie schedule` did not make .*choose another name"):
            action()
    assert enabled(api) == list(api.recurring) == [theirs["recurring_run_id"]]


def test_a_schedule_without_an_image_is_refused(api: KfpApi, schedules: Schedules, pipeline: Pipeline) -> None:
    with pytest.raises(UsageError, match="image is empty"):
        schedules.put("nightly", pipeline, {}, NIGHTLY)
    assert api.recurring == {}
