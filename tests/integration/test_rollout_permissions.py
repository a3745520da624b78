"""What deploy/rbac grants, as the API server's own authoriser sees it: enough for the steps, and nothing to spare."""

import itertools
import json

import pytest

from roadie import rollout
from roadie.errors import RolloutError
from tests.rollouts import Player, api, player
from tests.servers.kubernetes_api import USER, KubernetesApi, account_token

__all__ = ["api", "player"]

WANTED = rollout.Wanted("1.1.0", f"sha256:{'2' * 64}", commit="1" * 40)
BOTH = rollout.Target("jukebox", "music", "test")
POD = "jukebox-predictor-7b4d9f6c4-new01"
CRASHES = {
    "status": {
        "containerStatuses": [
            {
                "name": "kserve-container",
                "ready": False,
                "restartCount": 3,
                "image": "openvino/model_server:2025.1",
                "imageID": "",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            }
        ]
    }
}
RIGHTS = [(each.group, each.resource, verb) for each in rollout.PERMISSIONS for verb in each.verbs]


def needed(verb: str) -> list[tuple[str, str]]:
    """The resources for which a wait needs the verb: group, and resource as RBAC names it."""
    return [(group, resource) for group, resource, each in RIGHTS if each == verb]


def dotted(group: str, resource: str) -> str:
    return ".".join(filter(None, (resource, group)))


@pytest.fixture
def failing(api: KubernetesApi, player: Player) -> Player:
    """A version whose pod crashes, which needs every right to be told."""
    api.logs[f"{POD}/kserve-container/previous"] = "no such operator"
    player.begin("new-pod")
    player.do("asked", "synced")
    player.change({"new-pod": CRASHES})
    return player


def wait(player: Player) -> rollout.Verdict:
    return rollout.wait(BOTH, WANTED, timeout=10.0, soak=0.0, grace=0.2, say=player.hear)


def event() -> str:
    return rollout.record_event(BOTH, reason="RolloutDegraded", message="it crashes", type="Warning")


def test_the_account_of_the_steps_needs_deploy_rbac_and_nothing_else(api: KubernetesApi, failing: Player) -> None:
    """Over TLS, straight to the API server."""
    api.kubeconfig.write_text(json.dumps(api.server.kubeconfig(account_token(api.server))))
    verdict = wait(failing)
    assert (verdict.outcome, verdict.logs) == ("degraded", "no such operator")
    assert event() == ""
    assert not [line for line in failing.lines if "forbidden" in line]


@pytest.mark.parametrize(("group", "resource"), needed("list"), ids=str)
def test_a_forbidden_list_names_what_to_grant_and_to_whom(
    api: KubernetesApi, failing: Player, group: str, resource: str
) -> None:
    where = "argocd" if group == "argoproj.io" else "music"
    words = f"the cluster answered 403 to list {dotted(group, resource)} in {where}: grant that to {USER}"
    with api.without(group, resource, "list"), pytest.raises(RolloutError) as refused:
        wait(failing)
    assert str(refused.value) == words


@pytest.mark.parametrize(("group", "resource"), needed("watch"), ids=str)
def test_a_forbidden_watch_is_replaced_by_lists_and_said_once(
    api: KubernetesApi, player: Player, monkeypatch: pytest.MonkeyPatch, group: str, resource: str
) -> None:
    monkeypatch.setattr("roadie.rollout.mirror.INTERVAL", 0.05)
    player.do("synced", "asked", "deploying", "pulled", "ready", "replaced")
    with api.without(group, resource, "watch"):
        assert rollout.wait(BOTH, WANTED, timeout=10.0, soak=0.3, say=player.hear).outcome == "healthy"
    told = [line for line in player.lines if "forbidden" in line]
    assert told == [f"watching {resource} is forbidden, so they are listed every few seconds"]
    asked = [each.verb for each in api.asked if each.resource == resource]
    assert asked[:2] == ["list", "watch"]
    assert set(asked[2:]) == {"list"}


def test_a_log_that_may_not_be_read_names_what_to_grant(api: KubernetesApi, failing: Player) -> None:
    with api.without("", "pods/log", "get"):
        verdict = wait(failing)
    assert verdict.outcome == "degraded"
    assert verdict.logs == f"the cluster answered 403 to get pods/log in music: grant that to {USER}"


def test_an_event_that_may_not_be_made_names_what_to_grant(api: KubernetesApi, player: Player) -> None:
    with api.without("", "events", "create"):
        said = event()
    assert said == (
        "no Event is recorded on InferenceService music/jukebox: "
        f"the cluster answered 403 to create events in music: grant that to {USER}"
    )


def test_every_right_that_is_needed_is_taken_away_in_one_of_these_tests() -> None:
    told = {("", "pods/log", "get"), ("", "events", "create")}
    taken = {(group, resource, verb) for verb in ("list", "watch") for group, resource in needed(verb)}
    assert taken | told == set(RIGHTS)


def test_the_authoriser_allows_the_account_nothing_but_what_is_needed(api: KubernetesApi) -> None:
    """SelfSubjectRulesReview: all that the account may do, but for what everybody may ask about themselves."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    reviews = (
        api.server.ask("POST", path, {"spec": {"namespace": namespace}}, token=account_token(api.server))
        for namespace in ("music", "argocd")
    )
    allowed = {
        (group, resource, verb)
        for review in reviews
        for rule in review["status"]["resourceRules"]
        for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        if group not in {"authorization.k8s.io", "authentication.k8s.io"}
    }
    assert allowed == set(RIGHTS)


def test_what_the_authoriser_allows_is_as_narrow_as_the_names_in_a_role(api: KubernetesApi, player: Player) -> None:
    """A Role may be narrowed by resourceNames where an object is asked for by its name."""
    player.do("synced", "asked", "deploying", "pulled", "ready", "replaced")
    with api.narrowed({"applications": "test", "inferenceservices": "jukebox"}):
        assert wait(player).outcome == "healthy"
        other = rollout.Target("another", "music")
        with pytest.raises(RolloutError, match=r"answered 403 to list inferenceservices\.serving\.kserve\.io in music"):
            rollout.wait(other, WANTED, timeout=5.0, say=player.hear)
