"""Read a secret where it is used, so that a rotated one works at once and none is kept longer than needed."""

import os
from pathlib import Path

from roadie.errors import TriggerError
from roadie.triggers.config import Secret

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
