"""Runs on a cluster, against the double of the KFP API."""

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina

from roadie.errors import RoadieError, RunError, UsageError
from roadie.runs import ENDED, Cluster, Engine, Pipeline, RunRefusedError, StepRun, follow, load_pipeline, token_in
from roadie.runs.reasons import last_words
from roadie.runs.submission import tasks
from tests.servers.kfp_api import KfpApi, serving, task
from tests.servers.kfp_documents import launcher_log
from tests.servers.process import require
from tests.unit.runs.recorded import calls, document, growth, replay
from tests.unit.runs.small import small_pipeline

ARGUMENTS = {"image": "registry.example/models/jukebox"}


@pytest.fixture
def api() -> Iterator[KfpApi]:
    with serving() as api:
        yield api


@pytest.fixture
def cluster(api: KfpApi) -> Cluster:
    return Cluster(api.url, timeouts=(20.0, 20.0))  # enough on the busiest machine


@pytest.fixture(autouse=True)
def no_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")


class Kubernetes:
    """A Kubernetes API that has an answer for each path that ends so."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[str] = []


@pytest.fixture
def kubernetes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kubernetes]:
    """One that KUBECONFIG names."""
    told = Kubernetes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            told.asked.append(path)
            answer = next((text for end, text in told.answers.items() if path.endswith(end)), None)
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write((answer or '{"message": "not found"}').encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        named = {"name": "x", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
        config = {"clusters": [named], "contexts": [context], "users": [{"name": "x", "user": {}}]}
        (tmp_path / "kubeconfig").write_text(json.dumps({**config, "current-context": "x"}))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield told
        server.shutdown()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return small_pipeline(tmp_path)


@pytest.fixture
def without_pauses() -> Iterator[None]:
    """Let what is tried again be tried twice, at once."""
    with stamina.set_testing(True, attempts=2):
        yield


# Starting


def test_a_run_is_created_with_both_documents_its_parameters_and_its_description(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline
) -> None:
    engine: Engine = cluster
    run = engine.start(pipeline, "jukebox-alert-1", {**ARGUMENTS, "rows": 5}, description="an alert")
    body = api.runs[run.id]
    assert body["pipeline_spec"]["pipeline_spec"]["pipelineInfo"] == {"name": "small"}
    assert body["pipeline_spec"]["platform_spec"]["platforms"].keys() == {"kubernetes"}
    assert body["runtime_config"] == {"parameters": {**ARGUMENTS, "rows": 5}}
    assert (body["display_name"], body["description"]) == ("jukebox-alert-1", "an alert")
    assert (run.name, run.state, run.ended, run.error) == ("jukebox-alert-1", "pending", None, "")
    assert run.created.tzinfo == UTC
    assert run.url == f"{api.url}/#/runs/details/{run.id}"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_is_sent_is_what_kfps_own_client_sends(api: KfpApi, cluster: Cluster) -> None:
    import kfp

    training = load_pipeline("training")
    arguments = {**ARGUMENTS, "gitops_repo": "https://git.example/mlops-gitops.git"}
    arguments["step_image"] = "registry.example/steps@sha256:" + "a" * 64
    client = kfp.Client(host=api.url, namespace="")
    theirs = client.create_run_from_pipeline_package(str(training.path), arguments=arguments, run_name="theirs")
    ours = cluster.start(training, "ours", arguments)
    for part in ("pipeline_spec", "runtime_config", "experiment_id"):
        assert api.runs[ours.id][part] == api.runs[theirs.run_id][part], part
    assert sorted(run.display_name for run in client.list_runs().runs) == ["ours", "theirs"]


def test_a_pipeline_of_one_document_is_sent_as_it_is(api: KfpApi, cluster: Cluster, tmp_path: Path) -> None:
    pipeline = small_pipeline(tmp_path)
    pipeline.path.write_text(pipeline.path.read_text().partition("---")[0])
    run = cluster.start(pipeline, "one", ARGUMENTS)
    assert api.runs[run.id]["pipeline_spec"]["pipelineInfo"] == {"name": "small"}


@pytest.mark.parametrize(("cache", "expected"), [(True, {"enableCache": True}), (False, {})])
def test_without_the_cache_no_task_has_it_not_even_inside_a_condition(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline, cache: bool, expected: dict[str, bool]
) -> None:
    run = cluster.start(pipeline, "anew", ARGUMENTS, cache=cache)
    sent = api.runs[run.id]["pipeline_spec"]["pipeline_spec"]
    options = [each["cachingOptions"] for each in tasks(sent) if "cachingOptions" in each]
    assert options[0] == options[1] == expected


def test_a_long_description_is_cut_to_what_the_service_keeps(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    run = cluster.start(pipeline, "wordy", ARGUMENTS, description="x" * 1000)
    assert len(api.runs[run.id]["description"]) == 255


def test_a_missing_experiment_is_made_once(api: KfpApi, pipeline: Pipeline) -> None:
    for _ in range(2):
        Cluster(api.url, experiment="retraining").start(pipeline, "again", ARGUMENTS)
    assert sorted(each["display_name"] for each in api.experiments.values()) == ["Default", "retraining"]


def test_an_experiment_whose_creation_was_not_answered_is_found(api: KfpApi, pipeline: Pipeline) -> None:
    api.fault("lose", method="POST", path="experiments")
    run = Cluster(api.url, experiment="retraining").start(pipeline, "first", ARGUMENTS)
    assert api.experiments[api.runs[run.id]["experiment_id"]]["display_name"] == "retraining"
    assert len(api.experiments) == 2


def test_in_a_profile_runs_are_asked_for_by_namespace(pipeline: Pipeline) -> None:
    with serving(multi_user=True) as api:
        cluster = Cluster(api.url, namespace="music")
        run = cluster.start(pipeline, "mine", ARGUMENTS)
        assert cluster.find("mine") == [run]
        with pytest.raises(RunError, match="namespace cannot be empty in multi-user mode"):
            Cluster(api.url).find("mine")


def test_an_empty_image_is_refused_before_anything_is_sent(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    with pytest.raises(RunRefusedError, match="image is empty.* give the registry's repository .* -p image="):
        cluster.start(pipeline, "nowhere", {})
    assert api.asked == []


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(call, id=call["story"] + call["path"].replace("/", "-"))
        for call in calls()
        if call["method"] == "POST" and call["path"].endswith(("/runs", "/recurringruns")) and call["status"] >= 400
    ],
)
def test_what_the_service_will_never_take_is_told_apart(call: dict[str, Any], pipeline: Pipeline) -> None:
    # Refusals of a pipeline are an error of its own to the service, with the status 500 and the code 13.
    with answering(call["status"], call["response"]) as url, pytest.raises(RunError) as raised:
        Cluster(url).start(pipeline, "x", ARGUMENTS)
    cause = call["response"]["message"].partition("\n")[0].rpartition("rror: ")[2]
    assert cause in str(raised.value)
    assert isinstance(raised.value, RunRefusedError) == (call["story"] != "create-run-unknown-experiment")


def test_trouble_of_the_service_is_no_refusal(pipeline: Pipeline) -> None:
    said = {"code": 13, "message": "Failed to create a new run: InternalServerError: dial tcp: connection refused"}
    with answering(500, said) as url, pytest.raises(RunError, match="look into its logs and try again") as raised:
        Cluster(url).start(pipeline, "x", ARGUMENTS)
    assert not isinstance(raised.value, RunRefusedError)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("RBAC: access denied", "RBAC: access denied"),
        ("<html><head><title>403\n Forbidden &amp; gone</title></head><body>x</body></html>", "403 Forbidden & gone"),
        ("<p>Sign in with <b>OIDC</b></p>", "Sign in with OIDC"),
    ],
)
def test_what_stands_before_the_service_is_quoted_and_not_told_as_a_missing_role(
    pipeline: Pipeline, page: str, words: str
) -> None:
    with answering(403, page) as url, pytest.raises(RunError) as raised:
        Cluster(url).start(pipeline, "x", ARGUMENTS)
    assert words in str(raised.value)
    assert str(raised.value).endswith("; that is not its own answer, so ask who runs the proxy or mesh before it")


@contextmanager
def answering(status: int, told: Any) -> Iterator[str]:
    """A service that has the default experiment and answers everything that is sent to it with one answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, {"experiments": [{"experiment_id": "e", "display_name": "Default"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(status, told)

        def _send(self, status: int, told: Any) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(told.encode() if isinstance(told, str) else json.dumps(told).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("fault", "created"), [("lose", 1), ("drop", 0), ("refuse", 0)])
def test_a_creation_that_was_not_answered_is_never_sent_again(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline, fault: str, created: int
) -> None:
    api.fault(fault, method="POST", path="/runs")
    with pytest.raises(RunError) as raised:
        cluster.start(pipeline, "once", ARGUMENTS)
    assert not isinstance(raised.value, RunRefusedError)
    assert len(cluster.find("once")) == created
    assert api.asked.count("POST /apis/v2beta1/runs") == 1


# Finding, looking, ending


def test_runs_of_a_name_are_found_oldest_first_over_all_pages(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadie.runs.cluster.PAGE", 2)
    ids = [cluster.start(pipeline, "a 50% + b", ARGUMENTS).id for _ in range(5)]
    cluster.start(pipeline, "a 50% + b and more", ARGUMENTS)
    for age, run_id in enumerate(reversed(ids)):
        api.runs[run_id]["created_at"] = f"2026-01-01T00:00:{age:02}Z"
    assert [run.id for run in cluster.find("a 50% + b")] == list(reversed(ids))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("RUNTIME_STATE_UNSPECIFIED", "pending"),
        ("PENDING", "pending"),
        ("RUNNING", "running"),
        ("PAUSED", "running"),
        ("CANCELING", "running"),
        ("SUCCEEDED", "succeeded"),
        ("SKIPPED", "succeeded"),
        ("FAILED", "failed"),
        ("CANCELED", "canceled"),
    ],
)
def test_each_state_of_the_service_has_one_here(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline, theirs: str, ours: str
) -> None:
    api.set(seconds_canceling=None)
    run = cluster.start(pipeline, "one", ARGUMENTS)
    api.order(run.id, theirs)
    now = cluster.look(run.id)
    assert now is not None
    assert now.state == ours
    assert (now.ended is not None) == (ours in ENDED)


def test_a_failed_run_says_what_its_step_said(api: KfpApi, cluster: Cluster) -> None:
    run_id = replay(api, growth("a-step-fails")[-1])
    api.ghosts.clear()
    api.logs["training-2ljhw-system-container-impl-1953743072"] = (
        "Traceback (most recent call last):\n"
        '  File "/x.py", line 1, in load_charts\n'
        "roadie.errors.DataError: s3://nothere/2023-12 holds no charts: check the address"
    )
    watched = cluster.watch(run_id)
    assert watched is not None
    said = "the step load-charts failed: s3://nothere/2023-12 holds no charts: check the address"
    assert watched.run.error == said
    assert [(step.name, step.state) for step in watched.steps] == [
        ("find-champion", "succeeded"),
        ("load-charts", "failed"),
        ("report-run", "succeeded"),
    ]
    assert [each.error for each in cluster.recent(1)] == ["the step load-charts failed"]


def test_where_the_log_cannot_be_read_the_command_that_shows_it_is_named(api: KfpApi, cluster: Cluster) -> None:
    now = cluster.look(replay(api, growth("a-step-fails")[-1]))
    assert now is not None
    assert now.error == (
        "the step load-charts failed: its log says why: `kubectl logs --namespace kubeflow --container main "
        "training-2ljhw-system-container-impl-1953743072`"
    )


def test_the_log_is_read_through_the_kubernetes_api_where_the_service_cannot(
    api: KfpApi, cluster: Cluster, kubernetes: Kubernetes
) -> None:
    kubernetes.answers["/pods/training-2ljhw-system-container-impl-1953743072/log"] = launcher_log(
        "ValueError: a foreign step's error"
    )
    now = cluster.look(replay(api, growth("a-step-fails")[-1]))
    assert now is not None
    assert now.error == "the step load-charts failed: ValueError: a foreign step's error"
    assert kubernetes.asked[-1].startswith("/api/v1/namespaces/kubeflow/pods/")


def test_a_step_whose_driver_failed_is_the_one_that_failed(api: KfpApi, cluster: Cluster) -> None:
    look = growth("a-step-fails")[-1]
    for each in look["run_details"]["task_details"]:
        name = each.get("display_name", "")
        if name in {"load-charts-driver", "load-charts-driver(0)"}:
            each["state"] = "FAILED"
    kept = [each for each in look["run_details"]["task_details"] if each.get("display_name") != "load-charts"]
    look["run_details"]["task_details"] = [each for each in kept if each.get("state") != "FAILED" or "dr" in str(each)]
    now = cluster.look(replay(api, look))
    assert now is not None
    assert "the step load-charts failed: its log says why" in now.error
    assert "training-2ljhw-system-container-driver-1330316299" in now.error


@pytest.mark.parametrize("asked", [False, True])
def test_a_run_that_outgrew_argo_says_so_or_how_to_see_it(
    api: KfpApi, cluster: Cluster, request: pytest.FixtureRequest, asked: bool
) -> None:
    look = growth("outgrown")[-1]
    said = "the service does not say why, but `kubectl get workflows --namespace kubeflow --selector pipeline/runid="
    if asked:
        said = "workflow is longer than maximum allowed size. compressed size 1087446 > maxSize 1048576"
        kubernetes: Kubernetes = request.getfixturevalue("kubernetes")
        kubernetes.answers["/workflows"] = json.dumps({"items": [{"status": {"phase": "Error", "message": said}}]})
    now = cluster.look(replay(api, look))
    assert now is not None
    assert now.error.startswith(f"it ended while the step train went on: {said}")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (launcher_log(""), ""),
        (
            launcher_log("Collecting kfp\nERROR: No such package"),
            "ERROR: No such package",
        ),
        (launcher_log("x.MyError: 1\nsomething\nroadie.errors.GateError: no, do this"), "no, do this"),
        ("F1125 01:28:12.100000       1 main.go:83] KFP driver: cannot\n", ""),
    ],
)
def test_the_last_words_of_a_step_are_its_own(log: str, said: str) -> None:
    assert last_words(log) == said


def test_a_vanished_run_is_none(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    run = cluster.start(pipeline, "one", ARGUMENTS)
    api.forget(run.id)
    assert cluster.look(run.id) is None
    assert cluster.find("one") == []


def test_a_404_to_a_wrong_path_is_no_vanished_run(api: KfpApi) -> None:
    with pytest.raises(RunError, match="answered 404 while looking at the run"):
        Cluster(f"{api.url}/elsewhere").look("some-run")


def test_a_run_that_somebody_ended_is_canceled_and_not_failed(api: KfpApi, cluster: Cluster) -> None:
    states = []
    for look in growth("canceled"):
        now = cluster.look(replay(api, look))
        assert now is not None
        states.append(now.state)
    assert states == ["pending", "running", "running", "running", "running", "canceled"]


def test_a_run_that_failed_when_it_was_tried_again_is_not_canceled(api: KfpApi, cluster: Cluster) -> None:
    look = growth("canceled")[-1]
    look["state_history"] += [{"state": "RUNNING"}, {"state": "FAILED"}]
    now = cluster.look(replay(api, look))
    assert now is not None
    assert now.state == "failed"


def test_a_run_that_has_no_state_for_a_moment_is_pending(api: KfpApi, cluster: Cluster) -> None:
    now = cluster.look(replay(api, growth("a-step-fails")[1]))
    assert now is not None
    assert now.state == "pending"


# Runs whose Workflow is gone


def test_a_scheduled_run_whose_schedule_was_deleted_is_over(api: KfpApi, cluster: Cluster) -> None:
    now = cluster.look(replay(api, growth("orphan")[0]))
    assert now is not None
    assert (now.state, now.ended is not None) == ("canceled", True)
    assert "its Workflow is gone from the cluster" in now.error
    assert [run.state for run in cluster.recent(5)] == ["canceled"]


def test_a_run_that_cannot_be_ended_because_its_workflow_is_gone_is_over(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline
) -> None:
    run = cluster.start(pipeline, "one", ARGUMENTS)
    api.order(run.id, "RUNNING")
    api.lose_workflow(run.id)
    before = cluster.look(run.id)
    cluster.stop(run.id)
    after = cluster.look(run.id)
    assert before is not None
    assert after is not None
    assert (before.state, after.state) == ("running", "canceled")


def test_a_run_that_is_to_end_and_does_not_move_is_over(api: KfpApi, pipeline: Pipeline) -> None:
    now = [0.0]
    api.set(seconds_canceling=None)
    cluster = Cluster(api.url, clock=lambda: now[0])
    run = cluster.start(pipeline, "one", ARGUMENTS)
    api.order(run.id, "RUNNING")
    Cluster(api.url).stop(run.id)
    api.lose_workflow(run.id)  # while another process, or an earlier one, ended it
    states = []
    for moment in (0.0, 599.0, 600.0):
        now[0] = moment
        looked = cluster.look(run.id)
        assert looked is not None
        states.append(looked.state)
    assert states == ["running", "running", "canceled"]


def test_an_ended_run_can_be_ended_again(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    run = cluster.start(pipeline, "one", ARGUMENTS)
    api.fault("lose", path=":terminate")
    for _ in range(2):
        cluster.stop(run.id)
        now = cluster.look(run.id)
        assert now is not None
        assert now.state == "canceled"
    api.forget(run.id)
    cluster.stop(run.id)


def test_a_run_that_is_about_to_end_can_be_ended_again(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    api.set(seconds_canceling=None)
    run = cluster.start(pipeline, "one", ARGUMENTS)
    for _ in range(2):
        cluster.stop(run.id)
    now = cluster.look(run.id)
    assert now is not None
    assert now.state == "running"


def test_recent_runs_come_newest_first_and_by_model(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    for age, name in enumerate(("jukebox-alert-1", "not-jukebox-alert-2", "jukebox-push-3")):
        run = cluster.start(pipeline, name, ARGUMENTS)
        api.runs[run.id]["created_at"] = f"2026-01-01T00:00:0{age}Z"
    assert [run.name for run in cluster.recent(2)] == ["jukebox-push-3", "not-jukebox-alert-2"]
    assert [run.name for run in cluster.recent(9, "jukebox")] == ["jukebox-push-3", "jukebox-alert-1"]


def test_a_scheduled_run_of_a_model_is_found_though_it_is_named_after_its_schedule(
    api: KfpApi, cluster: Cluster
) -> None:
    look = growth("orphan")[0]
    look["state"] = "SUCCEEDED"
    look["pipeline_spec"] = document({"x"}, model_name={"parameterType": "STRING", "defaultValue": "jukebox"})
    replay(api, look)
    assert [run.id for run in cluster.recent(5, "jukebox")] == [look["run_id"]]
    assert cluster.recent(5, "other") == []
    look["runtime_config"]["parameters"]["model_name"] = "other"
    assert [run.id for run in cluster.recent(5, "other")] == [look["run_id"]]


# Following


def test_a_run_that_does_not_begin_says_why_once(
    api: KfpApi, cluster: Cluster, pipeline: Pipeline, kubernetes: Kubernetes
) -> None:
    nodes = {"x": {"phase": "Pending", "message": 'pods "x" is forbidden: error looking up service account nobody'}}
    kubernetes.answers["/workflows"] = json.dumps({"items": [{"status": {"nodes": nodes}}]})
    run = cluster.start(pipeline, "one", ARGUMENTS)
    worries: list[str] = []
    looks = 0

    def look(run_id: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 3:
            api.order(run.id, "SUCCEEDED")
        return Cluster.watch(cluster, run_id)

    cluster.watch = look  # type: ignore[method-assign]
    follow(cluster, run.id, worry=lambda error: worries.append(str(error)), doubt=0.0)
    (worry,) = worries
    assert "no pod has begun" in worry
    assert "error looking up service account nobody" in worry


def test_a_run_that_works_worries_nobody(api: KfpApi, cluster: Cluster) -> None:
    looks = growth("a-step-fails")
    looks[3]["run_details"]["task_details"][0]["state"] = "RUNNING"
    for each in looks[3]["run_details"]["task_details"]:
        if each.get("display_name") == "find-champion-driver(0)":
            each["state"] = "RUNNING"
    watched = [cluster.watch(replay(api, look)) for look in looks]
    assert [each.waiting is None for each in watched if each] == [False, False, False, True, True]


def test_without_the_kubernetes_api_the_command_that_says_why_is_named(cluster: Cluster) -> None:
    assert "--selector pipeline/runid=some-id --output jsonpath='{.items[*].status.nodes.*.message}'" in (
        cluster.reasons.of_waiting("some-id")
    )


def test_each_step_is_told_as_it_begins_and_as_it_ends(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    run = cluster.start(pipeline, "one", ARGUMENTS)
    looks: list[tuple[str, list[dict[str, Any]]]] = [
        ("RUNNING", [task("train", "RUNNING", started=1e9)]),
        ("RUNNING", [task("train", "SUCCEEDED", started=1e9, ended=1e9 + 2)]),
        ("SUCCEEDED", [task("train", "SUCCEEDED", started=1e9), task("push-modelcar", "SUCCEEDED", started=1e9 + 3)]),
    ]
    told: list[tuple[str, str]] = []

    def listen(step: StepRun) -> None:
        told.append((step.name, step.state))
        if looks:
            state, details = looks.pop(0)
            api.order(run.id, state, tasks=details)

    state, details = looks.pop(0)
    api.order(run.id, state, tasks=details)
    ended, _ = follow(cluster, run.id, listen)
    assert ended is not None
    assert ended.state == "succeeded"
    assert told == [("train", "running"), ("train", "succeeded"), ("push", "running"), ("push", "succeeded")]


def test_a_run_is_followed_through_an_outage_and_its_vanishing_is_told(api: KfpApi, pipeline: Pipeline) -> None:
    cluster = Cluster(api.url, timeouts=(1.0, 1.0))
    run = Cluster(api.url).start(pipeline, "one", ARGUMENTS)
    api.fault("slow", method="GET", seconds=1.5, times=1)
    worries: list[RunError] = []

    def worry(error: RunError) -> None:
        worries.append(error)
        api.forget(run.id)

    assert follow(cluster, run.id, worry=worry) == (None, ())
    assert "gave no answer within 1 s" in str(worries[0])


def test_following_ends_when_the_service_stays_away(without_pauses: None) -> None:
    gone = Cluster("http://127.0.0.1:1")
    with pytest.raises(RunError, match="cannot be reached"):
        follow(gone, "x", patience=0.0)


# The wire


def test_a_run_that_is_gone_in_a_moment_is_asked_for_again(api: KfpApi, cluster: Cluster) -> None:
    api.fault("refuse", times=1)
    api.fault("drop", times=1)
    assert cluster.find("x") == []
    assert len(api.asked) == 3


def test_a_service_that_never_answers_is_given_up_on(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = Cluster(f"http://127.0.0.1:{silent.getsockname()[1]}", timeouts=(0.5, 0.5))
        with pytest.raises(RunError, match=r"gave no answer within 0\.5 s while looking for the run x"):
            cluster.find("x")


def test_making_a_cluster_asks_nothing(api: KfpApi) -> None:
    Cluster(api.url)
    assert api.asked == []


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("", "set KF_PIPELINES_ENDPOINT or give --endpoint"),
        ("ftp://kfp.example", "not of the form https://"),
        ("http://", "not of the form https://"),
        ("http://kfp.example:port", "not of the form https://"),
        ("https://someone:password@kfp.example", "has credentials in its address"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused(endpoint: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    with pytest.raises(UsageError, match=said) as raised:
        Cluster(endpoint)
    assert "password" not in str(raised.value)


def test_the_endpoint_and_the_page_come_from_the_environment(
    api: KfpApi, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", f"{api.url}/")
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "https://kfp.example/")
    run = Cluster().start(pipeline, "one", ARGUMENTS)
    assert run.url == f"https://kfp.example/#/runs/details/{run.id}"


def test_the_token_is_read_anew_each_time(api: KfpApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(file))
    own, given = Cluster(api.url), Cluster(api.url, token=token_in(file))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        api.set(token=token)
        assert own.find("x") == given.find("x") == []


def test_a_bad_token_is_told_at_once_and_never_shown(api: KfpApi) -> None:
    api.set(token="the right one")
    with pytest.raises(RunError, match="answered 401 while looking for the run x: .*give it a token that is valid now"):
        Cluster(api.url, token=lambda: "a-secret").find("x")
    assert len(api.asked) == 1
    for token in ("a-secret\nX: y", "a-secret é"):
        with pytest.raises(RunError, match="has characters that no token has") as raised:
            Cluster(api.url, token=lambda token=token: token).find("x")
        assert "a-secret" not in str(raised.value)


def test_a_token_file_that_is_not_there_is_named(api: KfpApi, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read from .*/token: No such file or directory"):
        Cluster(api.url, token=token_in(tmp_path / "token")).find("x")


def test_what_is_no_kubeflow_is_said_to_be_none(api: KfpApi, cluster: Cluster, pipeline: Pipeline) -> None:
    api.fault("garble", times=2)
    with pytest.raises(RunError, match="is not the API of Kubeflow Pipelines: check the endpoint"):
        cluster.find("x")  # a page that says "log in" is no empty list
    with pytest.raises(RunError, match="is not the API of Kubeflow Pipelines"):
        cluster.start(pipeline, "x", ARGUMENTS)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody signed but itself, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "made.pem"
    require("openssl", "apt-get install openssl")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    subject = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command.split(), *subject], check=True, capture_output=True)
    with made.open("a") as file:
        file.write((folder / "certificate.pem").read_text())
    return made


def test_a_certificate_is_trusted_by_its_ca_only(api: KfpApi, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=_answer_empty, args=(listener, context), daemon=True).start()
        assert Cluster(url, ca_file=certificate).find("x") == []
        with pytest.raises(RunError, match="certificate .* cannot be trusted: give its CA file"):
            Cluster(url).find("x")
    with pytest.raises(UsageError, match="the CA file .* cannot be read"):
        Cluster(url, ca_file=certificate.with_name("missing"))
    with pytest.raises(UsageError, match="holds no certificate"):
        Cluster(url, ca_file=Path(__file__))


def _answer_empty(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Give an empty list to each who asks over TLS."""
    while True:
        try:
            with listener.accept()[0] as accepted, context.wrap_socket(accepted, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        except ssl.SSLError:
            continue
        except OSError:
            return


@pytest.mark.parametrize("fault", ["lose", "drop", "refuse", "garble", "slow"])
def test_no_error_of_another_library_gets_out(
    api: KfpApi, pipeline: Pipeline, fault: str, without_pauses: None
) -> None:
    cluster = Cluster(api.url, timeouts=(0.3, 0.3))
    api.fault(fault, times=None, seconds=0.6)
    for call in (
        lambda: cluster.start(pipeline, "x", ARGUMENTS),
        lambda: cluster.find("x"),
        lambda: cluster.look("x"),
        lambda: cluster.stop("x"),
        lambda: cluster.recent(3),
    ):
        with pytest.raises(RoadieError) as raised:
            call()
        assert "\n" not in str(raised.value)
