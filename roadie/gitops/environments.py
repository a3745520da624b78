"""The models in each environment: which version is deployed, and since which commit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import DIGEST, check_file
from roadie.gitops.document import step_text
from roadie.gitops.history import DIGEST as DIGEST_TRAILER
from roadie.gitops.history import VERSION, Commit
from roadie.gitops.repository import Repository
from roadie.gitops.values import entries, get_scalar


@dataclass(frozen=True)
class Layout:
    """Where a repository keeps its environments' values, with {environment} and {model} filled in.

    `files` names the values file of an environment that `file` does not tell.
    """

    file: str = "{environment}/values.yaml"
    models: str = "applications"
    key: str = "applications.{model}.values"
    files: Mapping[str, str] = field(default_factory=dict)

    def file_of(self, environment: str) -> str:
        """The values file of an environment."""
        return check_file(self.files.get(environment) or self.file.replace("{environment}", environment))

    def key_of(self, model: str) -> str:
        """The map that holds a model's version."""
        return self.key.replace("{model}", step_text(model))


APP_OF_APPS = Layout()


@dataclass(frozen=True)
class Deployment:
    """A model in an environment: its version and digest ("" for none), and the commit that set the version."""

    environment: str
    model: str
    version: str
    digest: str
    commit: str
    time: int
    subject: str
    trailers: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class State:
    """What a commit left under a model's key."""

    commit: Commit
    version: str | None
    digest: str


def status(
    repo: str,
    environments: Sequence[str] = ("test", "stage"),
    *,
    branch: str = "main",
    layout: Layout = APP_OF_APPS,
    access: Access | None = None,
) -> list[Deployment]:
    """Every model's version in every environment, and the commit that set it."""
    found = []
    with Repository(repo, branch, access) as repository:
        tip = repository.fetch()
        for environment in environments:
            file = layout.file_of(environment)
            entry = repository.find(tip, [file]).get(file)
            if not entry:
                raise GitOpsError(f"{repo} has no {file} on {branch}; name the environments that it has")
            for model in entries(repository.read(entry), layout.models):
                deployment = deployment_of(repository, tip, environment, model, layout)
                if deployment:
                    found.append(deployment)
    return found


def deployed(
    repo: str,
    environment: str,
    model: str,
    *,
    branch: str = "main",
    layout: Layout = APP_OF_APPS,
    access: Access | None = None,
) -> Deployment | None:
    """A model's version in one environment, and the commit that set it; None when there is none."""
    with Repository(repo, branch, access) as repository:
        return deployment_of(repository, repository.fetch(), environment, model, layout)


def states_of(repository: Repository, tip: str, file: str, key: str) -> Iterator[State]:
    """What each commit that changed the model's version left there, newest first.

    A version belongs to the oldest commit of those in a row that have it.
    """
    kept: State | None = None
    for commit in repository.changes(tip, file):
        version, digest = _values_at(repository, commit.sha, file, key)
        if kept and version != kept.version:
            yield kept
            kept = None
        kept = State(commit, version, kept.digest if kept else digest)
    if kept:
        yield kept


def _values_at(repository: Repository, commit: str, file: str, key: str) -> tuple[str | None, str]:
    """Version and digest as `commit` has them; none where its file is missing, or cannot be read."""
    entry = repository.find(commit, [file]).get(file)
    if not entry:
        return None, ""
    text = repository.read(entry)
    try:
        return get_scalar(text, f"{key}.version"), get_scalar(text, f"{key}.digest") or ""
    except GitOpsError:
        return None, ""


def deployment_of(repository: Repository, tip: str, environment: str, model: str, layout: Layout) -> Deployment | None:
    """What an environment holds of a model; None when nothing."""
    for state in states_of(repository, tip, layout.file_of(environment), layout.key_of(model)):
        if state.version is None:
            return None
        commit, trailers = state.commit, state.commit.trailers
        told = trailers.get(DIGEST_TRAILER, [""])[0] if trailers.get(VERSION) == [state.version] else ""
        digest = state.digest or (told if DIGEST.fullmatch(told) else "")
        subject = commit.message.partition("\n")[0]
        return Deployment(environment, model, state.version, digest, commit.sha, commit.time, subject, trailers)
    return None
