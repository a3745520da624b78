"""The models in each environment: which version is deployed, and since which commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_file
from roadie.gitops.document import step_text
from roadie.gitops.past import identity_of, past_of
from roadie.gitops.patience import PATIENCE, SHORT, Patience
from roadie.gitops.repository import HISTORY, Repository
from roadie.gitops.values import entries


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


def status(
    repo: str,
    environments: Sequence[str] = ("test", "stage"),
    *,
    branch: str = "main",
    layout: Layout = APP_OF_APPS,
    access: Access | None = None,
    budget: float = SHORT,
) -> list[Deployment]:
    """Every model's version in every environment, and the commit that set it; `budget` is seconds, as people wait."""
    found = []
    with Repository(repo, branch, access, Patience(budget)) as repository:
        tip = repository.fetch(HISTORY)
        for environment in environments:
            file = layout.file_of(environment)
            entry = repository.find(tip, [file]).get(file)
            if not entry:
                raise GitOpsError(f"{repository.name} has no {file} on {branch}; name the environments that it has")
            try:
                models = entries(repository.read(entry), layout.models)
            except GitOpsError as error:
                raise GitOpsError(f"{file}: {error}") from None
            for model in models:
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
    budget: float = PATIENCE,
) -> Deployment | None:
    """A model's version in one environment, and the commit that set it; None when there is none."""
    with Repository(repo, branch, access, Patience(budget)) as repository:
        return deployment_of(repository, repository.fetch(HISTORY), environment, model, layout)


def deployment_of(repository: Repository, tip: str, environment: str, model: str, layout: Layout) -> Deployment | None:
    """What an environment holds of a model; None when nothing."""
    key = layout.key_of(model)
    place = f"{key}.version"
    past = past_of(repository, tip, layout.file_of(environment), lambda past: past.rows(place)[0].sure)
    rows = past.rows(place)
    if not rows or rows[0].value is None:
        return None
    version, commit = rows[0].value, rows[0].commit
    known = identity_of(past, key, rows, version)
    trailers = {**rows[0].trailers, **{name: [value] for name, value in known.trailers.items()}}
    return Deployment(environment, model, version, known.digest, commit.sha, commit.time, commit.subject, trailers)
