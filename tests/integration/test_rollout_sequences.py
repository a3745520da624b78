"""Recorded rollouts on a server that speaks the Kubernetes API: each comes to the verdict that its file tells."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from roadie import rollout
from tests.rollouts import NAMES, PATIENCE, Player, api, load
from tests.servers.kubernetes_api import KubernetesApi

__all__ = ["api"]

DIGEST = f"sha256:{'2' * 64}"
COMMIT = "1" * 40
TARGET = {"inference_service": "jukebox", "namespace": "music", "application": "test"}
GIT = "https://git.example.com/mlops/mlops-gitops.git"


def played(api: KubernetesApi, story: dict[str, Any]) -> tuple[rollout.Verdict, list[str]]:
    player = Player(api)
    api.logs.update(story.get("logs", {}))
    api.absent.update(story.get("absent", []))
    player.begin(*story["start"])
    with ThreadPoolExecutor(1) as pool:
        playing = pool.submit(player.play, story["frames"])
        verdict = waited(player, story)
        playing.result(PATIENCE)
    return verdict, player.lines


def waited(player: Player, story: dict[str, Any]) -> rollout.Verdict:
    git = story.get("git", {})
    options = {"timeout": 12.0, "soak": 0.05, "grace": 0.15, **story.get("options", {})}
    return rollout.wait(
        rollout.Target(**{**TARGET, "gitops_repo": GIT, **story.get("target", {})}),
        rollout.Wanted(**{"version": "1.1.0", "digest": DIGEST, "commit": COMMIT, **story.get("wanted", {})}),
        contains=(lambda revision: revision in git.get("contains", [])) if git else None,
        newer=(lambda revision: revision in git.get("newer", [])) if git else None,
        say=player.hear,
        **options,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_rollout_comes_to_its_verdict(api: KubernetesApi, name: str) -> None:
    story = load(name)
    verdict, lines = played(api, story)
    assert (verdict.outcome, verdict.reason) == (story["outcome"], story["reason"]), lines
    assert verdict.revision == story.get("revision", verdict.revision)
    assert verdict.logs == story.get("log", "")
    assert not [one for one, other in itertools.pairwise(lines) if one == other]
