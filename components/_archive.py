"""The part of roadie that a step carries along, as the same bytes whenever and wherever they are packed."""

import ast
import base64
import bz2
import io
import tarfile
import tokenize
from pathlib import Path

import roadie
from components._reach import path_of, reach
from roadie.errors import UsageError

PACKAGE = Path(roadie.__file__).resolve().parent

# RFC 1924's 85 digits, and 85 that pass unchanged through all that a step's source goes through on its way to a pod: a
# Python literal, YAML, JSON (Go escapes <, > and &), Argo ({{...}}) and Kubernetes ($(...)). Base 64 takes 7% more.
_RFC1924 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_SAFE = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"$&'<>\\{}")

# Where KFP's own imports end in the source of a step, and what puts the archive on the path there.
_IMPORTS_END = "from typing import *\n"
_UNPACK = """
ROADIE_ARCHIVE = '{archive}'
import base64 as _base64, io as _io, string as _string, sys as _sys, tarfile as _tarfile, tempfile as _tempfile
_rfc1924 = _string.digits + _string.ascii_uppercase + _string.ascii_lowercase + '!#$%&()*+-;<=>?@^_`{{|}}~'
_safe = ''.join(chr(c) for c in range(33, 127) if c not in (34, 36, 38, 39, 60, 62, 92, 123, 125))
_bytes = _base64.b85decode(ROADIE_ARCHIVE.translate(str.maketrans(_safe, _rfc1924)))
_roadie = _tempfile.TemporaryDirectory(prefix='roadie-')
with _tarfile.open(fileobj=_io.BytesIO(_bytes), mode='r:bz2') as _tar:
    _tar.extractall(_roadie.name)
_sys.path.insert(0, _roadie.name)
"""


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


def bare_body(source: str) -> str:
    """The `source` of a step without its docstring, which the compiled interface tells anyway, and without blank lines.

    A step is a face: no string in its body has a blank line in it.
    """
    return "".join(f"{line}\n" for line in bare(source).splitlines() if line.strip())


def pack(contents: dict[str, bytes]) -> str:
    """`contents` as text, in base 85, of a bzip2-compressed tar that depends on nothing but names and bytes.

    bzip2 and not gzip: its output is the same on every machine, while that of zlib changed with zlib-ng.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(contents):
            member = tarfile.TarInfo(name)
            member.size = len(contents[name])
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(contents[name]))
    text = base64.b85encode(bz2.compress(buffer.getvalue(), 9)).decode("ascii")
    return text.translate(str.maketrans(_RFC1924, _SAFE))


def unpack(text: str) -> bytes:
    """The tar that `pack` made this text of."""
    return bz2.decompress(base64.b85decode(text.translate(str.maketrans(_SAFE, _RFC1924))))


def embed(source: str, archive: str) -> str:
    """The `source` of a step as KFP composed it, with `archive` unpacked and importable before the step begins.

    KFP can embed a folder itself (``embedded_artifact_path``), but with its times and owners, and with four times as
    much code around it.

    Raises:
        UsageError: the source does not look as that of the KFP version that Roadie pins.
    """
    imports, end, body = source.partition(_IMPORTS_END)
    if not end:
        raise UsageError(
            "this kfp composes steps in another way than kfp 2.17.0, which Roadie pins: install requirements.lock again"
        )
    return imports + end + _UNPACK.format(archive=archive) + body
