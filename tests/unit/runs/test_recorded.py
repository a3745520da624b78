"""The double of the KFP API against the recording of a real one: the same request gets the same answer."""

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.servers.kfp_api import KfpApi, serving, task
from tests.unit.runs.recorded import FOLDER, SENT, calls, document, growth

CALLS = calls()
ASKED = {"gitops_repo": {"parameterType": "STRING"}}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture(scope="module")
def api() -> Iterator[KfpApi]:
    with serving() as api:
        yield api


def ask(api: KfpApi, method: str, path: str, body: Any = "") -> tuple[int, str, Any]:
    """One request, byte for byte: status, content type, answer."""
    connection = http.client.HTTPConnection(urlsplit(api.url).netloc, timeout=5)
    sent = body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, sent or None, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    content_type = answer.headers["Content-Type"]
    connection.close()
    return answer.status, content_type, json.loads(text) if content_type == "application/json" else text


def request_of(call: dict[str, Any]) -> Any:
    """What was sent, with a document in the place of the one that is not repeated."""
    body = call["request"]
    if isinstance(body, dict) and body.get("pipeline_spec") == SENT:
        parameters = body.get("runtime_config", {}).get("parameters", {})
        declared = {name: {"isOptional": True} for name in parameters if name != "nope"}
        good = document({"train"}, **{**declared, **ASKED} if parameters.keys() - ASKED or not parameters else declared)
        if call["story"] == "badspec":
            good["components"]["comp-exit-handler-1"] = {
                "dag": {"tasks": {"x": {"componentRef": {"name": "comp-none"}}}}
            }
        invalid = "unknown template format" in json.dumps(call["response"])
        return {**body, "pipeline_spec": {"a": "b"} if invalid else good}
    return "" if "multipart" in str(body) else body


def plain(told: Any) -> Any:
    """An answer without what is another one each time: moments, pages, documents, and the traces of Go."""
    if isinstance(told, dict):
        left = {key: value for key, value in told.items() if key not in {"next_page_token", "error_details"}}
        if "details" in left and "Failed to compile job" in left["message"]:
            return {"code": left["code"], "message": left["message"].partition("\n")[0]}
        return {key: SENT if key == "pipeline_spec" else plain(value) for key, value in left.items() if key != "id"}
    if isinstance(told, list):
        return [plain(each) for each in told]
    if isinstance(told, str):
        return TIME.sub("TIME", told)
    return told


def hold(api: KfpApi, call: dict[str, Any]) -> None:
    """Let the double be as the service was before the request, by what it answered and had created by then."""
    path, told = call["path"], call["response"]
    for kind, key in (("experiments", "experiment_id"), ("runs", "run_id"), ("pipelines", "pipeline_id")):
        if call["method"] == "GET" and isinstance(told, dict) and f"/{kind}" in path and call["status"] == 200:
            things = getattr(api, kind)
            named = kind == "experiments" and "page" in path
            for key_there in [there for there in things if not named or there.startswith("z")]:
                del things[key_there]
            for each in told.get(kind, []):
                things[each[key]] = dict(each)
                api.ghosts.add(each[key])
            for number in range(told.get("total_size", 0) - len(things)):
                year = 2020 if kind == "runs" else 2030  # what was on other pages comes after those
                filler = {key: f"z{number}", "display_name": "jukebox- promo-", "created_at": f"{year}-01-01T00:00:00Z"}
                things[f"z{number}"] = filler
                api.ghosts.add(f"z{number}")
    if path.endswith(":archive"):
        key = path.rpartition("/")[2].partition(":")[0]
        api.experiments[key] = {"experiment_id": key, "display_name": "x", "created_at": "2026-11-25T00:43:57Z"}
    wanted = re.search(r"/(runs|recurringruns)/([0-9a-f-]{36})", path)
    if wanted and call["status"] != 404 and call["story"] != "schedule":
        run = {"run_id": wanted[2], "created_at": "2026-01-01T00:00:00Z", "display_name": "x"}
        run |= {"state": "RUNNING", "state_history": [{}]}
        if wanted[2] not in api.runs:
            api.runs[wanted[2]] = run
            api.ghosts.discard(wanted[2])
        if gone := re.search(r'workflows.argoproj.io \\"([^\\]+)\\" not found', json.dumps(told)):
            api.runs[wanted[2]] |= {"display_name": gone[1], "recurring_run_id": "x", "state": "RUNNING"}
            api.ghosts.add(wanted[2])
        if path.endswith(":retry"):
            api.runs[wanted[2]]["state"] = "SUCCEEDED" if call["status"] == 409 else "FAILED"
            hanging = {"display_name": "executor", "state": "RUNNING"} if call["status"] == 500 else {}
            api.runs[wanted[2]]["run_details"] = {"task_details": [hanging] if hanging else []}
            api.retry_node = "training-sm5x8-system-container-impl-3676251371"


@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda number: f"{number}-{CALLS[number]['story']}")
def test_a_recorded_request_gets_the_recorded_answer(api: KfpApi, number: int) -> None:
    call = CALLS[number]
    if number == 0:
        api.runs.clear()
    hold(api, call)
    path = call["path"]
    if call["story"] == "pages" and "page_token=ey" in path:
        # A token is the service's own: that of the page before, from the double.
        first = ask(api, "GET", "/apis/v2beta1/experiments?page_size=1")[2]["next_page_token"]
        path = re.sub(r"page_token=[^&]+", f"page_token={first}", path)
    status, content_type, told = ask(api, call["method"], path, request_of(call))
    expected = call["response"]
    if call["method"] == "POST" and status == 200 and isinstance(expected, dict):
        for key in ("run_id", "recurring_run_id", "experiment_id", "pipeline_id", "pipeline_version_id"):
            if key in expected and key in told and call["story"] != "archived":
                expected = {**expected, key: told[key]}
        keep_ids(api, call["response"], told)
    assert (status, content_type) == (call["status"], call["content_type"])
    assert plain(told) == plain(expected)


def keep_ids(api: KfpApi, recorded: dict[str, Any], told: dict[str, Any]) -> None:
    """What was created goes by its recorded id from now on, as the later requests name it."""
    for key, things in (("recurring_run_id", api.recurring), ("run_id", api.runs), ("pipeline_id", api.pipelines)):
        if key in recorded and told.get(key) in things and "pipeline_version_id" not in recorded:
            thing = things.pop(told[key])
            things[recorded[key]] = {**thing, key: recorded[key], "experiment_id": thing.get("experiment_id", "")}
            api.ghosts.add(recorded[key])
    if "experiment_id" in recorded and told["experiment_id"] in api.experiments and "run_id" not in recorded:
        thing = api.experiments.pop(told["experiment_id"])
        api.experiments[recorded["experiment_id"]] = {**thing, "experiment_id": recorded["experiment_id"]}


def test_a_run_is_created_with_the_recorded_answer(api: KfpApi) -> None:
    recorded = json.loads((FOLDER / "create-run.json").read_text())
    api.experiments[recorded["request"]["experiment_id"]] = {"experiment_id": recorded["request"]["experiment_id"]}
    body = request_of({**recorded, "story": "", "status": 200})
    _, _, told = ask(api, "POST", recorded["path"], body)
    assert sorted(told) == recorded["response_keys"]
    assert plain({**told, "run_id": ""}) == plain({**recorded["response"], "run_id": ""})


def states(looks: list[dict[str, Any]]) -> list[tuple[Any, list[Any]]]:
    """The state and its history, look by look, without what was looked at twice."""
    told = [(look.get("state"), [each.get("state") for each in look["state_history"]]) for look in looks]
    return [each for number, each in enumerate(told) if each not in told[:number]]


def test_a_run_grows_and_is_ended_as_recorded() -> None:
    with serving(seconds_canceling=None) as api:
        (experiment,) = api.experiments
        body = {"display_name": "x", "experiment_id": experiment, "pipeline_spec": document({"find-champion"})}
        run_id = ask(api, "POST", "/apis/v2beta1/runs", body)[2]["run_id"]
        looks: list[dict[str, Any]] = []

        def look() -> None:
            looks.append(ask(api, "GET", f"/apis/v2beta1/runs/{run_id}")[2])

        look()
        api.order(run_id, "RUNNING", tasks=[task("find-champion", "SUCCEEDED", started=1e9, ended=1e9 + 10)])
        look()
        ask(api, "POST", f"/apis/v2beta1/runs/{run_id}:terminate")
        looks.append(json.loads(json.dumps(api.runs[run_id])))
        look()
        assert ask(api, "POST", f"/apis/v2beta1/runs/{run_id}:terminate")[0] == 400
        api.set(seconds_canceling=0.0)
        look()
    assert states(looks) == states(growth("canceled"))


def test_for_a_moment_a_run_has_no_state() -> None:
    recorded = growth("a-step-fails")
    with serving() as api:
        (experiment,) = api.experiments
        body = {"display_name": "x", "experiment_id": experiment, "pipeline_spec": document({"load-charts"})}
        run_id = ask(api, "POST", "/apis/v2beta1/runs", body)[2]["run_id"]
        looks = [json.loads(json.dumps(api.runs[run_id]))]
        for state in ("", "RUNNING", "FAILED"):
            api.order(run_id, state)
            looks.append(json.loads(json.dumps(api.runs[run_id])))
    assert states(looks) == states(recorded)
    assert [look["finished_at"].startswith("1970") for look in looks] == [True, True, True, False]


@pytest.mark.parametrize(
    ("story", "step", "state"),
    [
        ("a-step-fails", "find-champion", "SUCCEEDED"),
        ("a-step-fails", "load-charts", "FAILED"),
        ("a-step-fails", "train", ""),
        ("succeeded", "find-champion", "SUCCEEDED"),
        ("outgrown", "train", "RUNNING"),
    ],
)
def test_a_step_has_the_recorded_entries(story: str, step: str, state: str) -> None:
    recorded = growth(story)[-1]["run_details"]["task_details"]
    with serving() as api:
        (experiment,) = api.experiments
        body = {"display_name": "x", "experiment_id": experiment, "pipeline_spec": document({step})}
        run_id = ask(api, "POST", "/apis/v2beta1/runs", body)[2]["run_id"]
        ended = 0.0 if state == "RUNNING" else 1e9 + 9
        api.order(run_id, "FAILED", tasks=[task(step, state, "it failed", 1e9, ended)])
        doubled = api.runs[run_id]["run_details"]["task_details"]

    def entries(told: list[dict[str, Any]]) -> set[tuple[str, str, tuple[str, ...], bool]]:
        began = {each["start_time"] for each in told if each.get("display_name") == step}
        mine = [
            each
            for each in told
            if re.match(rf"{step}(-driver)?(\(0\))?$", each.get("display_name", ""))
            or (state and re.match(r"executor(\(0\))?$", each.get("display_name", "")) and each["start_time"] in began)
        ]
        return {
            (each["display_name"], each.get("state", ""), tuple(sorted(each)), each["end_time"].startswith("0001"))
            for each in mine
            # The very last attempt of the outgrown run had no pod yet, and the recording lost its driver's.
            if not (story == "outgrown" and "(0)" in each["display_name"])
        }

    assert entries(doubled) == entries(recorded)
    assert not any("error" in each for each in [*doubled, *recorded])


def test_some_entries_have_no_name_in_both() -> None:
    (recorded,) = {
        tuple(sorted(each))
        for each in growth("outgrown")[-1]["run_details"]["task_details"]
        if "display_name" not in each
    }
    with serving() as api:
        (experiment,) = api.experiments
        body = {"display_name": "x", "experiment_id": experiment, "pipeline_spec": document({"train"})}
        run_id = ask(api, "POST", "/apis/v2beta1/runs", body)[2]["run_id"]
        api.order(run_id, "RUNNING", tasks=[task("train", "RUNNING", started=1e9)])
        (doubled,) = [
            tuple(sorted(each))
            for each in api.runs[run_id]["run_details"]["task_details"]
            if "display_name" not in each
        ]
    assert doubled == recorded
