"""What goes wrong between a rollout's wait and the API server, and what it says of it."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from roadie import rollout
from roadie.errors import GitOpsError, RolloutError, UsageError
from tests.rollouts import NAMES, PATIENCE, Player, api, load, merged, player
from tests.servers.kubernetes_api import KubernetesApi, account_token, serve_kubernetes

__all__ = ["api", "player"]

WANTED = rollout.Wanted("1.1.0", f"sha256:{'2' * 64}", commit="1" * 40)
SERVICE = rollout.Target("jukebox", "music")
BOTH = rollout.Target("jukebox", "music", "test")


def wait(player: Player, target: rollout.Target = SERVICE, timeout: float = 10.0, **options: Any) -> rollout.Verdict:
    return rollout.wait(target, WANTED, timeout=timeout, **{"grace": 0.2, "soak": 0.0, "say": player.hear, **options})


def played(player: Player, frames: list[dict[str, Any]], **options: Any) -> rollout.Verdict:
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(player.play, frames)
        verdict = wait(player, **options)
        playing.result(PATIENCE)
    return verdict


COMING_UP = {"do": ["asked", "deploying"], "then": "Deployment jukebox-predictor has"}
SERVING = {"do": ["pulled", "ready", "replaced"], "then": "it serves"}


def test_credentials_that_are_refused_are_to_be_renewed(api: KubernetesApi, player: Player) -> None:
    api.kubeconfig.write_text(json.dumps(api.server.kubeconfig("of-nobody")))
    with pytest.raises(RolloutError, match=r"answered 401 to list \w+(\.[a-z.]+)? in music: renew the credentials"):
        wait(player)


def test_a_server_that_is_not_well_is_asked_again(api: KubernetesApi, player: Player) -> None:
    api.refuse(503, "watch", "inferenceservices", times=2, message="etcdserver: leader changed")
    assert played(player, [COMING_UP, SERVING]).outcome == "healthy"


def test_a_server_that_goes_away_is_asked_on_and_then_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_kubernetes(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        player = Player(server)
        player.begin("service", "deployment", "old-pod")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(wait, player, timeout=2.0)
            player.play([COMING_UP])
            server.stop()
            with pytest.raises(
                RolloutError, match=r"after 2 s nothing is known about 1\.1\.0: the cluster at http://127"
            ):
                waiting.result(PATIENCE)
    assert any("does not answer" in line for line in player.lines)


def test_a_cluster_that_knows_neither_argo_cd_nor_kserve_is_an_error(api: KubernetesApi, player: Player) -> None:
    api.absent.update({"argoproj.io", "serving.kserve.io"})
    with pytest.raises(RolloutError, match="this cluster has no Argo CD and no KServe"):
        wait(player, BOTH)


def test_an_inference_service_that_is_not_there_is_waited_for_in_vain(api: KubernetesApi) -> None:
    player = Player(api)
    verdict = wait(player, timeout=0.3)
    assert verdict.outcome == "blocked"
    assert verdict.reason.startswith("InferenceService music/jukebox is not there; check its name and namespace")


@pytest.mark.parametrize("content", ["{}", "[]", "a: [", "clusters: 3"])
def test_a_kubeconfig_that_leads_nowhere_is_one_sentence(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    said = r"^the file that KUBECONFIG names, .*/kubeconfig, cannot be used \(.*\); name a kubeconfig file$"
    with pytest.raises(RolloutError, match=said):
        rollout.wait(SERVICE, WANTED, timeout=1)


def test_kubeconfig_goes_before_the_pods_account_and_its_token_is_sent_and_never_told(
    api: KubernetesApi, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    player.do("asked", "deploying", "pulled", "ready", "replaced")
    assert wait(player).outcome == "healthy"
    token = account_token(api.server)
    assert {each.authorization for each in api.asked} == {f"Bearer {token}"}
    assert not [line for line in player.lines if token in line]


def test_a_pod_without_an_account_has_no_cluster_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    with pytest.raises(RolloutError, match="there is no cluster to ask"):
        rollout.wait(SERVICE, WANTED, timeout=1)


def test_a_dropped_watch_goes_on_from_where_it_was(api: KubernetesApi, player: Player) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, player)
        player.play([COMING_UP])
        api.await_watches(3)
        before = len(api.asked)
        api.drop()
        player.do("pulled", "ready", "replaced")
        assert waiting.result(PATIENCE).outcome == "healthy"
    again = [each for each in api.asked[before:] if each.resource == "deployments"]
    first = next(each for each in api.asked if each.resource == "deployments" and each.verb == "watch")
    assert {each.verb for each in again} == {"watch"}
    assert int(again[0].params["resourceVersion"]) > int(first.params["resourceVersion"])


def test_a_forgotten_version_is_listed_anew(api: KubernetesApi, player: Player) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, player)
        player.play([COMING_UP])
        api.await_watches(3)
        before = len(api.asked)
        api.forget()
        player.do("pulled", "ready", "replaced")
        assert waiting.result(PATIENCE).outcome == "healthy"
    assert [each.verb for each in api.asked[before:] if each.resource == "pods"][:2] == ["watch", "list"]


ELSEWHERE = {"metadata": {"namespace": "mlops-stage", "uid": None, "resourceVersion": None}}


def test_a_bookmark_moves_the_place_from_where_a_watch_goes_on(
    api: KubernetesApi, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadie.rollout.mirror.WATCH", 3)  # seconds; the API server sends a bookmark before the end

    def places() -> list[int]:
        watches = [each for each in api.asked if (each.resource, each.verb) == ("deployments", "watch")]
        return [int(each.params["resourceVersion"]) for each in watches]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, player)
        player.play([COMING_UP])
        api.apply(merged(api.get("Deployment", "music", "jukebox-predictor"), ELSEWHERE))
        until(lambda: len(places()) > 1)
        player.do("pulled", "ready", "replaced")
        assert waiting.result(PATIENCE).outcome == "healthy"
    (elsewhere,) = (each for each in api.all("Deployment") if each["metadata"]["namespace"] == "mlops-stage")
    assert places()[1] == int(elsewhere["metadata"]["resourceVersion"])


def test_a_watch_that_falls_silent_is_asked_for_anew(
    api: KubernetesApi, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadie.rollout.mirror.WATCH", 1)
    monkeypatch.setattr("roadie.rollout.cluster._READ", 0.5)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, player)
        player.play([COMING_UP])
        api.hush()
        player.do("pulled", "ready", "replaced")
        assert waiting.result(PATIENCE).outcome == "healthy"


def test_a_relapse_begins_the_soak_anew(player: Player) -> None:
    unready = {"service": {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Flaps"}]}}}
    again = {"service": {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}}
    relapse = [{"set": unready, "then": "it is not Ready: Flaps"}, {"set": again, "then": "it serves"}]
    verdict = played(player, [COMING_UP, SERVING, *relapse], soak=2.0, timeout=10)
    assert verdict.outcome == "healthy"
    assert verdict.seconds > 2.0
    assert sum("it serves" in line for line in player.lines) == 2


def test_a_soak_that_began_in_time_may_end_after_it(player: Player) -> None:
    player.do("asked", "deploying", "pulled", "ready", "replaced")
    verdict = wait(player, timeout=0.2, soak=0.5)
    assert verdict.outcome == "healthy"
    assert verdict.seconds > 0.4


def test_git_that_cannot_be_asked_is_asked_again(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadie.rollout.waiting.INTERVAL", 0.05)
    player.change({"application": {"status": {"sync": {"revision": "3" * 40}}}})
    player.do("asked", "deploying", "pulled", "ready", "replaced")
    answers = iter([False, True])

    def contains(_: str) -> bool:
        if not next(answers, True):
            raise GitOpsError("git.example.com does not answer; check the network")
        return True

    assert wait(player, BOTH, contains=contains).outcome == "healthy"
    assert "git.example.com does not answer; check the network" in player.lines


def test_a_long_log_is_cut_to_its_end(api: KubernetesApi, player: Player) -> None:
    pod = "jukebox-predictor-7b4d9f6c4-new01"
    api.logs[f"{pod}/kserve-container"] = "\n".join(f"line {number} {'x' * 200}" for number in range(100))
    player.begin("new-pod")
    player.do("asked")
    player.change({"new-pod": crash_loop(3)})
    logs = wait(player).logs
    assert len(logs) == 2_000
    assert logs.splitlines()[-1].startswith("line 99 ")


def crash_loop(restarts: int) -> dict[str, Any]:
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    status = {"name": "kserve-container", "ready": False, "restartCount": restarts, "state": state}
    return {"status": {"containerStatuses": [status]}}


def test_no_thread_is_left_behind(player: Player) -> None:
    player.do("asked", "deploying", "pulled", "ready", "replaced")
    assert wait(player, BOTH).outcome == "healthy"
    until(lambda: not [each for each in threading.enumerate() if "(follow)" in each.name])


def test_exactly_what_is_used_is_in_the_permissions(api: KubernetesApi, player: Player) -> None:
    player.begin("new-pod")
    player.do("asked", "synced")
    player.change({"new-pod": crash_loop(3)})
    assert wait(player, BOTH).outcome == "degraded"
    rollout.record_event(BOTH, reason="RolloutDegraded", message="it crashes", type="Warning")
    allowed = {(each.group, each.resource, verb) for each in rollout.PERMISSIONS for verb in each.verbs}
    assert api.used == allowed
    by_name = {(each.group, each.resource) for each in rollout.PERMISSIONS if each.by_name}
    asked = [each for each in api.asked if (each.group, each.resource) in by_name]
    assert all(each.params["fieldSelector"].startswith("metadata.name=") for each in asked)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_named_is_nothing_to_wait_for() -> None:
    assert rollout.wait(rollout.Target(), WANTED, timeout=1).outcome == "skipped"


def test_nothing_wanted_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="name a version or a digest"):
        rollout.wait(SERVICE, rollout.Wanted("", ""), timeout=1)


def test_every_recorded_rollout_says_what_it_is_about() -> None:
    assert [name for name in NAMES if not load(name)["about"]] == []
