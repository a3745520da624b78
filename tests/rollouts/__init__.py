"""Rollouts as a cluster tells them, step by step: one YAML file each, and what Roadie must make of it.

A file has `start` (the objects of base.yaml that are there at the beginning), `frames`, and the `outcome` and `reason`
to be come to. A frame does what moves.yaml describes (`do`), or changes objects itself (`set`), or lets something go
wrong (`fault`: drop, forget), and then waits until a line with the words of `then` was told. What the objects
look like is as in the recordings of real rollouts, which recorded.py plays.
"""

import copy
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.kubernetes_api import KubernetesApi, serve_kubernetes

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem not in {"base", "moves"})
PATIENCE = 10.0  # seconds for a line to be told

Object = dict[str, Any]


def load(name: str) -> Any:
    """The content of a file of this folder."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


@dataclass
class Player:
    """Plays a rollout on a server, frame by frame, as fast as the lines that it hears allow."""

    api: KubernetesApi
    lines: list[str] = field(default_factory=list)
    _base: Object = field(default_factory=lambda: load("base"))
    _moves: Object = field(default_factory=lambda: load("moves"))
    _told: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, line: str) -> None:
        """What `rollout.wait` tells."""
        with self._told:
            self.lines.append(line)
            self._told.notify_all()

    def begin(self, *names: str) -> None:
        """Put the objects of base.yaml with these names into the cluster."""
        self.api.apply(*(copy.deepcopy(self._base[name]) for name in names))

    def play(self, frames: list[Object]) -> None:
        """Play frames, each as soon as the one before was understood."""
        heard = 0
        for frame in frames:
            for move in frame.get("do", []):
                self.change(self._moves[move])
            self.change(frame.get("set", {}))
            if fault := frame.get("fault"):
                getattr(self.api, fault)()
            if "then" in frame:
                heard = self._await(frame["then"], heard)

    def do(self, *moves: str) -> None:
        """Do what moves.yaml describes."""
        for move in moves:
            self.change(self._moves[move])

    def change(self, patches: Mapping[str, Object | None]) -> None:
        """Patch objects by the names of base.yaml; one that is not there yet is made of what base.yaml has."""
        for name, patch in patches.items():
            base = self._base[name]
            key = base["kind"], base["metadata"]["namespace"], base["metadata"]["name"]
            if patch is None:
                self.api.remove(*key)
            else:
                self.api.apply(merged(self.api.get(*key) or copy.deepcopy(base), patch))

    def _await(self, words: str, heard: int) -> int:
        def found() -> int:
            return next((index for index, line in enumerate(self.lines) if index >= heard and words in line), -1)

        with self._told:
            if not self._told.wait_for(lambda: found() >= 0, PATIENCE):
                raise AssertionError(f"no line with {words!r} was told; there were {self.lines}")
            return found() + 1


def merged(target: Any, patch: Any) -> Any:
    """`target` with a merge patch applied (RFC 7386); its generation is left to the server when its spec changes."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    """A cluster with nothing in it, to which KUBECONFIG leads."""
    with serve_kubernetes(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        yield server


@pytest.fixture
def player(api: KubernetesApi) -> Player:
    """A cluster that serves version 1.0.0."""
    player = Player(api)
    player.begin("application", "service", "deployment", "old-pod")
    return player
