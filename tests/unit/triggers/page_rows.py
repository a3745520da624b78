"""What a journal and a GitOps repository might tell, for the tests of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from roadie.gitops import Deployment
from roadie.triggers.config import Config
from roadie.triggers.journal.rows import Decided, Details, Entry, RunRow

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
REPOSITORY = "https://git.example.com/music/mlops-gitops.git"
IMAGE = f"registry.example.com:5000/music/jukebox@sha256:{'5e' * 32}"
VERSION = "0123456789-89abcdef0123"
LABELS = {"alertname": "JukeboxDrift", "model": "jukebox", "retrain": "true"}
ARGUMENTS = {"charts": "s3://charts/", "seed": 7, "gate": {"metric": "log_loss"}, "note": ""}
HOOK = {"secret": {"env": "SECRET"}}
CONFIG = Config.model_validate(
    {
        "hooks": {"alertmanager": HOOK, "github": HOOK},
        "gitops": {"repository": REPOSITORY},
        "models": {"jukebox": {}, "karaoke-of-the-nineties": {}},
    }
)


def run(key: str = "c0ffee000001", **changes: Any) -> RunRow:
    """A run of jukebox that succeeded; its version was promoted, and is in test."""
    row = RunRow(
        key=key,
        model="jukebox",
        reason="alert",
        name=f"jukebox-alert-20260314T042653Z-{key}",
        state="succeeded",
        created=NOW - timedelta(hours=5),
        started=NOW - timedelta(hours=5) + timedelta(seconds=4),
        ended=NOW - timedelta(hours=5) + timedelta(seconds=316),
        run_id="6a1c",
        url="https://kfp.example.com/#/runs/details/6a1c",
        error="",
        decision="promote",
        decision_reason="log loss is better by 0.0866",
        version=VERSION,
        image=IMAGE,
        commits=("a" * 40, "b" * 40),
    )
    return replace(row, **changes)


def waiting(key: str = "c0ffee000002", **changes: Any) -> RunRow:
    """A run that is not started yet."""
    empty: dict[str, Any] = {"url": "", "decision": "", "decision_reason": "", "version": "", "image": ""}
    return run(
        key, **{"state": "waiting", "started": None, "ended": None, "run_id": "", "commits": (), **empty, **changes}
    )


def accepted(row: RunRow) -> Decided:
    """The verdict that led to a run."""
    return Decided(row.model, "start", "accepted", f"a run of {row.model} is started for it", row.key, row)


def held(model: str = "jukebox", code: str = "cool-down", why: str = "the last run was accepted at noon") -> Decided:
    """A verdict that held a run back."""
    return Decided(model, "hold", code, why, "dead00000000", None)


def alert(number: int = 1, *verdicts: Decided, **changes: Any) -> Entry:
    """An alert, received `number` hours ago."""
    received = NOW - timedelta(hours=number)
    entry = Entry(
        id=1000 - number,
        received=received,
        last_seen=received,
        seen=1,
        source="alertmanager",
        kind="alert",
        status="firing",
        summary="JukeboxDrift fires: energy has drifted",
        happened="2026-03-14T08:26:00.000Z",
        names={"alertname": "JukeboxDrift", "generator_url": "https://prometheus.example.com/graph?g0.expr=drift"},
        told=(),
        verdicts=verdicts,
    )
    return replace(entry, **changes)


def push(number: int = 2, *verdicts: Decided, **changes: Any) -> Entry:
    """A push to GitHub, received `number` hours ago."""
    names = {"repository": "https://github.com/music/trainer.git", "branch": "main", "sha": "f" * 40, "pusher": "ada"}
    summary = "ada pushed ffffffffff to main of github.com/music/trainer: Scale the tempo"
    return alert(
        number,
        *verdicts,
        **{"source": "github", "kind": "push", "status": "pushed", "summary": summary, "names": names, **changes},
    )


def deployment(environment: str = "test", version: str = VERSION, **changes: Any) -> Deployment:
    """What an environment holds of jukebox, since four hours ago."""
    since = int((NOW - timedelta(hours=4)).timestamp())
    digest = IMAGE.rpartition("@")[2]
    row = Deployment(environment, "jukebox", version, digest, "a" * 40, since, "Bump jukebox", {})
    return replace(row, **changes)


@dataclass(frozen=True)
class Known:
    """What is known to be deployed."""

    rows: Sequence[Deployment] = (deployment(), deployment("stage", "fedcba9876-fedcba987654"))
    at: datetime | None = NOW - timedelta(seconds=40)
    error: str = ""


@dataclass(frozen=True)
class Told:
    """A journal that tells what it was given, newest first."""

    entries: Sequence[Entry] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    arguments: Mapping[str, Any] = field(default_factory=lambda: ARGUMENTS)

    def timeline(self, limit: int, before: int | None = None, model: str = "") -> list[Entry]:
        """The newest entries."""
        found = [entry for entry in self.entries if before is None or entry.id < before]
        return [entry for entry in found if not model or model in (each.model for each in entry.verdicts)][:limit]

    def runs(self, model: str = "", limit: int = 20) -> list[RunRow]:
        """The newest runs."""
        rows = [each.run for entry in self.entries for each in entry.verdicts if each.run]
        return [row for row in rows if model in ("", row.model)][:limit]

    def details(self, key: str) -> Details | None:
        """Of every run the same."""
        return Details(self.labels, self.arguments)

    def entry_of(self, key: str) -> Entry | None:
        """The event of a run."""
        return next((entry for entry in self.entries if key in (each.key for each in entry.verdicts)), None)


def full() -> Told:
    """A journal with all that can be in one."""
    model = "karaoke-of-the-nineties"
    why = "the cluster does not answer; it is asked again in 40 s"
    stuck = waiting(model=model, name=f"{model}-push-{'9' * 40}", error=why)
    going = run("c0ffee000003", state="running", ended=None, decision="", version="", image="", commits=())
    broken = run("c0ffee000004", state="failed", error="the step train failed: no column tempo", decision="")
    ignored = Decided("", "ignore", "no-model", "no model waits for such an alert", "", None)
    return Told(
        (
            alert(0, accepted(stuck), held()),
            alert(1, accepted(going), seen=7, last_seen=NOW - timedelta(seconds=12)),
            alert(2, ignored, status="resolved", summary=f"Drift is resolved: {'long' * 90}"),
            push(5, accepted(run())),
            push(30, accepted(broken)),
            push(31, held(code="few-new-rows", why="the charts have 212 rows more, and 1,000 are asked for")),
            push(32, accepted(run("c0ffee000005", state="canceled", decision="", image="", commits=()))),
        )
    )
