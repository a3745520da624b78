from dataclasses import replace
from datetime import timedelta

import pytest

from roadie.triggers.config import Model, Push
from roadie.triggers.events import Event
from roadie.triggers.rules.deciding import History, Verdict, decide, key_of, superseded
from roadie.triggers.rules.matching import concerned
from roadie.triggers.senders.addresses import normalise
from tests.unit.triggers.world import NOON, REPOSITORY, alert, push

PUSHES = (Push(repository="git@GIT.example.com:team/model", branches=("main", "release/*"), paths=("*.py", "data/*")),)


class Past:
    """What the journal would say."""

    def __init__(self, history: History | None = None, keys: tuple[str, ...] = ()) -> None:
        self._history, self._keys = history or History(), keys

    def decided(self, key: str) -> bool:
        return key in self._keys

    def history(self, model: str) -> History:
        return self._history


def decided(event: Event, past: Past | None = None, **model: object) -> Verdict:
    (only,) = decide(event, {"jukebox": Model.model_validate(model)}, past or Past(), NOON)
    return only


def test_a_firing_alert_with_the_models_labels_starts_a_run() -> None:
    verdict = decided(alert())
    assert (verdict.model, verdict.action, verdict.code) == ("jukebox", "start", "accepted")
    assert verdict.key == key_of("jukebox", "a1b2@2026-01-31T11:59:00.000Z")


@pytest.mark.parametrize("labels", [{"retrain": "false"}, {"retrain": "True"}, {"model": "lyrics"}])
def test_an_alert_with_other_labels_concerns_nobody(labels: dict[str, str]) -> None:
    verdict = decided(alert(**labels))
    assert (verdict.model, verdict.action, verdict.code, verdict.key) == ("", "ignore", "no-model", "")


def test_matchers_of_the_configuration_take_the_place_of_the_default_ones() -> None:
    matchers = {"severity": "critical"}
    assert decided(alert(severity="critical", retrain=""), alerts=matchers).code == "accepted"
    assert decided(alert(), alerts=matchers).code == "no-model"


def test_an_event_is_decided_about_for_each_model_that_it_concerns() -> None:
    models = {"jukebox": Model(alerts={"severity": "critical"}), "lyrics": Model(alerts={"severity": "critical"})}
    first, second = decide(alert(severity="critical"), models, Past(), NOON)
    assert (first.model, second.model) == ("jukebox", "lyrics")
    assert first.key != second.key


def test_a_resolved_alert_never_starts_a_run() -> None:
    assert decided(alert(status="resolved")).code == "resolved"
    assert decided(alert(status="resolved", model="nobody")).code == "resolved"


def test_what_its_parser_ignored_starts_no_run_and_says_why() -> None:
    own = decided(replace(push(), ignored="Roadie made these commits itself"), pushes=PUSHES)
    assert (own.action, own.code, own.why) == ("ignore", "own-commit", "Roadie made these commits itself")
    ping = decided(replace(push(), status="other", ignored="ping is no push to a branch"), pushes=PUSHES)
    assert (ping.action, ping.code, ping.why) == ("ignore", "other", "ping is no push to a branch")


def test_a_subject_is_decided_about_once() -> None:
    past = Past(keys=(key_of("jukebox", push().subject),))
    verdict = decided(push(), past, pushes=PUSHES)
    assert (verdict.action, verdict.code) == ("ignore", "duplicate")


def test_a_model_cools_down_from_when_its_last_intent_was_accepted() -> None:
    past = Past(History(accepted=NOON - timedelta(minutes=29, seconds=59)))
    held = decided(alert(), past, cool_down=timedelta(minutes=30))
    assert (held.action, held.code) == ("hold", "cool-down")
    assert "2026-01-31T11:30:01Z" in held.why
    past = Past(History(accepted=NOON - timedelta(minutes=30)))
    assert decided(alert(), past, cool_down=timedelta(minutes=30)).code == "accepted"


def test_a_clock_that_was_set_back_does_not_hold_back_a_model_without_a_cool_down() -> None:
    assert decided(alert(), Past(History(accepted=NOON + timedelta(hours=1)))).code == "accepted"


@pytest.mark.parametrize(
    ("when_active", "action", "code"),
    [("skip", "hold", "active"), ("queue", "start", "accepted"), ("supersede", "start", "accepted")],
)
def test_what_happens_while_runs_are_active_is_configured(when_active: str, action: str, code: str) -> None:
    verdict = decided(alert(), Past(History(active=2)), max_active=2, when_active=when_active)
    assert (verdict.action, verdict.code) == (action, code)
    assert "2 runs of jukebox are under way" in verdict.why
    assert decided(alert(), Past(History(active=1)), max_active=2, when_active=when_active).code == "accepted"


@pytest.mark.parametrize(("active", "count"), [(0, 0), (1, 0), (2, 1), (5, 4)])
def test_as_many_are_superseded_as_make_room_for_one(active: int, count: int) -> None:
    assert superseded(2, active) == count


@pytest.mark.parametrize(
    ("branch", "paths", "concerns"),
    [
        ("main", ("train.py",), True),
        ("release/1.2", ("train.py",), True),
        ("feature/main", ("train.py",), False),
        ("main", ("docs/index.md",), False),
        ("main", ("docs/index.md", "data/charts/2026.csv"), True),
        ("main", (), False),
        ("main", None, True),
    ],
)
def test_a_push_is_matched_by_branch_and_paths(branch: str, paths: object, concerns: bool) -> None:
    models = {"jukebox": Model(pushes=PUSHES)}
    assert bool(concerned(push(branch=branch, paths=paths), models)) is concerns


def test_a_push_without_patterns_of_paths_is_matched_whatever_it_changes() -> None:
    anything = (Push(repository="https://git.example.com/team/model"),)
    assert concerned(push(paths=()), {"jukebox": Model(pushes=anything)}) == ("jukebox",)


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.com/team/model",
        "https://git.example.com/team/model.git",
        "https://ada:secret@GIT.example.COM/team/model.git/",
        "https://git.example.com:443/team/model",
        "ssh://git@git.example.com:2222/team/model.git",
        "git@git.example.com:team/model.git",
        "git.example.com/team/model",
    ],
)
def test_addresses_of_one_repository_are_the_same(address: str) -> None:
    assert normalise(address) == "git.example.com/team/model"


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.com/team/Model",
        "https://git.example.com:8443/team/model",
        "https://git.example.org/team/model",
    ],
)
def test_addresses_of_other_repositories_are_not(address: str) -> None:
    assert normalise(address) != "git.example.com/team/model"


@pytest.mark.parametrize("address", ["", "://", "https://[", "https://host:port/x", "a@b@c:d", "\x00"])
def test_an_address_that_is_none_does_no_harm(address: str) -> None:
    assert normalise(address) != "git.example.com/team/model"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"model": "unknown"}, "its label model is 'unknown', and there are jukebox, wine"),
        ({"retrain": ""}, "its label retrain is '', and there are true"),
    ],
)
def test_an_alert_that_nobody_waits_for_is_told_what_is_wrong_with_its_labels(
    labels: dict[str, str], said: str
) -> None:
    (verdict,) = decide(alert(**labels), {"wine": Model(), "jukebox": Model()}, Past(), NOON)
    assert (verdict.code, verdict.why) == ("no-model", f"no model waits for such an alert: {said}")


def test_an_alert_without_the_label_is_told_that_it_is_missing() -> None:
    bare = replace(alert(), labels={"alertname": "AccuracyLow", "model": "jukebox"})
    assert 'its label retrain is missing, and retrain="true" is waited for' in decided(bare).why


def test_a_clock_that_was_set_back_does_not_hold_back_for_longer_than_the_cool_down() -> None:
    ahead = Past(History(accepted=NOON + timedelta(days=100)))
    assert decided(alert(), ahead, cool_down=timedelta(hours=1)).code == "accepted"
    soon = decided(alert(), Past(History(accepted=NOON + timedelta(minutes=5))), cool_down=timedelta(hours=1))
    assert (soon.code, soon.why.endswith("less than 1h ago")) == ("cool-down", True)


def test_a_push_off_the_branch_of_the_pipeline_is_ignored_and_may_come_to_that_branch_later() -> None:
    model = {
        "pushes": [{"repository": REPOSITORY, "branches": ["*"]}],
        "from_git": {"repository": REPOSITORY, "branch": "main"},
    }
    verdict = decided(push(branch="topic"), **model)
    assert (verdict.action, verdict.code) == ("ignore", "other-branch")
    assert decided(push(branch="main"), **model).code == "accepted"
    elsewhere = {**model, "from_git": {"repository": "https://git.example.com/team/other"}}
    assert decided(push(branch="topic"), **elsewhere).code == "accepted"


def test_an_alert_about_the_alerting_is_ignored_with_the_reason() -> None:
    about = decided(replace(alert(), ignored="it says that there was nothing to measure"))
    assert (about.action, about.code, about.why) == ("ignore", "never", "it says that there was nothing to measure")
