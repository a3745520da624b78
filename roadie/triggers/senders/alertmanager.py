"""Alerts as events: Alertmanager's webhook (payload version 4) and API (version 2), and Grafana's webhook (version 1).

All of them tell the same alerts in the same fields. What tells alerts apart is their fingerprint and when they began.
The webhook writes that time with more digits than the API, so it is cut to milliseconds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.senders.reading import clean, count, line, mapping, moment, objects, optional_text, text, texts

SOURCE = "alertmanager"
# prometheus.io/docs/alerting/latest/configuration, webhook_config; grafana.com/docs, "Webhook notifier"
VERSIONS = ("4", "1")
# Labels of one alert, as many as are kept and matched.
MOST_LABELS, MOST_LETTERS = 64, 64 << 10
# Grafana fires these itself, with all labels of the rule whose query had no data or failed.
_ABOUT_ALERTING = ("DatasourceNoData", "DatasourceError")
# Where a rule maps "no data" or "error" to firing, the alert keeps its own name, and this says so.
_STATE_REASON = "grafana_state_reason"
_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Where people write what an alert means, best first.
_ANNOTATIONS = ("summary", "message", "description")
_LONGEST_NAME, _LONGEST_ADDRESS = 300, 2048


@dataclass(frozen=True)
class Message:
    """One delivery: its alerts, and how many more there were that Alertmanager left out (max_alerts)."""

    events: tuple[Event, ...]
    truncated: int


def parse(payload: Mapping[str, Any], never: Sequence[str] = ()) -> Message:
    """The alerts of a webhook's payload, each by its own status: a firing group may hold resolved ones.

    Args:
        payload: The message.
        never: Patterns of names of alerts that start nothing.

    Raises:
        TriggerError: the payload is of another version, or an alert lacks what it is told apart by.
    """
    if payload.get("version") not in VERSIONS:
        raise TriggerError("the payload is not of version 4 (Alertmanager) or 1 (Grafana), which are understood")
    alerts = tuple(_event(alert, text(alert, "status"), never) for alert in objects(payload, "alerts"))
    return Message(alerts, count(payload, "truncatedAlerts"))


def from_api(alerts: Sequence[Mapping[str, Any]], never: Sequence[str] = ()) -> tuple[Event, ...]:
    """What fires, of the answer to GET /api/v2/alerts; without what is silenced, inhibited or not looked at yet."""
    firing = (alert for alert in alerts if mapping(alert, "status").get("state") == "active")
    return tuple(_event(alert, "firing", never) for alert in firing)


def _event(alert: Mapping[str, Any], status: str, never: Sequence[str]) -> Event:
    if status not in ("firing", "resolved"):
        raise TriggerError("an alert's status is neither firing nor resolved; send the payload as it is documented")
    fingerprint = text(alert, "fingerprint")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise TriggerError("an alert's fingerprint is not one; send the payload as it is documented")
    labels, ignored = _labels(alert)
    ignored = ignored or _about_alerting(alert, labels, never)
    began = moment(text(alert, "startsAt"), "startsAt")
    return Event(
        source=SOURCE,
        kind="alert",
        identity=f"{SOURCE}/{fingerprint}@{began}/{status}",
        subject=f"{fingerprint}@{began}",
        status=status,
        summary=_summary(alert, labels, status),
        happened=began,
        names={
            "alertname": clean(labels.get("alertname", ""), _LONGEST_NAME),
            "fingerprint": fingerprint,
            "starts_at": began,
            "generator_url": _address(optional_text(alert, "generatorURL")),
        },
        labels=labels,
        ignored=ignored,
    )


def _labels(alert: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """The labels, as many as are kept; and why the alert starts nothing, where those are not all."""
    labels = texts(alert, "labels")
    kept: dict[str, str] = {}
    letters = 0
    for name, value in labels.items():
        letters += len(name.encode()) + len(value.encode())
        if letters > MOST_LETTERS or len(kept) == MOST_LABELS:
            why = f"it has more than {MOST_LABELS} labels, or more than {MOST_LETTERS >> 10} KiB of them"
            return kept, f"{why}; aggregate them away in its rule"
        kept[name] = value
    return kept, ""


def _about_alerting(alert: Mapping[str, Any], labels: Mapping[str, str], never: Sequence[str]) -> str:
    """Why the alert starts nothing whatever its labels say; empty for one that may."""
    name = labels.get("alertname", "")
    if any(fnmatchcase(name, pattern) for pattern in never):
        return "triggers.yaml says that an alert of this name starts nothing"
    reason = optional_text(alert.get("annotations"), _STATE_REASON) or labels.get(_STATE_REASON, "")
    if name in _ABOUT_ALERTING or "NoData" in reason or "Error" in reason:
        return "it says that there was nothing to measure, and nothing about the model"
    return ""


def _summary(alert: Mapping[str, Any], labels: Mapping[str, str], status: str) -> str:
    said = [optional_text(alert.get("annotations"), name) for name in _ANNOTATIONS]
    name = labels.get("alertname") or "an alert without a name"
    happened = "fires" if status == "firing" else "is resolved"
    return line(f"{name} {happened}" + next((f": {words}" for words in said if words), ""))


def _address(url: str) -> str:
    """The address of the rule's graph, where it is one that people can open."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    fit = parts.scheme in ("http", "https") and parts.netloc and url.isprintable() and " " not in url
    return url if fit and len(url) <= _LONGEST_ADDRESS else ""
