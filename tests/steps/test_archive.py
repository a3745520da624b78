import ast
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from components import _archive
from roadie.errors import UsageError

BODY = "def step():\n    from roadie import room\n    room.work()\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "roadie"
    (package / "room").mkdir(parents=True)
    sources = {
        "__init__.py": '"""Face."""',
        "room/__init__.py": "from roadie.room.work import work",
        "room/work.py": "PAGE = 'page.html.j2'\n\n\ndef work():\n    return PAGE\n",
        "room/page.html.j2": "<p>{{ text }}</p>\n",
        "room/other.j2": "not named by any module that is reached",
        "room/idle.py": "IDLE = True\n",
    }
    for name, text in sources.items():
        (package / name).write_text(text)
    return package


def members(archive: str) -> list[tarfile.TarInfo]:
    raw = _archive.unpack(archive)
    return tarfile.open(fileobj=io.BytesIO(raw)).getmembers()


def test_a_step_carries_the_modules_that_it_reaches_and_the_templates_they_name(package: Path) -> None:
    assert set(_archive.files(BODY, package)) == {
        "roadie/__init__.py",
        "roadie/room/__init__.py",
        "roadie/room/page.html.j2",
        "roadie/room/work.py",
    }


def test_the_archive_depends_on_names_and_bytes_alone(package: Path) -> None:
    before = _archive.pack(_archive.files(BODY, package))
    for path in package.rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o700)
        os.utime(path, (1, 1))
    assert _archive.pack(_archive.files(BODY, package)) == before


def test_the_archive_tells_neither_times_nor_owners(package: Path) -> None:
    for member in members(_archive.pack(_archive.files(BODY, package))):
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_a_source_that_kfp_laid_out_in_another_way_is_refused() -> None:
    with pytest.raises(UsageError, match="kfp 2.17.0"):
        _archive.embed("print('no imports here')", "QQ==")


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


def test_an_archive_is_text_that_no_stage_on_the_way_to_a_pod_changes(package: Path) -> None:
    text = _archive.pack(_archive.files(BODY, package))
    assert json.loads(json.dumps(text)) == yaml.safe_load(yaml.safe_dump(text)) == ast.literal_eval(f"'{text}'") == text
    assert not set(text) & set("\"$&'<>\\{} ")
