"""From a metric that drifts to a run: a real Prometheus, a real Alertmanager, `roadie listen`, and a pipeline that runs
here.
"""

import contextlib
import json
import shutil
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from roadie import gitops, modelcar
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.rows import Entry, RunRow
from tests.servers.alertmanager import AlertmanagerServer, serve_alertmanager, webhook
from tests.servers.git_http import git
from tests.servers.process import free_port, running
from tests.servers.prometheus import serve_prometheus

ROOT = Path(__file__).resolve().parents[2]
RULE = {
    "alert": "SongsDrift",
    # Aggregated, so that another pod or request is the same alert.
    "expr": "min by (namespace, model, subcategory) (trustyai_meanshift) < 0.05",
    "labels": {"retrain": "true", "severity": "warning"},
    "annotations": {"summary": "{{ $labels.subcategory }} is not what it was in training"},
}
RULES = {"groups": [{"name": "drift", "interval": "1s", "rules": [RULE]}]}


@dataclass
class Metric:
    """The p-value of each model's features, as TrustyAI exports it: low means drift."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    target: str = ""
    scrapes: int = 0

    def exposition(self) -> bytes:
        """Prometheus' text format; a new request label at each scrape, as TrustyAI has one for each monitor."""
        self.scrapes += 1
        lines = [
            f'trustyai_meanshift{{namespace="mlops",model="{model}",subcategory="{feature}",'
            f'request="{self.scrapes}"}} {value}'
            for (model, feature), value in self.values.items()
        ]
        return "\n".join([*lines, ""]).encode()


@pytest.fixture
def metric() -> Iterator[Metric]:
    exported = Metric()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(exported.exposition())

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        exported.target = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield exported
        server.shutdown()
        thread.join()


@dataclass
class Stage:
    """Where everything is kept, and how `roadie listen` is called."""

    folder: Path
    port: int = field(default_factory=free_port)
    alertmanager_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        (self.folder / "secret").write_text("only-for-the-tests-of-this-story\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """The folder of the runs."""
        return self.folder / "state"

    @contextlib.contextmanager
    def listening(self, models: dict[str, Any], **more: Any) -> Iterator[None]:
        """`roadie listen` until the block ends, which it has to do in order."""
        config = {
            "journal": str(self.folder / "journal.db"),
            "listen": {"port": self.port},
            "hooks": {"alertmanager": {"secret": {"file": str(self.folder / "secret")}}},
            "alertmanager": {"url": f"http://127.0.0.1:{self.alertmanager_port}"},
            "runs": {"state": str(self.state), "seconds_between_looks": 0.5},
            "models": models,
            **more,
        }
        path = self.folder / "triggers.yaml"
        path.write_text(json.dumps(config))  # JSON is YAML
        command = [sys.executable, "-m", "roadie", "listen", "--config", str(path)]
        with running(command, self.port, self.folder / "roadie.log") as process:
            yield
        assert process.returncode == 0, (self.folder / "roadie.log").read_text()

    def alertmanager(self) -> contextlib.AbstractContextManager[AlertmanagerServer]:
        """An Alertmanager that tells the receiver everything, over and over."""
        told = webhook(f"{self.url}/hooks/alertmanager", self.folder / "secret")
        return serve_alertmanager(self.folder / "alertmanager", told, port=self.alertmanager_port)

    def get(self, path: str) -> str:
        """A page, or what else the receiver answers."""
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return str(answer.read().decode())

    def events(self) -> list[Entry]:
        """The journal, newest first, as another process reads it."""
        return Journal(self.folder / "journal.db").timeline(1000)

    def firing(self) -> dict[str, Entry]:
        """The alerts that fired, by their fingerprint and start."""
        return {f"{e.names['fingerprint']}@{e.happened}": e for e in self.events() if e.status == "firing"}

    def runs(self) -> list[RunRow]:
        """The runs in the journal, newest first."""
        return Journal(self.folder / "journal.db").runs(limit=1000)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def wait_for(true: Callable[[], Any], what: str, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds:.0f} s"
        time.sleep(0.1)


def test_a_metric_that_drifts_starts_one_run_that_trains_and_deploys(stage: Stage, metric: Metric) -> None:
    repository = stage.state / "gitops.git"
    gitops.create_bare(ROOT / "examples" / "mlops-gitops", repository)
    model = {"pipeline": str(ROOT / "compiled" / "pipelines" / "training.yaml"), "parameters": {"seed": 7}}
    metric.values = {("jukebox", "danceability"): 0.6}
    with (
        stage.listening({"jukebox": model}, gitops={"repository": str(repository)}),
        stage.alertmanager() as alertmanager,
        serve_prometheus(stage.folder / "prometheus", RULES, target=metric.target, alertmanager=alertmanager.host),
    ):
        wait_for(lambda: metric.scrapes >= 2, "a scrape")
        assert stage.events() == []

        metric.values = {("jukebox", "danceability"): 0.01}
        wait_for(stage.runs, "a run")
        wait_for(lambda: stage.runs()[0].ended, "its end", seconds=500)
        wait_for(lambda: stage.events()[0].seen > 1, "a repetition")

        (run,) = stage.runs()
        (event,) = stage.events()
        subject = f"{event.names['fingerprint']}@{event.happened}"
        assert (run.state, run.error, run.decision) == ("succeeded", "", "promote")
        assert run.name.endswith(run.key)
        assert event.summary == "SongsDrift fires: danceability is not what it was in training"

        # What was made says what it was made for.
        trigger = f"alert SongsDrift {subject}"
        assert modelcar.inspect(run.image).annotations["io.roadie.trigger"] == trigger
        messages = git("-C", str(repository), "log", "--format=%B", "main")
        assert messages.count(f"Roadie-Trigger: {trigger}") == len(run.commits) == 2
        for environment in ("test", "stage"):
            deployed = gitops.read_value(
                str(repository), f"{environment}/values.yaml", "applications.jukebox.values.version"
            )
            assert deployed.value == run.version

        page, story = stage.get("/"), stage.get(f"/runs/{run.key}")
        digest = run.image.partition("@sha256:")[2]
        for shown in (page, story):
            assert "danceability is not what it was in training" in shown
            assert event.verdicts[0].why in shown
            assert run.name in shown
            assert "succeeded" in shown
            assert digest[:12] in shown
            assert all(commit[:10] in shown for commit in run.commits)
        metrics = stage.get("/metrics")
        assert 'roadie_runs_started_total{model="jukebox"} 1.0' in metrics
        assert 'roadie_runs_ended_total{model="jukebox",state="succeeded"} 1.0' in metrics
    assert len(list((stage.state / "runs").iterdir())) == 1


@dsl.component(base_image="python:3.11", install_kfp_package=False)  # type: ignore[untyped-decorator]
def note(trigger: str) -> str:
    print(trigger)
    return trigger


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    @dsl.pipeline(name="tiny")  # type: ignore[untyped-decorator]
    def pipeline(trigger: str = "manual") -> None:
        note(trigger=trigger)

    path = tmp_path_factory.mktemp("compiled") / "tiny.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    return str(path)


def test_runs_are_as_many_as_alerts_whatever_alertmanager_does(stage: Stage, metric: Metric, tiny: str) -> None:
    models = {"jukebox": {"pipeline": tiny, "max_active": 5}, "wine": {"pipeline": tiny, "cool_down": "1h"}}
    danceability, energy = ("jukebox", "danceability"), ("jukebox", "energy")

    def seen(subject: str) -> int:
        return stage.firing()[subject].seen

    with contextlib.ExitStack() as stack:
        stack.enter_context(stage.listening(models))
        alertmanagers = stack.enter_context(contextlib.ExitStack())
        alertmanager = alertmanagers.enter_context(stage.alertmanager())
        metric.values = {danceability: 0.01}
        stack.enter_context(
            serve_prometheus(stage.folder / "prometheus", RULES, target=metric.target, alertmanager=alertmanager.host)
        )
        wait_for(stage.firing, "the first alert")
        (first,) = stage.firing()

        wait_for(lambda: seen(first) >= 3, "repeat_interval passes, twice")
        assert len(stage.runs()) == 1

        alertmanagers.close()
        before = seen(first)
        alertmanager = alertmanagers.enter_context(stage.alertmanager())
        wait_for(lambda: seen(first) > before, "a repetition by an Alertmanager with its notification log")

        alertmanagers.close()
        shutil.rmtree(alertmanager.storage)
        before = seen(first)
        alertmanagers.enter_context(stage.alertmanager())
        wait_for(lambda: seen(first) > before, "a repetition by an Alertmanager that has lost its memory")
        assert len(stage.runs()) == 1

        before = seen(first)
        metric.values[energy] = 0.02
        wait_for(lambda: len(stage.firing()) == 2, "a second alert in the group")
        wait_for(lambda: seen(first) > before, "the first one comes along again")

        metric.values[danceability] = 0.9
        wait_for(lambda: "resolved" in {event.status for event in stage.events()}, "its end")
        metric.values[danceability] = 0.01
        wait_for(lambda: len(stage.firing()) == 3, "it fires again, with a new start")

        metric.values |= {("wine", "alcohol"): 0.01, ("wine", "hue"): 0.01}
        wait_for(lambda: len(stage.firing()) == 5, "two alerts of another model, one in its cool-down")
        wait_for(lambda: all(run.ended for run in stage.runs()), "all runs end")

        held = [
            verdict
            for event in stage.firing().values()
            for verdict in event.verdicts
            if (verdict.model, verdict.action) == ("wine", "hold")
        ]
        assert [verdict.code for verdict in held] == ["cool-down"]
        assert len(stage.runs()) == len(stage.firing()) - len(held) == 4
        assert {run.state for run in stage.runs()} == {"succeeded"}
    # What really ran, past the journal.
    assert len(list((stage.state / "runs").iterdir())) == 4
