"""Reading tar archives: what a layer holds, header by header, with nothing believed and little held in memory.

Python's tarfile reads whole extension records, makes links, and has differed between patch levels in what it lets a
member do; a model is files and folders, and for these a reader is short. It understands what Go's archive/tar does,
which container runtimes use: V7, ustar, GNU long names, PAX records (POSIX.1-2017, "pax Interchange Format").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from roadie.modelcar.content import BUFFER

Kind = Literal["file", "folder", "link", "other"]

_BLOCK = 512
# Names and PAX records longer than this (bytes) are refused, as Go does.
_MAX_RECORD = 1 << 20
_KINDS: dict[bytes, Kind] = {b"0": "file", b"\0": "file", b"7": "file", b"5": "folder", b"1": "link", b"2": "link"}
# Entries that are headers alone, whatever size they claim: links, devices, folders, pipes.
_WITHOUT_CONTENT = b"123456"


class TarError(Exception):
    """What was read is no tar archive, or one cut short."""


class Readable(Protocol):
    """What `read` of a binary file offers; it may give less than was asked for, and nothing at the end."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""


@dataclass(frozen=True)
class Member:
    """An entry; `name`, and the `target` of a link, as they are written there; `size` in bytes."""

    name: str
    kind: Kind
    size: int
    target: str = ""


class Archive:
    """Iterate over the members; `content` gives the bytes of the one that came last."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._left = self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        names, records = dict[bytes, str](), dict[str, str]()
        while (header := self._header()) is not None:
            kind = header[156:157]
            if kind in b"LKxg":
                body = self._record(_number(header[124:136]))
                if kind in b"LK":
                    names[kind] = _text(body)
                elif kind == b"x":
                    records = _pax(body)
                continue
            yield self._member(header, names, records)
            for _ in self.content():
                pass
            names, records = {}, {}

    def content(self) -> Iterator[bytes]:
        """The member's bytes, or what is left of them."""
        while self._left:
            chunk = self._file.read(min(self._left, BUFFER))
            if not chunk:
                raise TarError("it ends in the middle of a file")
            self._left -= len(chunk)
            yield chunk
        self._exactly(self._padding)
        self._padding = 0

    def _member(self, header: bytes, names: dict[bytes, str], records: dict[str, str]) -> Member:
        name = names.get(b"L", "") or records.get("path", "") or _name(header)
        target = names.get(b"K", "") or records.get("linkpath", "") or _text(header[157:257])
        size = _decimal(records["size"]) if records.get("size") else _number(header[124:136])
        flag = header[156:157]
        kind = _KINDS.get(flag, "other")
        if any(key.startswith("GNU.sparse.") for key in records):
            kind = "other"
        if kind == "file" and name.endswith("/"):  # how V7 wrote folders
            kind = "folder"
        self._left = 0 if flag in _WITHOUT_CONTENT else size
        self._padding = -self._left % _BLOCK
        return Member(name, kind, self._left, target if kind == "link" else "")

    def _header(self) -> bytes | None:
        """The next header; None at the end mark, or where the archive ends without one."""
        block = self._exactly(_BLOCK, empty=True)
        if not block:
            return None
        if not any(block):
            if any(self._exactly(_BLOCK, empty=True)):
                raise TarError("something follows half an end mark")
            return None
        told = _number(block[148:156])
        if told != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
            raise TarError("a header's checksum is wrong")
        return block

    def _record(self, size: int) -> bytes:
        if size > _MAX_RECORD:
            raise TarError("a name or record is longer than 1 MiB")
        return self._exactly(size + -size % _BLOCK)[:size]

    def _exactly(self, size: int, *, empty: bool = False) -> bytes:
        found = bytearray()
        while len(found) < size and (chunk := self._file.read(size - len(found))):
            found += chunk
        if len(found) < size and not (empty and not found):
            raise TarError("it is cut short")
        return bytes(found)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    # GNU's old format has other things where ustar has the beginning of a long name.
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """A number as octal digits, or (the first bit set) in base 256; never negative."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value >= 1 << 63:
            raise TarError("a number is negative or too large")
        return value
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("a number is none")
    return int(digits or b"0", 8)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:  # noqa: PLR2004 - digits of 2 to the power of 63
        raise TarError("a number is none")
    return int(text)


def _pax(body: bytes) -> dict[str, str]:
    """PAX records, `length key=value\\n` each; an empty value takes a record back."""
    records = {}
    while body:
        length, _, _ = body[:20].partition(b" ")
        end = _decimal(length.decode("ascii", "replace")) if length else 0
        key, equals, value = body[len(length) + 1 : end - 1].partition(b"=")
        if not equals or not key or end > len(body) or body[end - 1 : end] != b"\n":
            raise TarError("a PAX record is none")
        if b"\0" in key or (b"\0" in value and key == b"path"):
            raise TarError("a PAX record holds a null byte")
        records[_text(key)] = value.decode("utf-8", "surrogateescape")
        body = body[end:]
    return records
