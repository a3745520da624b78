"""Objects as they are while controllers fill them in: any field may be missing yet, and that is never an error."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roadie.rollout import Target, Wanted
from roadie.rollout.course import Course
from roadie.rollout.look import BLOCKED, DEGRADED, HEALTHY, PROGRESS, SUPERSEDED, UNREADY, WAITING, Snapshot
from tests.rollouts import load, merged

MOVES, BASE = load("moves"), load("base")
WANTED = Wanted("1.1.0", f"sha256:{'2' * 64}", commit="1" * 40)
# What the API's schemas require: no object comes without them.
REQUIRED = {"name", "metadata", "type", "kind", "restartCount", "ready"}


def after(name: str, *moves: str) -> Any:
    found = BASE[name]
    for move in moves:
        found = merged(found, MOVES[move].get(name, {}))
    return found


WORLD = {
    "application": after("application", "syncing", "synced"),
    "child": after("child", "child-asked", "child-synced"),
    "service": after("service", "asked", "deploying"),
    "deployment": after("deployment", "deploying", "ready"),
    "old-pod": after("old-pod"),
    "new-pod": after("new-pod", "pulled"),
}


def paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        if key not in REQUIRED and len(path):
            yield (*path, key)
        yield from paths(value, (*path, key))


ALL = sorted(paths(WORLD), key=str)


def without(world: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        if not isinstance(world, dict | list) or (isinstance(world, dict) and key not in world):
            return
        if isinstance(world, list) and key >= len(world):
            return
        world = world[key]
    if isinstance(world, dict):
        world.pop(path[-1], None)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ALL), max_size=8), st.sampled_from(["application", "child"]))
def test_whatever_is_missing_there_is_a_look(missing: list[tuple[Any, ...]], application: str) -> None:
    world = copy.deepcopy(WORLD)
    for path in missing:
        without(world, path)
    target = Target("jukebox", "music", "test", gitops_repo="https://git.example.com/mlops/mlops-gitops.git")
    course = Course(target, WANTED, 0.0, timeout=60.0, soak=0.0, grace=1.0)
    first = Snapshot(BASE[application], BASE["service"], [BASE["deployment"]], [BASE["old-pod"]])
    pods = [world["old-pod"], world["new-pod"]]
    course.see(first, 1.0)
    course.see(Snapshot(world[application], world["service"], [world["deployment"]], pods), 2.0)
    assert course.look.state in {WAITING, PROGRESS, UNREADY, HEALTHY, DEGRADED, BLOCKED, SUPERSEDED}
    assert "\n" not in course.look.reason
