"""What is said about a run that ended: as JSON for programs, as text for people. What events say is not trusted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from roadie import trace
from roadie.triggers.journal.rows import Entry, RunRow
from roadie.triggers.times import stamp

_SAID = {"canceled": "was canceled"}


def as_json(run: RunRow, entry: Entry, labels: Mapping[str, str]) -> Mapping[str, Any]:
    """Everything about the run and the event that it was started for."""
    return {
        "model": run.model,
        "run": run.name,
        "key": run.key,
        "state": run.state,
        "reason": run.reason,
        "run_id": run.run_id,
        "url": run.url,
        "decision": run.decision,
        "decision_reason": run.decision_reason,
        "version": run.version,
        "image": run.image,
        "commits": list(run.commits),
        "error": run.error,
        "accepted": _time(run.created),
        "started": _time(run.started),
        "ended": _time(run.ended),
        "event": {
            "source": entry.source,
            "kind": entry.kind,
            "summary": entry.summary,
            "happened": entry.happened,
            "names": dict(entry.names),
            "labels": dict(labels),
        },
    }


def as_slack(run: RunRow, entry: Entry) -> Mapping[str, Any]:
    """A message of Slack's incoming webhooks: a headline and what is known, a line each."""
    facts = {
        "decision": f"{run.decision}: {run.decision_reason}".strip(": "),
        "version": run.version,
        "image": run.image,
        "commits": ", ".join(commit[:10] for commit in run.commits),
        "error": run.error,
        "run": run.name,
        "because": entry.summary,
    }
    lines = [f"*{trace.plain(run.model)}*: the run {_SAID.get(run.state, run.state)}"]
    lines += [f"{name}: {trace.plain(value)}" for name, value in facts.items() if value]
    links = {"run": run.url, "alert": entry.names.get("generator_url", "")}
    lines += [said for name, url in links.items() if (said := trace.link(url, name))]
    return {"text": "\n".join(lines)}


def _time(time: datetime | None) -> str:
    return stamp(time) if time else ""
