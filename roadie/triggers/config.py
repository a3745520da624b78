"""The configuration of the receiver, triggers.yaml: what starts a run of which model, and what holds it back."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


class Strict(BaseModel):
    """A part of the configuration; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Strict):
    """Where a secret is: a file (read anew at each use, so that it can be rotated) or an environment variable."""

    file: Path | None = None
    env: str = ""


class Tls(Strict):
    """Certificate and key, PEM files."""

    certificate: Path
    key: Path


class Listen(Strict):
    """Where and how the receiver listens."""

    host: str = "127.0.0.1"
    port: int = 8080
    tls: Tls | None = None
    max_body_bytes: int = Field(8 << 20, ge=2 << 20)
    seconds_to_send: float = 10.0  # head and body of a request must have arrived by then


class Hook(Strict):
    """One sender: its bearer token (alertmanager), its token (gitlab) or its HMAC secret (github, gitea)."""

    secret: Secret


class Hooks(Strict):
    """The senders that are listened to; a hook that is left out answers 404."""

    alertmanager: Hook | None = None
    github: Hook | None = None
    gitlab: Hook | None = None
    gitea: Hook | None = None


class Page(Strict):
    """The page for people; with a password it asks for it (basic authentication, user `roadie`)."""

    password: Secret | None = None


class Alertmanager(Strict):
    """Alertmanager's own API: asked at start for what fires, and for silences while a run goes on."""

    url: str
    token: Secret | None = None
    ca_file: Path | None = None
    silence: timedelta | None = None  # how long to silence an alert whose run was started


class Runs(Strict):
    """Where runs happen."""

    where: Literal["here", "cluster"] = "here"
    state: Path = Path(".roadie")  # here: the folder of the runs
    endpoint: str = ""  # cluster: KF_PIPELINES_ENDPOINT when empty
    namespace: str = ""
    experiment: str = "Default"
    token: Secret | None = None  # the service account's token when left out
    ca_file: Path | None = None
    seconds_between_looks: float = 10.0


class Notify(Strict):
    """Where outcomes are told."""

    url: Secret
    format: Literal["json", "slack"] = "json"


class GitOps(Strict):
    """The repository that says what is deployed, for the page and for a run's image and commit."""

    repository: str
    branch: str = "main"
    environments: tuple[str, ...] = ("test", "stage")


class Push(Strict):
    """Which pushes start a run. Patterns as in gitignore's simple ones: fnmatch, `*` does not stop at a slash."""

    repository: str
    branches: tuple[str, ...] = ("main",)
    paths: tuple[str, ...] = ()  # none: every path


class Model(Strict):
    """What starts a run of a model, and what holds it back."""

    pipeline: str = "training"
    parameters: dict[str, Any] = {}
    alerts: dict[str, str] | None = None  # label matchers; {model: <name>, retrain: "true"} when left out
    pushes: tuple[Push, ...] = ()
    cool_down: timedelta = timedelta(0)
    max_active: Annotated[int, Field(ge=1)] = 1
    when_active: Literal["skip", "queue", "supersede"] = "queue"
    min_new_rows: Annotated[int, Field(ge=0)] = 0
    window: timedelta | None = None  # gives {window_start} and {window_end}, which is when the alert began


class Config(Strict):
    """triggers.yaml, whole."""

    journal: Path = Path(".roadie/journal.db")
    keep: timedelta = timedelta(days=90)
    listen: Listen = Listen()
    hooks: Hooks = Hooks()
    page: Page = Page()
    alertmanager: Alertmanager | None = None
    runs: Runs = Runs()
    notify: tuple[Notify, ...] = ()
    gitops: GitOps | None = None
    models: dict[str, Model] = {}
