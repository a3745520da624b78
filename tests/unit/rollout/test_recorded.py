"""Real rollouts (Argo CD 3.5, KServe 0.20, Kubernetes 1.36), each judged from each of its events on."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from roadie.rollout import Target, Wanted
from tests.rollouts import recorded
from tests.rollouts.recorded import Ending, Event, play

TEST, GIT = "mlops-test", "https://git.example.com/mlops/mlops-gitops.git"
OTHER = "the branch holds another version"


@dataclass(frozen=True)
class Story:
    """Whom a recording is about, and the outcomes that a person would give, by the second where the watch begins.

    `outcomes` are pairs: from that second on (until the next one's), this outcome or one of these. `held` is when Git
    holds our version, from one second to another.
    """

    recording: str
    version: str
    outcomes: Sequence[tuple[float, str]]
    model: str = ""
    digest: str = ""
    canary: str = ""
    said: str = ""
    held: tuple[float, float] = (-1.0, float("inf"))
    soak: float = 60.0
    ends: bool = False
    options: dict[str, float] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        """What is watched: both where the recording has an Application."""
        if not self.model:
            return Target("radio", "canary", canary=self.canary)
        return Target(self.model, TEST, f"{self.model}-test", gitops_repo=GIT, canary=self.canary)

    def replaced(self, second: float) -> str:
        """What Git says."""
        return "" if self.held[0] <= second < self.held[1] else OTHER

    def expected(self, second: float) -> set[str]:
        """The outcomes that are right for a watch that begins at that second."""
        return set([outcome for since, outcome in self.outcomes if second >= since][-1].split("|"))


SICK, GOOD = "265f2e39e0-a869ecfe0094", "265f2e39e0-2238b4ee83d8"
BY_DIGEST = "sha256:9f2fbcc43740f8cdc857df19ba6454cbe6874dd5bd6e41444d98c284cbeae4a6"
STORIES = {
    "a first version": Story("first-deploy", "1.0.0", [(0, "healthy")], "m-gone"),
    "an update by tag": Story("update-by-tag", "1.1.0", [(0, "")], "m-super", ends=True),
    "an update by digest": Story("update-by-digest", "1.1.0", [(0, "healthy")], "m-digest", BY_DIGEST),
    "an image volume": Story("image-volume", "1.1.0", [(0, "healthy")], "m-native", "sha256:any", said="is believed"),
    "back to the version before one that failed": Story(
        "back-to-old-replicaset-after-progress-deadline", "1.0.0", [(0, "healthy")], "m-notcar"
    ),
    "one whose modelcar is none": Story(
        "back-to-old-replicaset-after-progress-deadline",
        "1.1.0",
        [(0, "degraded"), (16.2, "superseded")],
        "m-notcar",
        held=(-1, 16.2),
    ),
    "a webhook rewrites what Git says": Story(
        "out-of-sync-by-webhook",
        "265f2e39e0-d0ebafbfd8e5",
        [(0, "healthy")],
        "jukebox",
        said="it is OutOfSync at 37af58dde315: InferenceService jukebox",
    ),
    "deleted by hand and made again": Story("deleted-by-hand", "1.1.0", [(0, "healthy")], "m-gone"),
    "a chart that does not render": Story(
        "chart-does-not-render", "1.1.0", [(0, "blocked")], "m-badchart", said="nil pointer"
    ),
    "a sync that a webhook refuses": Story(
        "sync-refused-by-webhook", "1.1.0", [(0, "blocked")], "m-res", said="'MinReplicas' cannot be less than 0"
    ),
    "an image that is not there": Story(
        "image-pull-failure", "9.9.9", [(0, "degraded")], "m-noimage", said="ErrImagePull|ImagePullBackOff"
    ),
    "a model that does not load": Story("crash-loop", "1.1.0", [(0, "degraded")], "m-crash", said="exit code 1"),
    "ready, and then it crashes": Story(
        "ready-then-crash-no-probe", "1.1.0", [(0, "degraded")], "m-slowcrash", said="exit code 1"
    ),
    "one that was rolled back": Story(
        "rollback", SICK, [(0, "degraded"), (154.0, "degraded|superseded"), (174, "superseded")], "jukebox",
        held=(-1, 174),
    ),
    "one that was rolled back to": Story("rollback", GOOD, [(0, "superseded"), (174, "healthy")], "jukebox",
        held=(174, float("inf")), soak=20),
    "replaced in its soak": Story("superseded", "1.1.0", [(0, "superseded")], "m-super", held=(-1, 55)),
    "what replaced it": Story("superseded", "1.2.0-x", [(55, "")], "m-super", ends=True),
    "a stable version beside a canary": Story(
        "canary-20", "1.2.0", [(0, "healthy")], "m-canary", said="it is Degraded|it serves"
    ),
    "the canary beside it": Story("canary-20", "1.1.0", [(0, "healthy")], "m-canary", canary="canary", said="at 20 %"),
    "a canary is not the stable version": Story(
        "canary-dark-10-50-promoted", "1.1.0", [(0, "")], said="is but its canary next", soak=0, ends=True,
        options={"until": 28.0},
    ),
    "the version before a canary": Story("canary-dark-10-50-promoted", "1.0.0", [(0, "healthy"), (8.0, "superseded")],
        held=(-1, 28), soak=20),
    "a canary that is promoted": Story("canary-dark-10-50-promoted", "1.1.0", [(0, "healthy")], canary="next"),
    "the promoted version": Story("canary-dark-10-50-promoted", "1.1.0", [(0, "healthy")], said="it serves"),
    "a canary that crashes": Story(
        "canary-crashes-taken-out", "1.1.0", [(0, "degraded"), (24, "degraded|superseded"), (45.2, "superseded")],
        canary="after", held=(-1, 45.2),
    ),
    "stable beside a canary that crashes": Story("canary-crashes-taken-out", "1.1.0", [(0, "healthy")]),
    "a canary whose image is missing": Story(
        "canary-image-missing", "9.9.9", [(0, "degraded"), (9, "degraded|superseded"), (30.2, "superseded")],
        canary="after", held=(-1, 30.2),
    ),
    "stable beside a canary whose image is missing": Story("canary-image-missing", "1.1.0", [(0, "healthy")]),
    "a canary that is replaced": Story(
        "canary-superseded", "1.1.0", [(0, "superseded")], canary="after", held=(-1, 6.2)
    ),
    "the canary that replaced it": Story(
        "canary-superseded", "1.2.0", [(0, "healthy"), (13, "superseded")], canary="later", held=(-1, 18.7), soak=5
    ),
    "stable beside canaries that change": Story("canary-superseded", "1.1.0", [(0, "healthy")]),
}  # fmt: skip
LAGS = [dict(zip(recorded.KINDS, order, strict=True)) for order in itertools.permutations([0.0, 0.02, 0.4, 1.0])][::5]


def told(story: Story) -> list[Event]:
    until = story.options.get("until", float("inf"))
    return [each for each in recorded.events(story.recording) if each.seconds < until]


def ending(story: Story, events: list[Event], start: int, git: Callable[[float], str] | None) -> Ending:
    wanted = Wanted(story.version, story.digest)
    return play(events, story.target, wanted, start=start, ends=story.ends, replaced=git, soak=story.soak)


@pytest.mark.parametrize("name", STORIES)
def test_a_recorded_rollout_ends_as_a_person_would_say_wherever_the_watch_begins(name: str) -> None:
    story = STORIES[name]
    events = told(story)
    for start, event in enumerate(events):
        if event.seconds < story.outcomes[0][0]:
            continue
        end = ending(story, events, start, story.replaced)
        assert end.outcome in story.expected(event.seconds), (start, event, end)
        if end.outcome != "superseded":
            assert not story.said or any(words in end.reason for words in story.said.split("|")), (start, end)


@pytest.mark.parametrize("name", STORIES)
def test_the_kinds_are_watched_apart_and_the_news_of_any_may_be_late(name: str) -> None:
    story = STORIES[name]
    for lags in LAGS:
        events = recorded.later(told(story), lags)
        start = next(index for index, event in enumerate(events) if event.seconds >= story.outcomes[0][0])
        end = ending(story, events, start, story.replaced)
        assert end.outcome in story.expected(events[start].seconds), (lags, end)


@pytest.mark.parametrize("name", STORIES)
def test_without_git_no_healthy_version_is_taken_back_and_no_sick_one_is_healthy(name: str) -> None:
    story = STORIES[name]
    events = told(story)
    known = {outcome for _, each in story.outcomes for outcome in each.split("|")}
    for start in range(len(events)):
        end = ending(story, events, start, None)
        if "degraded" not in known:
            assert end.outcome not in {"degraded", "timed-out"}, (start, end)
        if "healthy" not in known and story.held == (-1.0, float("inf")):
            assert end.outcome != "healthy", (start, end)


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if story.model])
def test_argo_cd_alone_never_takes_a_healthy_version_back(name: str) -> None:
    """It knows no pods: a sick version may be healthy to it, which the wait says when it begins."""
    story = STORIES[name]
    events, target = told(story), replace(story.target, inference_service="")
    for start in range(len(events)):
        end = play(events, target, Wanted(story.version, story.digest), start=start, soak=story.soak)
        assert end.outcome not in {"degraded", "timed-out"}, (start, end)


def test_every_recording_has_its_story() -> None:
    assert {each.recording for each in STORIES.values()} >= set(recorded.names())
