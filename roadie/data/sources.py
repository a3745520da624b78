"""Where the two tables come from: the built-in sample, a folder, a web address or an S3 prefix."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadie.addresses import redact, refuse_secrets
from roadie.data.parts import local_parts
from roadie.data.schema import TABLES
from roadie.data.tables import file_sha256, gather
from roadie.errors import DataError

SAMPLE = "sample"
KINDS = "sample, a folder, http(s)://HOST/FOLDER or s3://BUCKET/PREFIX"


@dataclass(frozen=True)
class SourceFile:
    """One raw table, or one part of it, as it was read: enough to find the very same bytes again.

    `uri` never holds credentials. `version_id` is the object store's name for these bytes, if it has one.
    """

    name: str
    uri: str
    sha256: str
    size: int
    version_id: str | None = None


@dataclass(frozen=True)
class Fetched:
    """The tables that were asked for, and the folder of this machine that they lie in."""

    folder: Path
    files: tuple[SourceFile, ...]


def fetch_table(source: str, destination: Path) -> SourceFile:
    """Bring one table, such as the holdout of an earlier run, to `destination`.

    Args:
        source: a file, `http(s)://HOST/PATH` or `s3://BUCKET/KEY`; or a folder of parts, except on the web.
        destination: the file to write; its bytes are those of the source, if that is one file.

    Raises:
        DataError: the source is not understood, does not answer, refuses, or lacks the table.
        UsageError: the source holds a password or a signature.
    """
    refuse_secrets({"source": source})
    scheme, mark, rest = source.partition("://")
    if mark:
        address, question, query = rest.partition("?")
        folder, _, name = address.rpartition("/")
        folder = f"{scheme}://{folder}{question}{query}"
    else:
        path = Path(source).expanduser()
        if not path.name:
            raise DataError(f"There is no folder {source!r} that is a table; give a file, or a folder of parts")
        path = path.absolute()
        folder, name = str(path.parent), path.name
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".table-", dir=destination.parent) as scratch:
        fetched = fetch(folder, Path(scratch), names=(name,))
        if (fetched.folder / name).is_dir():
            digest = gather(fetched.folder / name, destination)
            return SourceFile(name, redact(source), digest, destination.stat().st_size)
        shutil.copyfile(fetched.folder / name, destination)
    return fetched.files[0]


def fetch(source: str, scratch: Path, *, seed: int = 0, names: Sequence[str] = TABLES) -> Fetched:
    """Bring the tables `names` to this machine: into `scratch`, or for a folder leave them where they are.

    Raises:
        DataError: the source is not understood, does not answer, refuses, or lacks a table.
    """
    if source == SAMPLE:
        write_sample(scratch, seed=seed)
        return _described(scratch, {name: f"sample/{name}?seed={seed}" for name in TABLES})
    scheme = source.partition("://")[0].lower() if "://" in source else ""
    # Imported where they are used: the steps that read only what is on disk need nothing but polars.
    if scheme in ("http", "https"):
        from roadie.data import web

        return _described(scratch, {name: web.download(source, name, scratch) for name in names})
    if scheme == "s3":
        from roadie.data import s3

        versions = s3.download(source, scratch, names)
        return _described(scratch, {name: f"{redact(source).rstrip('/')}/{name}" for name in versions}, versions)
    if scheme:
        raise DataError(f"Roadie does not read sources like {redact(source)}; give {KINDS}")
    return _folder(source, names)


def write_sample(directory: Path, *, seed: int = 0) -> None:
    """Write the built-in charts to `directory`: about 20,000 rows of rankings, about 2,000 songs.

    The bytes depend on the seed alone. Another seed gives other songs for the same tastes.
    """
    from roadie.data import sample

    sample.write(directory, seed=seed)


def _folder(source: str, names: Sequence[str]) -> Fetched:
    folder = Path(source).expanduser()
    if not source or not folder.is_dir():
        raise DataError(f"There is no folder {source!r} to read charts from; give {KINDS}")
    found: list[str] = []
    for name in names:
        if (folder / name).is_dir() and name:
            found += (f"{name}/{part}" for part in local_parts(folder / name))
        elif (folder / name).is_file():
            found.append(name)
        else:
            raise DataError(f"The folder {source} has no {name}; it must hold {' and '.join(names)}")
    return _described(folder, {name: str(folder / name) for name in found})


def _described(folder: Path, uris: dict[str, str], versions: dict[str, str | None] | None = None) -> Fetched:
    def describe(name: str) -> SourceFile:
        path = folder / name
        try:
            return SourceFile(name, uris[name], file_sha256(path), path.stat().st_size, (versions or {}).get(name))
        except OSError as error:
            raise DataError(f"{uris[name]} cannot be read: {error.strerror}; check its permissions") from error

    return Fetched(folder, tuple(describe(name) for name in uris))
