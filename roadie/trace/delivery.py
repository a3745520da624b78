"""From a version in a values file forward to what is served, and back to the version before where it does not serve."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from roadie import gitops, rollout
from roadie.errors import GitOpsError, RolloutError

MANIFESTS = "Roadie-Manifests"


@dataclass(frozen=True)
class Place:
    """Where a version stands in git: the environment's values file, and the map in it that holds the version."""

    repository: str
    branch: str
    file: str
    key: str
    model: str
    environment: str


@dataclass(frozen=True)
class Trial:
    """A smoke test: where the served model answers, and the file of samples that it is asked."""

    url: str
    samples: Path


def see_through(
    place: Place,
    target: rollout.Target,
    wanted: rollout.Wanted,
    *,
    timeout: float,
    soak: float = 0.0,
    trial: Trial | None = None,
    roll_back: bool = True,
    run: str = "",
    trigger: str = "",
    say: Callable[[str], None] = print,
) -> tuple[rollout.Verdict, rollout.Smoke | None]:
    """Wait until `target` serves the version; where it does not, put the version before it back.

    Args:
        place: Where the version was committed to.
        target: What serves it in the cluster; one that names nothing is not waited for.
        wanted: The version; without one, whichever the branch holds now.
        timeout: Seconds to wait.
        soak: Seconds that it has to stay healthy.
        trial: What it has to answer then; None to ask it nothing.
        roll_back: Whether to roll back; the failure is the same.
        run: The pipeline run, for the rollback's trailers.
        trigger: What started it.
        say: Told of each change.

    Returns:
        The verdict (healthy, skipped, or superseded, which is nobody's failure), and what the trial showed.

    Raises:
        RolloutError: the version did not come to serve; the sentence says why and what became of it.
    """
    if target.inference_service or target.application:
        wanted = _completed(wanted, place)
    history = _History(place, wanted.commit)
    verdict = rollout.wait(
        target,
        wanted,
        timeout=timeout,
        soak=soak,
        contains=lambda revision: history.at(revision).version == wanted.version,
        newer=lambda revision: history.at(revision).contains,
        say=say,
    )
    shown = None
    if verdict.outcome == "healthy" and trial:
        shown = rollout.smoke(trial.url, place.model, rollout.read_samples(trial.samples))
        say(shown.reason)
        if not shown.ok:
            verdict = replace(verdict, outcome="degraded", reason=shown.reason)
    if verdict.outcome not in {"degraded", "timed-out"}:
        return verdict, shown
    if verdict.logs:
        say(verdict.logs)
    failure = f"{place.environment} does not serve {place.model} {wanted.version}: {verdict.reason.rstrip('.')}"
    if not roll_back:
        raise RolloutError(f"{failure}; roll it back, or deploy another version")
    trailers = {name: value for name, value in (("Roadie-Run", run), ("Roadie-Trigger", trigger)) if value}
    raise RolloutError(f"{failure}; {_rolled_back(place, wanted.version, verdict.reason, trailers)}")


def _completed(wanted: rollout.Wanted, place: Place) -> rollout.Wanted:
    """`wanted` with what the commit that deployed it tells: version and digest where none is given, and its manifests.

    Raises:
        GitOpsError: the repository cannot be read, or holds no version.
    """
    layout = gitops.Layout(file=place.file, key=place.key)
    now = gitops.deployed(place.repository, place.environment, place.model, branch=place.branch, layout=layout)
    if not wanted.version:
        if not now:
            raise GitOpsError(
                f"{place.environment} in {place.repository} holds no version of {place.model}; deploy one"
            )
        wanted = replace(wanted, version=now.version, digest=now.digest)
    told = now.trailers.get(MANIFESTS, []) if now and now.version == wanted.version else []
    return replace(wanted, digests=tuple(" ".join(told).split()))


class _History:
    """What git says of revisions, each asked for until it is known."""

    def __init__(self, place: Place, commit: str) -> None:
        self._place, self._commit = place, commit
        self._known: dict[str, gitops.Revision] = {}

    def at(self, revision: str) -> gitops.Revision:
        """The revision; one without a version where the branch does not have it. Raises GitOpsError."""
        place = self._place
        if revision not in self._known:
            found = gitops.look_at(
                place.repository, revision, place.file, place.key, commit=self._commit, branch=place.branch
            )
            if not found:
                return gitops.Revision(None, contains=False)
            self._known[revision] = found
        return self._known[revision]


def _rolled_back(place: Place, version: str, reason: str, trailers: dict[str, str]) -> str:
    """Roll back by a commit, and say what came of it."""
    layout = gitops.Layout(file=place.file, key=place.key)
    try:
        done = gitops.rollback(
            place.repository, place.model, place.environment, bad=version, reason=" ".join(reason.split())[:500],
            branch=place.branch, layout=layout, trailers=trailers,
        )  # fmt: skip
    except GitOpsError as error:
        return f"it could not be rolled back either: {error}"
    if not done.changed:
        return f"nothing was rolled back: {done.reason}"
    return f"rolled back by commit {done.commit[:10]}, and {version} is not deployed again by itself"
