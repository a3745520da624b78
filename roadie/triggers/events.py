"""What a sender told us, in the one form that the journal keeps and the rules read."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """One alert or one push.

    Attributes:
        source: Who sent it: alertmanager, github, gitlab or gitea.
        kind: ``alert`` or ``push``.
        identity: Two events with the same identity are one event that was sent twice. It outlives restarts of every
            sender: fingerprint, status and startsAt of an alert; delivery id, or repository, branch and sha of a push.
        subject: What a run is started for at most once a model: ``<fingerprint>@<startsAt>`` or ``<repository>@<sha>``.
        status: ``firing`` or ``resolved``, ``pushed``, or ``other`` for what can never start a run.
        summary: One line for people.
        happened: When it began, ISO 8601 in UTC with milliseconds.
        names: What templates may use, by the fixed names of :data:`roadie.triggers.config.NAMES`.
        labels: The alert's labels; empty for a push.
        paths: The files that a push changed; None where the payload does not list them all.
        ignored: Why it can never start a run, told by its parser (a ping, a deleted branch, Roadie's own commits).
    """

    source: str
    kind: str
    identity: str
    subject: str
    status: str
    summary: str
    happened: str
    names: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] | None = ()
    ignored: str = ""
