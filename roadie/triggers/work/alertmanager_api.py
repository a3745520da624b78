"""Alertmanager's own API (version 2, github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).

Asked for what fires now, and for an expiring silence while a run mends what an alert is about.
"""

import json
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from roadie.errors import TriggerError
from roadie.http import Http, HttpError, Redirects
from roadie.triggers import secrets
from roadie.triggers.config import Alertmanager
from roadie.triggers.events import Event
from roadie.triggers.senders.alertmanager import from_api
from roadie.triggers.senders.reading import optional_text
from roadie.triggers.times import stamp, utc_now

_SECONDS = 15.0
_CREATED_BY = "roadie"


@dataclass(frozen=True)
class Silence:
    """A silence that is not over: `state` is active or pending, `ends` when it will be (ISO 8601)."""

    id: str
    state: str
    comment: str
    ends: str


class AlertmanagerApi:
    """One Alertmanager. Every method may block for seconds, and raises TriggerError when it is not answered well."""

    def __init__(self, config: Alertmanager, never: Sequence[str] = ()) -> None:
        self._never = never
        self._base, self._token = f"{config.url}/api/v2", config.token
        self._host = urlsplit(config.url).netloc
        self._http = Http(Redirects.NONE, context=_context(config))

    def alerts(self) -> tuple[Event, ...]:
        """What fires now, and is neither silenced nor inhibited; as the webhook would tell it."""
        query = "active=true&silenced=false&inhibited=false&unprocessed=false"
        return from_api(self._list(f"/alerts?{query}"), self._never)

    def silences(self) -> list[Silence]:
        """The silences that Roadie created and that are not over."""
        return [
            Silence(
                optional_text(each, "id"),
                optional_text(each.get("status"), "state"),
                optional_text(each, "comment"),
                optional_text(each, "endsAt"),
            )
            for each in self._list("/silences")
            if each.get("createdBy") == _CREATED_BY and optional_text(each.get("status"), "state") != "expired"
        ]

    def silence(
        self, labels: Mapping[str, str], duration: timedelta, key: str, why: str, *, now: datetime | None = None
    ) -> str:
        """Silence the alert with just these labels for `duration`, once for a key; the silence's id.

        Args:
            labels: All labels of the alert.
            duration: How long, from `now` on.
            key: What the silence is for. As long as one whose comment carries it lasts, no other is made.
            why: What its comment says to people.
            now: The time.
        """
        mark = f"(key {key})"
        there = next((each.id for each in self.silences() if mark in each.comment), "")
        if there:
            return there
        begin = now or utc_now()
        equal = {"isRegex": False, "isEqual": True}
        silence = {
            "matchers": [{"name": name, "value": value, **equal} for name, value in sorted(labels.items())],
            "startsAt": stamp(begin),
            "endsAt": stamp(begin + duration),
            "createdBy": _CREATED_BY,
            "comment": f"{why} {mark}",
        }
        made = self._call("/silences", silence)
        return optional_text(made, "silenceID")

    def _list(self, path: str) -> list[Mapping[str, Any]]:
        found = self._call(path)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise TriggerError(f"Alertmanager at {self._host} answered no list; check alertmanager.url")
        return found

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "roadie"}
        if self._token:
            headers["Authorization"] = f"Bearer {secrets.read(self._token)}"
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, headers)  # noqa: S310 - http or https, see config
        try:
            return json.loads(self._http.ask(request, _SECONDS).body)
        except HttpError as error:
            if error.status:
                told = f"Alertmanager at {self._host} answered {error.status}: {_remedy(error.status)}"
                raise TriggerError(told) from None
            raise TriggerError(
                f"Alertmanager at {self._host} does not answer ({error.why}); check alertmanager.url, and that it runs"
            ) from None
        except (ValueError, RecursionError):
            raise TriggerError(f"Alertmanager at {self._host} answered no JSON; check alertmanager.url") from None


def _context(config: Alertmanager) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
    except OSError as error:
        raise TriggerError(
            f"alertmanager.ca_file names {config.ca_file}, which cannot be used ({error.strerror}); give a PEM file"
        ) from None


def _remedy(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "set alertmanager.token to a token that may read alerts and create silences"
    if status == HTTPStatus.NOT_FOUND:
        return "check alertmanager.url and its path prefix"
    return "see its log"
