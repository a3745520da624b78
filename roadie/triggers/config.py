"""The configuration of the receiver, triggers.yaml: what starts a run of which model, and what holds it back."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from roadie.addresses import redact
from roadie.triggers.durations import parse_duration

# What a template in `parameters` may name, besides {labels.NAME}; a name that the event does not have is empty.
NAMES = (
    "model",
    "reason",
    "key",
    "alertname",
    "fingerprint",
    "starts_at",
    "generator_url",
    "repository",
    "branch",
    "sha",
    "pusher",
    "window_start",
    "window_end",
)


_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _check_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is not an address; write it like https://alertmanager.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or password; take it out and name a token's file")
    return url.rstrip("/")


def _check_model_name(name: str) -> str:
    if not _MODEL_NAME.fullmatch(name):
        raise ValueError("is not a model's name; use at most 63 of A-Z a-z 0-9 . _ -")
    return name


def _check_no_password(repository: str) -> str:
    if redact(repository) != repository:
        raise ValueError("holds a password; take it out and set GIT_USERNAME and GIT_PASSWORD")
    return repository


def _check_keep(keep: timedelta) -> timedelta:
    if keep < timedelta(days=1):
        raise ValueError("must be a day at least: what is forgotten counts as new when it is sent again")
    return keep


Seconds = Annotated[float, Field(gt=0, le=86400)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Address = Annotated[str, AfterValidator(_check_address)]
Repository = Annotated[str, Field(min_length=1), AfterValidator(_check_no_password)]
ModelName = Annotated[str, AfterValidator(_check_model_name)]


class Strict(BaseModel):
    """A part of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Secret(Strict):
    """Where a secret is: a file (read anew at each use, so that it can be rotated) or an environment variable."""

    file: Path | None = None
    """A file whose first line it is."""
    env: str = ""
    """The name of an environment variable."""

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, given: Any) -> Any:
        if isinstance(given, cls):
            return given
        # What was given is not repeated: it may be the secret itself.
        if not isinstance(given, dict):
            raise ValueError("must say where the secret is, as file or env, and not what it is")
        if bool(given.get("file")) == bool(given.get("env")):
            raise ValueError("needs either file or env, the one place where the secret is")
        return given


class Listen(Strict):
    """Where and how the receiver listens."""

    host: str = "127.0.0.1"
    """The address; 0.0.0.0 in a pod."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """The port; 0 for any free one, which the log names."""
    max_body_bytes: int = Field(8 << 20, ge=2 << 20)
    """The largest payload; a larger one is answered 413."""
    max_connections: int = Field(256, ge=1)
    """How many may be open for more than a moment; for one more, one whose sender is silent or unknown is closed."""
    seconds_to_send: Seconds = 10.0
    """By when the head of a request must have arrived, and then its body."""


class Hook(Strict):
    """One sender: its bearer token (alertmanager), its token (gitlab) or its HMAC secret (github, gitea)."""

    secret: Secret
    """Where it is."""


class Alerts(Hook):
    """Who sends alerts, and which of them never start anything."""

    never: tuple[str, ...] = ()
    """Patterns of `alertname`s that start nothing, besides Grafana's DatasourceNoData and DatasourceError."""


class Hooks(Strict):
    """The senders that are listened to; a hook that is left out answers 404."""

    alertmanager: Alerts | None = None
    """`/hooks/alertmanager`, with a bearer token; Grafana sends to it, too."""
    github: Hook | None = None
    """`/hooks/github`, with the secret of X-Hub-Signature-256."""
    gitlab: Hook | None = None
    """`/hooks/gitlab`, with the token of X-Gitlab-Token."""
    gitea: Hook | None = None
    """`/hooks/gitea`, with the secret of X-Gitea-Signature; Forgejo sends the same."""


class Page(Strict):
    """The page for people; with a password it asks for it (basic authentication, user `roadie`)."""

    password: Secret | None = None
    """Its password; anyone may read the page without one."""
    hosts: tuple[str, ...] = ()
    """Names by which it is asked for where it listens on a loopback address and has no password, besides localhost."""


class Alertmanager(Strict):
    """Alertmanager's own API: asked at start for what fires, and for silences while a run goes on."""

    url: Address
    """Its address, with a path where it has one."""
    token: Secret | None = None
    """A bearer token for it."""
    ca_file: Path | None = None
    """The CA of its certificate, in PEM."""
    silence: Duration | None = None
    """How long to silence an alert whose run was started."""


class Runs(Strict):
    """Where runs happen."""

    where: Literal["here", "cluster"] = "here"
    """On this machine, or on a cluster of Kubeflow Pipelines."""
    state: Path = Path(".roadie")
    """Here: the folder of the runs."""
    environment: tuple[str, ...] = ()
    """Here: patterns of further variables that runs may see; never one that holds a secret of the receiver."""
    endpoint: str = ""
    """Cluster: the address of its API; that of KF_PIPELINES_ENDPOINT when empty."""
    namespace: str = ""
    """Cluster: the profile's namespace, where KFP runs for many users."""
    experiment: str = "Default"
    """Cluster: the experiment of the runs; made when it is not there."""
    service_account: str = ""
    """Cluster: the service account of the runs' pods; KFP's own default when empty."""
    step_image: str = ""
    """Cluster: the image that steps run in, as `roadie image push` prints it; that of ROADIE_STEP_IMAGE when empty. In
    its tag, {revision} is the run's own commit; a run waits until CI has pushed that image."""
    token: Secret | None = None
    """Cluster: a bearer token; that of the pod's service account when left out."""
    ca_file: Path | None = None
    """Cluster: the CA of its certificate, in PEM."""
    seconds_between_looks: Seconds = 10.0
    """How often runs are looked at."""
    seconds_to_settle: Seconds = 120.0
    """After so long, a create whose answer was lost has taken effect or never will."""


class Notify(Strict):
    """Where outcomes are told."""

    url: Secret
    """The webhook's address, which often is a secret itself."""
    format: Literal["json", "slack"] = "json"
    """Facts by name, or a `text` as Slack, Mattermost and Microsoft Teams take it."""


class GitOps(Strict):
    """The repository that says what is deployed, for the page and for a run's image and commit."""

    repository: Repository
    """Its address; credentials come from GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN)."""
    branch: str = "main"
    """The branch that is deployed."""
    environments: tuple[str, ...] = ("test", "stage")
    """The folders of its values files."""


class Push(Strict):
    """Which pushes start a run. Patterns as in gitignore's simple ones: fnmatch, `*` does not stop at a slash."""

    repository: Repository
    """The repository that is pushed to; scheme, user and `.git` do not matter."""
    branches: Annotated[tuple[str, ...], Field(min_length=1)] = ("main",)
    """Patterns of branches."""
    paths: tuple[str, ...] = ()
    """Patterns of files of which one must have changed; none for every push."""


class PipelineSource(Strict):
    """A repository whose compiled pipeline is run: as the pushed commit has it, or else the branch's tip.

    The run's `source` and `revision` name them, unless `parameters` do.
    """

    repository: Repository
    """Its address; credentials come from GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN)."""
    branch: str = "main"
    """The branch; a pushed commit has to be on it."""
    file: str = "compiled/pipelines/training.yaml"
    """The compiled YAML in it."""


class Model(Strict):
    """What starts a run of a model, and what holds it back."""

    pipeline: str = "training"
    """A name in compiled/pipelines, or the path of a compiled YAML; with `from_git` it tells the parameters alone."""
    from_git: PipelineSource | None = None
    """Where the pipeline is read from as a run starts, so that a push trains with the code that was pushed."""
    parameters: dict[str, Any] = {}
    """The pipeline's parameters; texts may hold {names} of the event."""
    values: dict[str, re.Pattern[str]] = {}
    """What such a name may stand for, as a regular expression; `[A-Za-z0-9._-]{1,63}` when left out."""
    alerts: Annotated[dict[str, str], Field(min_length=1)] | None = None
    """The labels that an alert must have; `model: NAME` and `retrain: "true"` when left out."""
    pushes: tuple[Push, ...] = ()
    """Which pushes start a run."""
    cool_down: Duration = timedelta(0)
    """How long after an accepted event others are held back."""
    max_active: Annotated[int, Field(ge=1)] = 1
    """How many runs may wait or go on at once."""
    when_active: Literal["skip", "queue", "supersede"] = "queue"
    """What becomes of an event beyond that: it is held back, waits, or takes the place of the older ones."""
    min_new_rows: Annotated[int, Field(ge=0)] = 0
    """How many rows the charts must have gained since the last run."""
    window: Duration | None = None
    """The length of {window_start} to {window_end}, which is when the event began."""


class Config(Strict):
    """triggers.yaml, whole."""

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """Every secret that is named, with its key."""
        for name, hook in self.hooks:
            if hook:
                yield f"hooks.{name}.secret", hook.secret
        if self.page.password:
            yield "page.password", self.page.password
        if self.alertmanager and self.alertmanager.token:
            yield "alertmanager.token", self.alertmanager.token
        if self.runs.token:
            yield "runs.token", self.runs.token
        for number, notify in enumerate(self.notify):
            yield f"notify[{number}].url", notify.url

    journal: Path = Path(".roadie/journal.db")
    """The file of the journal, on a disk that stays."""
    keep: Annotated[Duration, AfterValidator(_check_keep)] = timedelta(days=90)
    """How long entries are kept."""
    listen: Listen = Listen()
    """Where and how the receiver listens."""
    hooks: Hooks = Hooks()
    """The senders that are listened to."""
    page: Page = Page()
    """The page for people."""
    alertmanager: Alertmanager | None = None
    """Alertmanager's own API."""
    runs: Runs = Runs()
    """Where runs happen."""
    notify: tuple[Notify, ...] = ()
    """Where outcomes are told."""
    gitops: GitOps | None = None
    """The repository that says what is deployed."""
    models: dict[ModelName, Model] = {}
    """What starts a run of which model."""
