"""What a cluster tells a step: secrets and settings, mounted as files that Roadie alone reads.

As variables of the container they would be KFP's launcher's, too, which runs in the same one: it would write artifacts
with the key that is for the charts, or send them through Roadie's proxy. So each key is a file, and becomes a variable
of the step's own process here, unless that has it already. What a variable sets on a laptop is in this table, or is
nothing that a step reads; the documentation's table is made from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roadie.errors import UsageError

FOLDER = Path("/var/run/secrets/roadie")


@dataclass(frozen=True)
class Mount:
    """A secret, or the ConfigMap with the authorities, in a folder of its own below `FOLDER`.

    `parameter` is the pipeline's parameter that names it, `default` its name. `variables` says which variable a key
    becomes, `paths` which variables get the path of a key's file.
    """

    folder: str
    parameter: str
    default: str
    meaning: str
    variables: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it is mounted."""
        return str(FOLDER / self.folder)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# The way to a server goes with its credentials.
_WAY = _same("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


GIT = Mount(
    "git",
    "git_secret",
    "roadie-git",
    "The GitOps repository: who may push to it, and as whom.",
    {
        "username": "GIT_USERNAME",
        "password": "GIT_PASSWORD",
        "author_name": "GIT_AUTHOR_NAME",
        "author_email": "GIT_AUTHOR_EMAIL",
        "sign_off": "GIT_SIGN_OFF",
        "subject": "GIT_COMMIT_SUBJECT",
        **_WAY,
    },
    {
        "ssh-privatekey": ("GIT_SSH_KEY_FILE",),
        "known_hosts": ("GIT_SSH_KNOWN_HOSTS_FILE",),
        "signing_key": ("GIT_SIGNING_KEY",),
    },
)
REGISTRY = Mount(
    "registry",
    "registry_secret",
    "roadie-registry",
    "The registry of the models' images, as `docker login` writes it.",
    _same("REGISTRY_PLAIN_HTTP", "REGISTRY_PATIENCE", "REGISTRY_MAX_UNPACKED") | _WAY,
    {".dockerconfigjson": ("REGISTRY_AUTH_FILE",)},
)
S3 = Mount(
    "s3",
    "s3_secret",
    "roadie-s3",
    "The store that the tables are read from, or the login to a web server (netrc).",
    _same(
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_S3_ENDPOINT",
        "AWS_S3_ADDRESSING_STYLE",
    )
    | _WAY,
    {"netrc": ("NETRC",)},
)
WEBHOOK = Mount(
    "webhook", "webhook_secret", "roadie-webhook", "Where a run's end is told.", {"url": "ROADIE_WEBHOOK_URL", **_WAY}
)
CA = Mount(
    "ca",
    "",
    "",
    "The authorities to trust, of `compile --settings` (`ca_config_map`).",
    {},
    {"ca.crt": ("REGISTRY_CA_FILE", "GIT_CA_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE")},
)
MOUNTS = (GIT, REGISTRY, S3, WEBHOOK, CA)


def mounted(folder: Path) -> dict[str, str]:
    """The variables that the files below `folder` stand for.

    Raises:
        UsageError: a key is none that Roadie reads, or a file cannot be read.
    """
    return {name: value for mount in reversed(MOUNTS) for name, value in _read(mount, folder / mount.folder)}


def _read(mount: Mount, folder: Path) -> Iterator[tuple[str, str]]:
    for key in _keys(folder):
        path = folder / key
        if key in mount.variables:
            try:
                yield mount.variables[key], path.read_text(encoding="utf-8").strip("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"{path} cannot be read ({error}): put text into it") from None
        elif key in mount.paths:
            yield from ((variable, str(path)) for variable in mount.paths[key])
        else:
            raise UsageError(
                f"{mount.default or mount.folder} has a key {key!r}, which no step reads: "
                f"use {_either((*mount.variables, *mount.paths))}"
            )


def _keys(folder: Path) -> list[str]:
    """The keys of a mounted volume; Kubernetes keeps its own under names that begin with two dots."""
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if not each.name.startswith(".."))


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
