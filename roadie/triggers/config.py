"""The configuration of the receiver, triggers.yaml: what starts a run of which model, and what holds it back."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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
    if "://" in repository and urlsplit(repository).password is not None:
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

    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(Strict):
    """Where a secret is: a file (read anew at each use, so that it can be rotated) or an environment variable."""

    file: Path | None = None
    env: str = ""

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


class Tls(Strict):
    """Certificate and key, PEM files."""

    certificate: Path
    key: Path


class Listen(Strict):
    """Where and how the receiver listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080  # 0: any free one, which the log names
    tls: Tls | None = None
    max_body_bytes: int = Field(8 << 20, ge=2 << 20)
    max_connections: int = Field(256, ge=1)
    seconds_to_send: Seconds = 10.0  # head and body of a request must have arrived by then


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

    url: Address
    token: Secret | None = None
    ca_file: Path | None = None
    silence: Duration | None = None  # how long to silence an alert whose run was started


class Runs(Strict):
    """Where runs happen."""

    where: Literal["here", "cluster"] = "here"
    state: Path = Path(".roadie")  # here: the folder of the runs
    endpoint: str = ""  # cluster: KF_PIPELINES_ENDPOINT when empty
    namespace: str = ""
    experiment: str = "Default"
    token: Secret | None = None  # the service account's token when left out
    ca_file: Path | None = None
    seconds_between_looks: Seconds = 10.0
    # After so long a create whose answer was lost has taken effect, or never will (triggers-exactly-once.md).
    seconds_to_settle: Seconds = 120.0


class Notify(Strict):
    """Where outcomes are told."""

    url: Secret
    format: Literal["json", "slack"] = "json"


class GitOps(Strict):
    """The repository that says what is deployed, for the page and for a run's image and commit."""

    repository: Repository
    branch: str = "main"
    environments: tuple[str, ...] = ("test", "stage")


class Push(Strict):
    """Which pushes start a run. Patterns as in gitignore's simple ones: fnmatch, `*` does not stop at a slash."""

    repository: Repository
    branches: Annotated[tuple[str, ...], Field(min_length=1)] = ("main",)
    paths: tuple[str, ...] = ()  # none: every path


class Model(Strict):
    """What starts a run of a model, and what holds it back."""

    pipeline: str = "training"
    parameters: dict[str, Any] = {}
    # Label matchers; {model: <name>, retrain: "true"} when left out. None at all would match every alert there is.
    alerts: Annotated[dict[str, str], Field(min_length=1)] | None = None
    pushes: tuple[Push, ...] = ()
    cool_down: Duration = timedelta(0)
    max_active: Annotated[int, Field(ge=1)] = 1
    when_active: Literal["skip", "queue", "supersede"] = "queue"
    min_new_rows: Annotated[int, Field(ge=0)] = 0
    window: Duration | None = None  # gives {window_start} and {window_end}, which is when the alert began


class Config(Strict):
    """triggers.yaml, whole."""

    journal: Path = Path(".roadie/journal.db")
    keep: Annotated[Duration, AfterValidator(_check_keep)] = timedelta(days=90)
    listen: Listen = Listen()
    hooks: Hooks = Hooks()
    page: Page = Page()
    alertmanager: Alertmanager | None = None
    runs: Runs = Runs()
    notify: tuple[Notify, ...] = ()
    gitops: GitOps | None = None
    models: dict[ModelName, Model] = {}
