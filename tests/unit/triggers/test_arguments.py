from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.rules.arguments import Order, order, trigger
from roadie.triggers.rules.deciding import key_of
from tests.unit.triggers.world import alert, push, targets


def ordered(event: Event, **model: Any) -> Order:
    return order(targets(**model)["jukebox"], event)


def test_the_runs_name_tells_what_happened_and_when_and_nothing_of_when_it_was_told() -> None:
    key = key_of("jukebox", alert().subject)
    assert ordered(alert()).name == f"jukebox-alert-20260131T115900Z-{key}"
    again = replace(push(), happened="2026-06-01T00:00:00.000Z")
    assert ordered(push()).name == ordered(again).name == f"jukebox-push-c0ffee0000-{key_of('jukebox', push().subject)}"


def test_what_started_the_run_and_the_model_are_told_to_a_pipeline_that_asks() -> None:
    assert ordered(alert()).arguments == {
        "trigger": "alert Drift a1b2@2026-01-31T11:59:00.000Z",
        "model_name": "jukebox",
    }
    assert ordered(push()).arguments["trigger"] == f"push git.example.com/team/model@c0ffee{'0' * 34}"


def test_what_the_configuration_sets_is_left_alone() -> None:
    given = {"trigger": "cron", "model_name": "lyrics", "seed": 7}
    assert ordered(alert(), parameters=given).arguments == given


def test_a_pipeline_without_such_parameters_gets_none() -> None:
    target = replace(targets()["jukebox"], parameters=frozenset({"charts"}))
    assert order(target, alert()).arguments == {}


def test_templates_are_filled_also_deep_inside() -> None:
    parameters = {"charts": "s3://charts/{labels.region}/{model}", "gate": {"note": ["{reason} {key}"], "margin": 0.1}}
    filled = ordered(alert(region="eu"), parameters=parameters).arguments
    assert filled["charts"] == "s3://charts/eu/jukebox"
    assert filled["gate"] == {"note": [f"alert {key_of('jukebox', alert().subject)}"], "margin": 0.1}


def test_a_name_that_the_event_does_not_have_is_empty() -> None:
    assert ordered(push(), parameters={"charts": "x{alertname}{labels.region}"}).arguments["charts"] == "x"


def test_what_a_label_says_is_not_taken_for_a_template() -> None:
    model = {"parameters": {"charts": "{labels.region}"}, "values": {"labels.region": ".*"}}
    filled = ordered(alert(region="{labels.secret}", secret="s"), **model)
    assert filled.arguments["charts"] == "{labels.secret}"


def test_the_window_ends_when_the_alert_began() -> None:
    parameters = {"charts": "s3://charts?from={window_start}&to={window_end}"}
    filled = ordered(alert(), parameters=parameters, window=timedelta(days=30)).arguments["charts"]
    assert filled == "s3://charts?from=2026-01-01T11:59:00Z&to=2026-01-31T11:59:00Z"


def test_a_window_that_reaches_beyond_all_time_is_refused() -> None:
    with pytest.raises(TriggerError, match="the window before"):
        ordered(alert(), parameters={"charts": "{window_start}"}, window=timedelta(days=900_000))


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("x" * 501, "longer than 500"),
        ("a\nb", "line breaks"),
        ("a\x00b", "control characters"),
        ("a\u2028b", "line breaks"),
        ("\x1b[31m", "control characters"),
        ("..", "a folder"),
        ("../../other-bucket", "a folder"),
        ("a/../../b", "a folder"),
        ("a\\..\\b", "a folder"),
        ("%2e%2e/x", "a folder"),
        ("%252E%252e%252fx", "a folder"),
        ("attacker.test/", "not of the form"),
        ("a:b", "not of the form"),
        ("a@b", "not of the form"),
        ("a b", "not of the form"),
        ("a?b", "not of the form"),
        ("é", "not of the form"),
        ("x" * 64, "not of the form"),
    ],
)
def test_a_label_that_is_not_fit_for_a_parameter_is_refused_by_its_name(value: str, wrong: str) -> None:
    with pytest.raises(TriggerError, match=wrong) as caught:
        ordered(alert(region=value), parameters={"charts": "s3://charts/{labels.region}"})
    assert "labels.region of the event" in str(caught.value)
    assert value not in str(caught.value) or value == ".."


def test_a_label_that_no_parameter_asks_for_may_say_anything() -> None:
    assert ordered(alert(region="a\nb" * 500)).arguments["model_name"] == "jukebox"


def test_dots_in_a_name_are_no_folder() -> None:
    filled = ordered(alert(region="v1..v2"), parameters={"charts": "{labels.region}"})
    assert filled.arguments["charts"] == "v1..v2"


def test_the_trigger_is_one_printable_line_of_at_most_200_letters() -> None:
    event = replace(alert(), names={**alert().names, "alertname": "Drift\r\nRoadie-Version: evil\x1b[2J" + "x" * 300})
    sentence = trigger(event)
    assert sentence.startswith("alert Drift Roadie-Version: evil [2J")
    assert sentence.isprintable()
    assert len(sentence) == 200


def test_the_description_carries_the_events_facts_a_line_each() -> None:
    lines = ordered(alert(region="e\nu")).description.splitlines()
    assert lines[0] == "Drift fires: the charts drift"
    assert "fingerprint: a1b2" in lines
    assert "generator_url: http://prometheus.example/graph" in lines
    assert "label region: e u" in lines
    assert f"sha: c0ffee{'0' * 34}" in ordered(push()).description.splitlines()


def test_the_description_of_an_alert_with_very_many_labels_is_cut() -> None:
    labels = {f"label_{number}": "x" * 400 for number in range(50)}
    assert len(ordered(alert(**labels)).description) <= 2000


def test_harmless_values_that_make_a_way_out_together_are_refused() -> None:
    parameters = {"charts": "s3://charts/{labels.a}{labels.b}/x", "deep": ["{labels.a}"]}
    with pytest.raises(TriggerError, match="make .. as a folder"):
        ordered(alert(a=".", b="."), parameters=parameters)
    assert ordered(alert(a="a", b="b"), parameters=parameters).arguments["charts"] == "s3://charts/ab/x"


def test_the_configuration_widens_what_a_value_may_be_but_not_to_a_way_out() -> None:
    model = {"parameters": {"charts": "s3://{labels.place}/x"}, "values": {"labels.place": r"[a-z/.]+"}}
    assert ordered(alert(place="charts/eu"), **model).arguments["charts"] == "s3://charts/eu/x"
    for value in ("charts/../secrets", "charts/EU"):
        with pytest.raises(TriggerError):
            ordered(alert(place=value), **model)


def test_a_branch_may_have_slashes_and_what_roadie_read_itself_is_used_as_it_is() -> None:
    parameters = {"charts": "{branch} {repository} {sha}", "seed": "{starts_at}{window_end}"}
    filled = ordered(push(branch="release/1.0"), parameters=parameters, window=timedelta(days=1)).arguments
    assert filled["charts"] == f"release/1.0 https://git.example.com/team/model.git c0ffee{'0' * 34}"
