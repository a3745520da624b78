"""Alertmanager's messages as events: its webhook (payload version 4) and its API (version 2) tell the same alerts.

What tells alerts apart is their fingerprint and when they began. The webhook writes that time with more digits than
the API, so it is cut to milliseconds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.senders.reading import line, mapping, moment, objects, optional_text, text, texts

SOURCE = "alertmanager"
VERSION = "4"  # prometheus.io/docs/alerting/latest/configuration, webhook_config
_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Where people write what an alert means, best first.
_ANNOTATIONS = ("summary", "message", "description")


@dataclass(frozen=True)
class Message:
    """One delivery: its alerts, and how many more there were that Alertmanager left out (max_alerts)."""

    events: tuple[Event, ...]
    truncated: int


def parse(payload: Mapping[str, Any]) -> Message:
    """The alerts of a webhook's payload, each by its own status: a firing group may hold resolved ones.

    Raises:
        TriggerError: the payload is of another version, or an alert lacks what it is told apart by.
    """
    if payload.get("version") != VERSION:
        raise TriggerError(f"the payload is not of version {VERSION}, the only one that is understood")
    truncated = payload.get("truncatedAlerts")
    return Message(
        tuple(_event(alert, text(alert, "status")) for alert in objects(payload, "alerts")),
        truncated if isinstance(truncated, int) and truncated > 0 else 0,
    )


def from_api(alerts: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    """What fires, of the answer to GET /api/v2/alerts; without what is silenced, inhibited or not looked at yet."""
    return tuple(_event(alert, "firing") for alert in alerts if mapping(alert, "status").get("state") == "active")


def _event(alert: Mapping[str, Any], status: str) -> Event:
    if status not in ("firing", "resolved"):
        raise TriggerError("an alert's status is neither firing nor resolved; send the payload as it is documented")
    fingerprint = text(alert, "fingerprint")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise TriggerError("an alert's fingerprint is not one; send the payload as it is documented")
    labels = texts(alert, "labels")
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
            "alertname": labels.get("alertname", ""),
            "fingerprint": fingerprint,
            "starts_at": began,
            "generator_url": _address(optional_text(alert, "generatorURL")),
        },
        labels=labels,
    )


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
    return url if parts.scheme in ("http", "https") and parts.netloc and url.isprintable() and " " not in url else ""
