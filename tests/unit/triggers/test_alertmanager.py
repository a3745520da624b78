"""Alertmanager's payloads as events, told apart by fingerprint and start."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie.errors import TriggerError
from roadie.triggers.senders import alertmanager
from roadie.triggers.senders.reading import decode

PAYLOADS = Path(__file__).with_name("payloads")
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))  # what a real Alertmanager 0.25 posted


def alert(**changes: Any) -> dict[str, Any]:
    labels = {"alertname": "SongDrift", "model": "jukebox", "retrain": "true", "severity": "warning"}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"description": "a long story", "summary": "danceability has drifted"},
        "startsAt": "2026-03-01T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=drift",
        "fingerprint": "ea5397d6f422e4cf",
        **changes,
    }


def payload(*alerts: Any, **changes: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "truncatedAlerts": 0, "alerts": list(alerts), **changes}


def test_an_alert_keeps_what_templates_and_people_need() -> None:
    (event,) = alertmanager.parse(payload(alert())).events
    assert (event.source, event.kind, event.status) == ("alertmanager", "alert", "firing")
    assert event.subject == "ea5397d6f422e4cf@2026-03-01T10:00:00.123Z"
    assert event.happened == "2026-03-01T10:00:00.123Z"
    assert event.summary == "SongDrift fires: danceability has drifted"
    assert event.labels["severity"] == "warning"
    assert event.names == {
        "alertname": "SongDrift",
        "fingerprint": "ea5397d6f422e4cf",
        "starts_at": "2026-03-01T10:00:00.123Z",
        "generator_url": "http://prometheus.example:9090/graph?g0.expr=drift",
    }


def test_each_alert_of_a_group_has_its_own_status() -> None:
    resolved = alert(status="resolved", fingerprint="e795a2213eedffae", endsAt="2026-03-01T10:05:00Z")
    events = alertmanager.parse(payload(alert(), resolved)).events
    assert [event.status for event in events] == ["firing", "resolved"]
    assert events[1].summary == "SongDrift is resolved: danceability has drifted"


def test_the_same_alert_sent_again_is_the_same_event_and_its_end_is_another_of_the_same_subject() -> None:
    first, again, end, anew = alertmanager.parse(
        payload(
            alert(),
            alert(annotations={}, endsAt="2026-03-01T10:09:00Z"),
            alert(status="resolved"),
            alert(startsAt="2026-03-01T11:00:00.5Z"),
        )
    ).events
    assert first.identity == again.identity
    assert first.identity != end.identity
    assert first.subject == end.subject
    assert first.subject != anew.subject


@pytest.mark.parametrize(
    ("given", "cut"),
    [
        ("2026-03-01T10:00:00.1239Z", "2026-03-01T10:00:00.123Z"),
        ("2026-03-01T10:00:00.123999999Z", "2026-03-01T10:00:00.123Z"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00.000Z"),
        ("2026-03-01T12:00:00.123+02:00", "2026-03-01T10:00:00.123Z"),
        ("2026-02-28T23:30:00.0-10:30", "2026-03-01T10:00:00.000Z"),
    ],
)
def test_times_are_cut_to_milliseconds_of_utc(given: str, cut: str) -> None:
    (event,) = alertmanager.parse(payload(alert(startsAt=given))).events
    assert event.happened == cut


def test_the_api_tells_the_same_alerts_by_the_same_identity() -> None:
    (told,) = alertmanager.parse(payload(alert())).events
    listed = alert(startsAt="2026-03-01T10:00:00.123Z", status={"state": "active", "silencedBy": [], "inhibitedBy": []})
    (read,) = alertmanager.from_api([listed])
    assert (read.identity, read.subject, read.names, read.labels) == (
        told.identity,
        told.subject,
        told.names,
        told.labels,
    )


def test_what_is_silenced_or_inhibited_does_not_count_as_firing() -> None:
    assert alertmanager.from_api([alert(status={"state": state}) for state in ("suppressed", "unprocessed")]) == ()


def test_alerts_that_were_left_out_are_counted() -> None:
    assert alertmanager.parse(payload(alert(), truncatedAlerts=7)).truncated == 7
    assert alertmanager.parse({"version": "4", "alerts": []}).truncated == 0


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"alerts": []}, "version 4"),
        ({"version": "3", "alerts": []}, "version 4"),
        ({"version": 4, "alerts": []}, "version 4"),
        (payload("text"), "alerts"),
        ({"version": "4", "alerts": {}}, "alerts"),
        (payload(alert(status="pending")), "status"),
        (payload(alert(status=None)), "status"),
        (payload(alert(labels=[])), "labels"),
        (payload(alert(labels={"model": 3})), "labels"),
        (payload(alert(fingerprint="")), "fingerprint"),
        (payload(alert(fingerprint="../../etc")), "fingerprint"),
        (payload(alert(startsAt="yesterday")), "startsAt"),
        (payload(alert(startsAt="0001-01-01T00:00:00+14:00")), "startsAt"),
        (payload(alert(startsAt="0001-01-01T00:00:00Z")), "startsAt"),
        (payload(alert(), alert(startsAt=17)), "startsAt"),
    ],
)
def test_a_payload_that_is_not_as_documented_is_refused_by_the_field_s_name(broken: Any, complaint: str) -> None:
    with pytest.raises(TriggerError, match=complaint):
        alertmanager.parse(broken)


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1}x', b"[]", b'"text"', b"null", b"\xff\xfe{", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(TriggerError, match="JSON"):
        decode(body)


def test_numbers_without_end_are_refused() -> None:
    with pytest.raises(TriggerError, match="JSON"):
        decode(b'{"a": ' + b"9" * 10_000 + b"}")


def test_nothing_of_what_strangers_wrote_breaks_a_line_or_a_file() -> None:
    labels = {"alertname": "a\nb\x00\x1b[31mc", "model": "half a letter: \ud800", "long": "x" * 100_000}
    sent = json.dumps(payload(alert(labels=labels, annotations={"summary": "first\r\nsecond"})))
    (event,) = alertmanager.parse(decode(sent.encode())).events
    assert event.summary.isprintable()
    assert len(event.summary) <= 300
    assert all(value.encode() for value in event.labels.values())
    assert len(event.labels["long"]) == 4096


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://", "http://[", "https://a b/", "http://x/\n", "ftp://x/", 7]
)
def test_an_address_that_people_cannot_open_is_left_out(url: Any) -> None:
    (event,) = alertmanager.parse(payload(alert(generatorURL=url))).events
    assert event.names["generator_url"] == ""


def test_an_alert_needs_no_name_and_no_annotation() -> None:
    bare = alert(labels={})
    del bare["annotations"], bare["generatorURL"]
    (event,) = alertmanager.parse(payload(bare)).events
    assert event.summary == "an alert without a name fires"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["alerts", "truncatedAlerts"]), st.sampled_from(sorted(alert())), JSON)
def test_whatever_a_field_is_the_payload_is_understood_or_refused(outer: str, inner: str, value: Any) -> None:
    for document in (payload(alert(), **{outer: value}), payload(alert(**{inner: value}))):
        try:
            alertmanager.parse(document)
        except TriggerError as error:
            assert str(error).isprintable()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_payloads_are_understood(path: Path) -> None:
    document = decode(path.read_bytes())
    message = alertmanager.parse(document)
    assert [event.status for event in message.events] == [each["status"] for each in document["alerts"]]
    assert message.truncated == document["truncatedAlerts"]
    assert all(event.labels["model"] == "jukebox" for event in message.events)


# Grafana, and alerts about the alerting


def sent_by_grafana(name: str = "grafana", **labels: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    document["alerts"][0]["labels"] |= labels
    return document


def test_grafana_s_own_webhook_tells_the_same_alert_as_alertmanager_s() -> None:
    (event,) = alertmanager.parse(sent_by_grafana()).events
    assert (event.status, event.ignored) == ("firing", "")
    assert event.subject == "57c6d9296de2ad39@2026-11-24T12:12:07.926Z"
    assert event.labels["model"] == "jukebox"


@pytest.mark.parametrize("name", ["DatasourceNoData", "DatasourceError"])
def test_an_alert_about_the_alerting_never_starts_anything(name: str) -> None:
    (event,) = alertmanager.parse(sent_by_grafana("grafana-no-data", alertname=name)).events
    assert "nothing to measure" in event.ignored
    (listed,) = alertmanager.from_api([{**alert(), "labels": event.labels, "status": {"state": "active"}}])
    assert listed.ignored == event.ignored


@pytest.mark.parametrize("reason", ["NoData", "Error", "NoData, KeepLast"])
def test_a_rule_that_maps_no_data_to_firing_starts_nothing_either(reason: str) -> None:
    mapped = alert(annotations={"grafana_state_reason": reason})
    assert alertmanager.parse(payload(mapped, version="1")).events[0].ignored


def test_teams_name_further_alerts_that_start_nothing() -> None:
    never = ("Watchdog", "*NotMeasured")
    sent = [alert(labels={"alertname": name}) for name in ("Watchdog", "DriftNotMeasured", "Drift")]
    ignored = [bool(event.ignored) for event in alertmanager.parse(payload(*sent), never).events]
    assert ignored == [True, True, False]


# Limits


@pytest.mark.parametrize(
    "labels",
    [
        {f"label_{number}": "x" for number in range(65)},
        {f"label_{number}": "x" * 4096 for number in range(17)},
        {f"{number:04096}": "" for number in range(17)},
        {f"label_{number}": "é" * 4000 for number in range(9)},
    ],
    ids=["many", "long values", "long names", "letters of two bytes"],
)
def test_an_alert_with_too_many_labels_is_kept_without_them_and_starts_nothing(labels: dict[str, str]) -> None:
    (event,) = alertmanager.parse(payload(alert(labels={"model": "jukebox", "retrain": "true", **labels}))).events
    assert "more than 64 labels, or more than 64 KiB of them" in event.ignored
    assert len(event.labels) <= 64
    assert sum(len(name.encode()) + len(value.encode()) for name, value in event.labels.items()) <= 64 << 10


def test_an_alert_with_64_labels_is_taken_as_it_is() -> None:
    (event,) = alertmanager.parse(payload(alert(labels={f"label_{number}": "x" for number in range(64)}))).events
    assert (len(event.labels), event.ignored) == (64, "")


@pytest.mark.parametrize("number", [10**9, 10**400])
def test_more_alerts_than_there_can_be_were_never_left_out(number: int) -> None:
    with pytest.raises(TriggerError, match="truncatedAlerts"):
        alertmanager.parse(payload(alert(), truncatedAlerts=number))


def test_a_body_of_very_many_values_is_refused_before_it_takes_memory() -> None:
    with pytest.raises(TriggerError, match="more than 250,000 values"):
        decode(b'{"version": "4", "alerts": [' + b"{}," * 600_000 + b"{}]}")
