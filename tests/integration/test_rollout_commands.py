"""`roadie rollout wait`, Events, and a wait in another process, as a pipeline's step is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from roadie import rollout
from roadie.cli import roadie
from roadie.errors import RolloutError, UsageError
from tests.rollouts import Player, api, merged, player
from tests.servers.kubernetes_api import KubernetesApi

__all__ = ["api", "player"]

DIGEST = f"sha256:{'2' * 64}"
TARGET = rollout.Target("jukebox", "music")
SERVED = ("asked", "deploying", "pulled", "ready", "replaced")
OPTIONS = (
    *("--version", "1.1.0", "--digest", DIGEST, "--inference-service", "jukebox", "--namespace", "music"),
    *("--soak", "0"),
)


def command(*options: str) -> Result:
    return CliRunner().invoke(roadie, ["rollout", "wait", *options])


def test_the_command_tells_each_change_and_the_outcome(player: Player) -> None:
    player.do(*SERVED)
    done = command(*OPTIONS)
    assert done.exit_code == 0, done.output
    served = "InferenceService music/jukebox: it serves oci://registry.example.com/mlops/jukebox:1.1.0"
    assert done.stdout == f"healthy: {served}\n"
    assert served in done.stderr.splitlines()


def test_the_command_waits_for_a_canary_by_its_name(player: Player) -> None:
    done = command(*OPTIONS, "--canary", "next", "--timeout", "0.2")
    assert str(done.exception) == (
        "1.1.0 is blocked: InferenceService music/jukebox: it has no canary next; that is where it stood after 0.2 s"
    )


def test_the_command_gives_the_verdict_as_json(player: Player) -> None:
    player.do("synced", *SERVED)
    done = command(*OPTIONS, "--application", "test", "--commit", "1" * 40, "--json")
    told = json.loads(done.stdout)
    assert (told["outcome"], told["revision"], told["logs"]) == ("healthy", "1" * 40, "")


def test_the_command_fails_with_the_reason_and_shows_the_log(api: KubernetesApi, player: Player) -> None:
    player.begin("new-pod")
    player.do("asked")
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    crash = [{"name": "kserve-container", "ready": False, "restartCount": 4, "state": waits}]
    player.change({"new-pod": {"status": {"containerStatuses": crash}}})
    api.logs["jukebox-predictor-7b4d9f6c4-new01/kserve-container/previous"] = "no such operator"
    done = command(*OPTIONS)
    assert isinstance(done.exception, RolloutError)
    assert str(done.exception).startswith(
        "1.1.0 is degraded: InferenceService music/jukebox: container kserve-container"
    )
    assert "no such operator" in done.stderr
    assert done.stdout == ""


def test_the_command_wants_to_know_what_to_watch() -> None:
    done = command("--version", "1.1.0")
    assert isinstance(done.exception, UsageError)
    assert "--inference-service, --application, or both" in str(done.exception)


def test_a_wait_in_another_process_sees_what_a_controller_makes_of_what_changes_here(
    player: Player, tmp_path: Path
) -> None:
    """As when a pipeline's step waits for what Argo CD makes of a commit: here a file is Git's tip."""
    tip = tmp_path / "tip"
    tip.write_text("0" * 40)

    def argo_cd(api: KubernetesApi) -> None:
        seen = tip.read_text()
        now = api.get("Application", "argocd", "test") or {}
        if seen and now["status"]["sync"]["revision"] != seen:
            api.apply(merged(now, {"status": {"sync": {"revision": seen}}}))
            player.do(*SERVED)

    arguments = ["rollout", "wait", *OPTIONS, "--application", "test", "--commit", "1" * 40, "--timeout", "20"]
    with player.api.following(argo_cd, every=0.05):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "roadie", *arguments],
            env={**os.environ, "KUBECONFIG": str(player.api.kubeconfig)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr
        for line in waiting.stderr:
            if "not yet at 111111111111" in line:
                break
        tip.write_text("1" * 40)
        stdout, stderr = waiting.communicate(timeout=120)
    assert stdout.startswith("healthy: "), stderr
    assert waiting.returncode == 0


def event(target: rollout.Target = TARGET, **changes: Any) -> str:
    return rollout.record_event(target, **{"reason": "RolloutHealthy", "message": "it serves 1.1.0", **changes})


def test_an_event_is_about_the_inference_service_and_its_uid(api: KubernetesApi, player: Player) -> None:
    assert event() == ""
    (recorded,) = api.all("Event")
    service = api.get("InferenceService", "music", "jukebox") or {}
    assert recorded["involvedObject"] == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "name": "jukebox",
        "namespace": "music",
        "uid": service["metadata"]["uid"],
    }
    assert (recorded["type"], recorded["reason"], recorded["message"]) == (
        "Normal",
        "RolloutHealthy",
        "it serves 1.1.0",
    )
    assert recorded["metadata"]["namespace"] == "music"
    assert recorded["count"] == 1


def test_a_long_message_is_cut_to_what_the_api_server_takes(api: KubernetesApi, player: Player) -> None:
    assert event(message="ä" * 2_000, type="Warning") == ""
    assert len(api.all("Event")[0]["message"].encode()) == 1024


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (409, 'events "a" already exists', 'events "a" already exists'),
        (503, "leader changed", "leader changed"),
    ],
)
def test_an_event_that_cannot_be_recorded_is_a_sentence(
    api: KubernetesApi, player: Player, status: int, message: str, words: str
) -> None:
    api.refuse(status, "create", "events", message=message)
    where = "no Event is recorded on InferenceService music/jukebox"
    assert event() == f"{where}: the cluster answered {status} to create events in music: {words}"


def test_two_events_of_one_second_do_not_conflict(api: KubernetesApi, player: Player) -> None:
    assert (event(), event()) == ("", "")
    assert len(api.all("Event")) == 2


def test_an_inference_service_that_may_not_be_read_gets_an_event_without_its_uid(
    api: KubernetesApi, player: Player
) -> None:
    with api.without("serving.kserve.io", "inferenceservices", "list"):
        assert event() == ""
    assert "uid" not in api.all("Event")[0]["involvedObject"]


def test_without_a_cluster_an_event_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text("{}")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert f"the file that KUBECONFIG names, {tmp_path / 'kubeconfig'}, cannot be used (" in event()
    (tmp_path / "kubeconfig").write_text("users:\n- token: [swordfish\n")
    assert "in line 3); name a kubeconfig file" in event()
    assert "swordfish" not in event()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    assert f"{tmp_path / 'nothing'}, is not there (" in event()
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "nothing"))
    assert event().endswith("there is no cluster to ask: run inside one, or set KUBECONFIG")
