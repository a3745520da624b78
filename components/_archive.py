"""The part of roadie that a step carries along, as the same bytes whenever and wherever they are packed."""

import ast
import base64
import bz2
import io
import re
import tarfile
import tokenize
from pathlib import Path

import roadie
from components._reach import path_of, reach
from roadie.errors import UsageError

PACKAGE = Path(roadie.__file__).resolve().parent

_KFP_ARCHIVE = re.compile(r"__KFP_EMBEDDED_ARCHIVE_B64 = '[A-Za-z0-9+/=]*'")
_KFP_MODE = "mode='r:gz'"


def files(body: str, package: Path = PACKAGE) -> dict[str, bytes]:
    """The files that a step with this `body` carries, by their path in the archive.

    The modules of roadie that it reaches, without comments and docstrings, and the templates that they name.
    """
    found: dict[str, bytes] = {}
    for module, source in reach(body, package).items():
        path = path_of(module, package)
        found[path.relative_to(package.parent).as_posix()] = bare(source).encode()
        for template in path.parent.glob("*.j2"):
            if template.name in source:
                text = template.read_text(encoding="utf-8")  # text mode makes CRLF to LF
                found[template.relative_to(package.parent).as_posix()] = text.encode()
    return found


def bare(source: str) -> str:
    """Python `source` without comments and docstrings, every statement on the line where it was.

    It halves what a step carries, and a traceback from a cluster still names the right lines of the repository.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                # An empty string and not nothing: it may be the body's only statement.
                lines[first.lineno - 1] = " " * first.col_offset + '""'
                lines[first.lineno : first.end_lineno] = [""] * ((first.end_lineno or first.lineno) - first.lineno)
    return "\n".join(lines) + "\n"


def pack(contents: dict[str, bytes]) -> str:
    """`contents` as base64 of a bzip2-compressed tar that depends on nothing but names and bytes.

    bzip2 and not gzip: its output is the same on every machine, while that of zlib changed with zlib-ng.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(contents):
            member = tarfile.TarInfo(name)
            member.size = len(contents[name])
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(contents[name]))
    return base64.b64encode(bz2.compress(buffer.getvalue(), 9)).decode("ascii")


def replace_in(source: str, archive: str) -> str:
    """KFP's step `source` with the archive that it embedded (gzip, with times and owners in it) replaced by `archive`.

    Raises:
        UsageError: the source does not look as that of the KFP version that Roadie pins.
    """
    replaced, times = _KFP_ARCHIVE.subn(f"__KFP_EMBEDDED_ARCHIVE_B64 = '{archive}'", source, count=1)
    if times != 1 or _KFP_MODE not in replaced:
        raise UsageError(
            "this kfp embeds files in another way than kfp 2.17.0, which Roadie pins: install requirements.lock again"
        )
    return replaced.replace(_KFP_MODE, "mode='r:bz2'")
