"""Where the two tables come from: the built-in sample, a folder, a web address or an S3 prefix."""

import re
from dataclasses import dataclass
from pathlib import Path

from roadie.data.schema import TABLES
from roadie.data.tables import file_sha256
from roadie.errors import DataError

SAMPLE = "sample"
KINDS = "sample, a folder, http(s)://HOST/FOLDER or s3://BUCKET/PREFIX"
# [user:password@] host[:port][/path] [?query][#fragment]; RFC 3986, section 3
ADDRESS = re.compile(r"(?:[^/?#@]*@)?((?:\[[^]]*]|[^/?#@:]*)(?::\d+)?(?:/[^?#]*)?)(?:[?#]|\Z)")


@dataclass(frozen=True)
class SourceFile:
    """One raw table as it was read: enough to find the very same bytes again.

    `uri` never holds credentials. `version_id` is the object store's name for these bytes, if it has one.
    """

    name: str
    uri: str
    sha256: str
    size: int
    version_id: str | None = None


@dataclass(frozen=True)
class Fetched:
    """Both raw tables, and the folder of this machine that they lie in."""

    folder: Path
    files: tuple[SourceFile, ...]


def fetch(source: str, scratch: Path, *, seed: int) -> Fetched:
    """Bring both tables to this machine: into `scratch`, or for a folder leave them where they are.

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

        return _described(scratch, {name: web.download(source, name, scratch) for name in TABLES})
    if scheme == "s3":
        from roadie.data import s3

        versions = s3.download(source, scratch)
        return _described(scratch, {name: f"{redact(source).rstrip('/')}/{name}" for name in TABLES}, versions)
    if scheme:
        raise DataError(f"Roadie does not read sources like {redact(source)}; give {KINDS}")
    return _folder(source)


def write_sample(directory: Path, *, seed: int = 0) -> None:
    """Write the built-in charts to `directory`: about 20,000 rows of rankings, about 2,000 songs.

    The bytes depend on the seed alone. Another seed gives other songs for the same tastes.
    """
    from roadie.data import sample

    sample.write(directory, seed=seed)


def _folder(source: str) -> Fetched:
    folder = Path(source).expanduser()
    if not source or not folder.is_dir():
        raise DataError(f"There is no folder {source!r} to read charts from; give {KINDS}")
    for name in TABLES:
        if not (folder / name).is_file():
            raise DataError(f"The folder {source} has no {name}; it must hold {' and '.join(TABLES)}")
    return _described(folder, {name: str(folder / name) for name in TABLES})


def _described(folder: Path, uris: dict[str, str], versions: dict[str, str | None] | None = None) -> Fetched:
    def describe(name: str) -> SourceFile:
        path = folder / name
        try:
            return SourceFile(name, uris[name], file_sha256(path), path.stat().st_size, (versions or {}).get(name))
        except OSError as error:
            raise DataError(f"{uris[name]} cannot be read: {error.strerror}; check its permissions") from error

    return Fetched(folder, tuple(describe(name) for name in TABLES))


def redact(source: str) -> str:
    """The source without what may be secret: user and password, query (a signature) and fragment.

    Of an address that cannot be taken apart for sure, as a password with a slash makes it, nothing is left.
    """
    scheme, mark, rest = source.partition("://")
    if not mark:
        return source
    address = ADDRESS.match(rest)
    return f"{scheme}://{address[1] if address else '...'}"
