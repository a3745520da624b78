"""Read a secret where it is used, so that a rotated one works at once and none is kept longer than needed."""

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from roadie.errors import TriggerError
from roadie.triggers.config import Config, Secret

_LARGEST = 65536  # bytes; a path that names something else than a secret must not fill the memory


def read(secret: Secret) -> str:
    """The secret, without line breaks and blanks at its ends.

    Raises:
        TriggerError: the file or variable is not there or empty, or it is no text.
    """
    text = _from_file(secret.file) if secret.file else os.environ.get(secret.env, "")
    if text.strip():
        return text.strip()
    where = f"the file {secret.file}" if secret.file else f"the environment variable {secret.env}"
    raise TriggerError(f"{where} is empty or not there; put the secret into it")


# What the steps of a run need on a machine: a shell's basics, and the credentials that are theirs.
_FOR_RUNS = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR", "XDG_*", "PYTHON*", "VIRTUAL_ENV"),
    *("SSL_CERT_*", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "*_PROXY", "*_proxy", "SSH_AUTH_SOCK", "LD_LIBRARY_PATH"),
    *("GIT_*", "REGISTRY_*", "DOCKER_CONFIG", "AWS_*", "S3_*", "KUBECONFIG", "KUBERNETES_*", "KF_*", "PIP_*", "UV_*"),
    *("ROADIE_*", "COSIGN_*", "SOURCE_DATE_EPOCH", "*_NUM_THREADS"),
)


def without(config: Config, environment: Mapping[str, str]) -> dict[str, str]:
    """Of `environment` what a run on this machine may see: an allow-list, and none of the receiver's own secrets."""
    own = {secret.env for _, secret in config.secrets()}
    # A secret that is also there under another name is one all the same.
    values = {environment[name].strip() for name in own if environment.get(name, "").strip()}
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, each) for each in (*_FOR_RUNS, *config.runs.environment))
        and name not in own
        and value.strip() not in values
    }


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise TriggerError(f"the file {path} cannot be read ({error.strerror}); let this user read it") from None
    except UnicodeDecodeError:
        # Not chained: the error quotes the bytes that it could not decode.
        raise TriggerError(f"the file {path} is not text; write the secret as UTF-8") from None
