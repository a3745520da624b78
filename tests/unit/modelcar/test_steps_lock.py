"""The lock of a steps' image: what it pins for this Python, and what it may not leave open."""

from pathlib import Path

import pytest

from roadie.errors import UsageError
from roadie.modelcar.steps.lock import Pin, read_lock


def lock(directory: Path, text: str) -> Path:
    path = directory / "requirements.lock"
    path.write_text(text)
    return path


def test_pins_are_read_with_their_hashes_and_without_what_is_for_others(tmp_path: Path) -> None:
    text = (
        f"# by a tool\n--index-url https://pypi.example.com/simple\n"
        f"Ruamel.YAML==0.18.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n    # via x\n"
        "colorama==0.4.6 ; sys_platform == 'win32'\nsix==1.17.0  # the old one\n"
    )
    assert read_lock(lock(tmp_path, text)) == (
        Pin("ruamel-yaml", "0.18.0", frozenset({"a" * 64, "b" * 64})),
        Pin("six", "1.17.0", frozenset()),
    )


@pytest.mark.parametrize(
    "line", ["six>=1", "six", "six==1.*", "six @ https://example.com/six.whl", "-r more.txt", "-e .", "./six.whl"]
)
def test_a_line_that_pins_no_version_is_named_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match=r"Line 2 of .*requirements.lock pins no version"):
        read_lock(lock(tmp_path, f"attrs==26.1.0\n{line}\n"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "colorama==1 ; sys_platform == 'win32'\n"])
def test_a_lock_that_names_nothing_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="names nothing"):
        read_lock(lock(tmp_path, text))


def test_two_versions_of_one_distribution_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two versions of six"):
        read_lock(lock(tmp_path, "six==1.17.0\nSIX==1.16.0\n"))


def test_a_lock_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_lock(tmp_path / "none.lock")
