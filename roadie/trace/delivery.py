"""From a version in a values file forward to what is served, and back to the version before where it does not serve."""

from collections.abc import Callable, Mapping
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
    """A smoke test: the file of samples that the served model is asked, and where it answers.

    An empty `url` is where KServe says that the predictor answers inside of the cluster.
    """

    url: str
    samples: Path


def see_through(
    place: Place,
    target: rollout.Target,
    wanted: rollout.Wanted,
    *,
    timeout: float,
    soak: float = rollout.SOAK,
    trial: Trial | None = None,
    roll_back: bool = True,
    run: str = "",
    trigger: str = "",
    say: Callable[[str], None] = print,
) -> tuple[rollout.Verdict, rollout.Smoke | None]:
    """Wait until `target` serves the version; where it fails by itself, put the version before it back.

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
        RolloutError: the version did not come to serve; the sentence says why and what became of it, and stands in an
            Event on the InferenceService as well. What the version has not done itself (Argo CD is paused, the cluster
            is full, nobody answers at the address) leaves Git as it is.
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
        replaced=lambda: _replaced(place, wanted, history),
        say=say,
    )
    shown = _tried(place, verdict, trial, say) if verdict.outcome == "healthy" and trial else None
    if shown and not shown.ok:
        verdict = replace(verdict, outcome="degraded" if shown.tried else "blocked", reason=shown.reason)
    if verdict.outcome not in {"degraded", "timed-out", "blocked"}:
        return verdict, shown
    if verdict.logs:
        say(verdict.logs)
    trailers = {"Roadie-Run": run, "Roadie-Trigger": trigger}
    sentence = _failed(place, wanted.version, verdict, roll_back, trailers)
    if target.inference_service and (problem := rollout.record_event(target, **_event(verdict, sentence))):
        say(problem)
    raise RolloutError(sentence)


def _event(verdict: rollout.Verdict, sentence: str) -> dict[str, str]:
    """What people see on the InferenceService, where the end of a run does not tell the cause."""
    return {"reason": f"Rollout{verdict.outcome.title().replace('-', '')}", "message": sentence, "type": "Warning"}


def _tried(place: Place, verdict: rollout.Verdict, trial: Trial, say: Callable[[str], None]) -> rollout.Smoke | None:
    """What the smoke test shows; None where nobody named an address, and KServe's is not to be reached from here."""
    url = trial.url or verdict.address
    if not url:
        say("the served model is asked nothing: KServe tells no address of it, so name one")
        return None
    shown = rollout.smoke(url, place.model, rollout.read_samples(trial.samples))
    if shown.tried or trial.url:
        say(shown.reason)
        return shown
    say(f"the served model could not be asked from here: {shown.reason}")
    return None


def _replaced(place: Place, wanted: rollout.Wanted, history: "_History") -> str:
    """What the branch holds in the place of the version; "" while it holds it, or its host has yet to show it."""
    now = _deployed(place)
    if not now:
        return f"{place.branch} holds no version of {place.model} in {place.environment} any more"
    if now.version == wanted.version or (wanted.commit and not history.at(now.commit).contains):
        return ""
    return f"{place.branch} holds {now.version} in {place.environment} by now"


def _deployed(place: Place) -> gitops.Deployment | None:
    layout = gitops.Layout(file=place.file, key=place.key)
    return gitops.deployed(place.repository, place.environment, place.model, branch=place.branch, layout=layout)


def _completed(wanted: rollout.Wanted, place: Place) -> rollout.Wanted:
    """`wanted` with what the commit that deployed it tells: the version where none is given, its digest and manifests.

    Without a digest no manifests are named: nodes may report the index, which they do not tell.

    Raises:
        GitOpsError: the repository cannot be read, or holds no version.
    """
    now = _deployed(place)
    if not wanted.version:
        if not now:
            raise GitOpsError(
                f"{place.environment} in {place.repository} holds no version of {place.model}; deploy one"
            )
        wanted = replace(wanted, version=now.version)
    if not now or now.version != wanted.version:
        return wanted
    digest = wanted.digest or now.digest
    told = now.trailers.get(MANIFESTS, []) if digest else []
    return replace(wanted, digest=digest, digests=tuple(" ".join(told).split()))


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


def _failed(place: Place, version: str, verdict: rollout.Verdict, roll_back: bool, trailers: Mapping[str, str]) -> str:
    """Say how a version failed, and what became of it."""
    failure = f"{place.environment} does not serve {place.model} {version}: {verdict.reason.rstrip('.')}"
    if verdict.outcome == "blocked":
        return f"{failure}; nothing was rolled back, since that is not the version's doing: mend it, and wait again"
    if not roll_back:
        return f"{failure}; roll it back, or deploy another version"
    told = {name: value for name, value in trailers.items() if value}
    return f"{failure}; {_rolled_back(place, version, verdict.reason, told)}"


def _rolled_back(place: Place, version: str, reason: str, trailers: dict[str, str]) -> str:
    """Roll back by a commit, and say what came of it."""
    layout = gitops.Layout(file=place.file, key=place.key)
    try:
        done = gitops.rollback(
            place.repository,
            place.model,
            place.environment,
            bad=version,
            reason=" ".join(reason.split())[:500],
            branch=place.branch,
            layout=layout,
            trailers=trailers,
        )
    except GitOpsError as error:
        return f"it could not be rolled back either: {error}"
    if not done.changed:
        return f"nothing was rolled back: {done.reason}"
    return f"rolled back by commit {done.commit[:10]}, and {version} is not deployed again by itself"
