import base64
import bz2
import io
import os
import tarfile
from pathlib import Path

import pytest

from components import _archive
from roadie.errors import UsageError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "roadie"
    (package / "room" / "inner").mkdir(parents=True)
    for name in (
        "__init__.py",
        "errors.py",
        "room/__init__.py",
        "room/work.py",
        "room/page.html.j2",
        "room/inner/__init__.py",
    ):
        (package / name).write_text(f"# {name}\n")
    (package / "room" / "notes.txt").write_text("not for steps")
    (package / "room" / "__pycache__").mkdir()
    (package / "room" / "__pycache__" / "work.pyc").write_bytes(b"\0")
    return package


def members(archive: str) -> list[tarfile.TarInfo]:
    raw = bz2.decompress(base64.b64decode(archive))
    return tarfile.open(fileobj=io.BytesIO(raw)).getmembers()


def test_a_room_brings_its_sources_and_templates_and_nothing_else(package: Path) -> None:
    names = set(_archive.files(["room"], package))
    assert names == {
        "roadie/__init__.py",
        "roadie/errors.py",
        "roadie/room/__init__.py",
        "roadie/room/page.html.j2",
        "roadie/room/work.py",
    }


def test_a_part_of_a_room_is_embedded_only_when_it_is_named(package: Path) -> None:
    assert "roadie/room/inner/__init__.py" in _archive.files(["room", "room/inner"], package)


def test_an_unknown_room_is_named(package: Path) -> None:
    with pytest.raises(UsageError, match="no room named 'cellar'"):
        _archive.files(["cellar"], package)


def test_the_archive_depends_on_names_and_bytes_alone(package: Path) -> None:
    before = _archive.pack(_archive.files(["room"], package))
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert _archive.pack(_archive.files(["room"], package)) == before


def test_the_archive_tells_neither_times_nor_owners(package: Path) -> None:
    for member in members(_archive.pack(_archive.files(["room"], package))):
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_a_source_that_kfp_laid_out_in_another_way_is_refused() -> None:
    with pytest.raises(UsageError, match="kfp 2.17.0"):
        _archive.replace_in("print('no archive here')", "QQ==")


SOURCE = '''\
"""A module's docstring,
over two lines."""

LABEL = "# no comment"  # a comment


class Refused(Exception):
    """Only a docstring."""


def double(x: int) -> int:
    """Doubles.

    Returns twice x.
    """
    text = """not a docstring"""  # nor this
    assert text
    # a line of its own
    return 2 * x
'''


def test_comments_and_docstrings_stay_at_home_and_every_line_keeps_its_number() -> None:
    bare = _archive.bare(SOURCE)
    assert "Doubles" not in bare
    assert "a comment" not in bare
    assert len(bare.splitlines()) == len(SOURCE.splitlines())
    for number, line in enumerate(SOURCE.splitlines()):
        if "return 2" in line or "not a docstring" in line:
            assert bare.splitlines()[number] == line.partition("  #")[0]


def test_a_source_without_its_docstrings_does_the_same() -> None:
    names: dict[str, object] = {}
    exec(_archive.bare(SOURCE), names)
    assert names["LABEL"] == "# no comment"
    assert names["double"](4) == 8  # type: ignore[operator]


@pytest.mark.parametrize("path", sorted(_archive.PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_every_source_of_roadie_survives_the_stripping(path: Path) -> None:
    compile(_archive.bare(path.read_text()), str(path), "exec")
