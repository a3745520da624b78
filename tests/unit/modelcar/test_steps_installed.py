"""What of an environment goes into the steps' image: exactly what the lock names, as it was installed."""

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from roadie.errors import ModelCarError
from roadie.modelcar.steps import installed, sources
from roadie.modelcar.steps.installed import Packages
from roadie.modelcar.steps.lock import Pin

WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"


def install(
    site: Path,
    name: str = "song",
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    extra: dict[str, str] | None = None,
    unrecorded: dict[str, str] | None = None,
) -> Path:
    """A distribution as an installer leaves it: with a module, a script outside, a RECORD; returns the module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "def sing(): ...\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": WHEEL.format(tag=tag),
        f"../../../bin/{name}": f"#!{site}/python\n",
        **(extra or {}),
    }
    lines = [f"{info}/RECORD,,"]
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    for path, text in {**files, **(unrecorded or {})}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    lines += [f"{path},," for path in unrecorded or {} if path.endswith(".pyc")]
    (site / info / "RECORD").write_text("\n".join(lines) + "\n")
    return site / f"{name}/__init__.py"


def site_of(directory: Path) -> Path:
    site = directory / "lib/python3/site-packages"
    site.mkdir(parents=True)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_of(tmp_path)


def pin(name: str = "song", version: str = "1.0", *hashes: str) -> Pin:
    return Pin(name, version, frozenset(hashes))


def collect(site: Path, *pins: Pin) -> Packages:
    return installed.collect(pins or (pin(),), "opt/packages", [site])


def contents(packages: Packages) -> dict[str, tuple[int, bytes]]:
    return {
        entry.name: (entry.mode, Path(entry.path).read_bytes() if entry.content is None else entry.content)
        for entry in packages.entries
    }


def test_what_the_index_brought_goes_along_and_what_the_installer_added_stays(site: Path) -> None:
    install(site, extra={"song-1.0.dist-info/INSTALLER": "uv", "song-1.0.dist-info/uv_cache.json": "{}"})
    install(site, "not-in-the-lock")
    (site / "song/left-behind.py").write_text("nobody's")
    assert set(contents(collect(site))) == {
        "opt/packages/song/__init__.py",
        "opt/packages/song-1.0.dist-info/METADATA",
        "opt/packages/song-1.0.dist-info/RECORD",
        "opt/packages/song-1.0.dist-info/WHEEL",
    }


def test_two_installers_on_two_machines_give_the_same(tmp_path: Path) -> None:
    here, there = site_of(tmp_path / "here"), site_of(tmp_path / "there")
    install(here, extra={"song-1.0.dist-info/INSTALLER": "uv", "song-1.0.dist-info/REQUESTED": ""})
    module = install(
        there,
        extra={"song-1.0.dist-info/INSTALLER": "pip\n"},
        unrecorded={"song/__pycache__/__init__.cpython-311.pyc": "compiled"},
    )
    module.chmod(0o600)
    os.utime(module, (1, 1))
    assert contents(collect(here)) == contents(collect(there))
    assert collect(here).digest == collect(there).digest


def test_a_program_inside_a_package_stays_one(site: Path) -> None:
    install(site, extra={"song/player": "#!/bin/sh\n"})
    (site / "song/player").chmod(0o700)
    modes = {entry.name: entry.mode for entry in collect(site).entries}
    assert modes["opt/packages/song/player"] == 0o755
    assert modes["opt/packages/song/__init__.py"] == 0o644


def test_a_changed_file_is_named(site: Path) -> None:
    install(site).write_text("def sing(): steal()\n")
    with pytest.raises(ModelCarError, match=r"^song/__init__.py of song 1.0 was changed after it was installed"):
        collect(site)


def test_a_file_that_is_gone_is_named(site: Path) -> None:
    install(site).unlink()
    with pytest.raises(ModelCarError, match=r"^song/__init__.py of song 1.0 is missing"):
        collect(site)


def test_all_that_is_missing_is_told_at_once(site: Path) -> None:
    install(site)
    pins = [pin(), *(pin(f"other{number}") for number in range(7))]
    with pytest.raises(ModelCarError, match=r"lacks other0 1.0, other1 1.0, .*other4 1.0 and 2 more, which the lock"):
        collect(site, *pins)


def test_another_version_than_the_lock_s_is_told(site: Path) -> None:
    install(site)
    with pytest.raises(ModelCarError, match=r"has song 1.0 and the lock names 1.1"):
        collect(site, pin(version="1.1"))
    assert collect(site, pin(version="1.0.0")).count == 1, "PEP 440 calls them equal"


@pytest.mark.parametrize(
    ("origin", "where"),
    [
        ({"url": "file:///home/me/song", "dir_info": {"editable": True}}, "a folder"),
        ({"url": "https://token@git.example.com/song", "vcs_info": {"vcs": "git", "commit_id": "1"}}, "a repository"),
        ({"url": "https://token@example.com/song.whl", "archive_info": {"hashes": {"sha256": "ff"}}}, "an archive"),
        ({"url": "https://token@example.com/song.whl", "archive_info": {}}, "an archive"),
    ],
)
def test_what_came_from_elsewhere_is_not_the_lock_s(site: Path, origin: dict[str, object], where: str) -> None:
    install(site, extra={"song-1.0.dist-info/direct_url.json": json.dumps(origin)})
    with pytest.raises(ModelCarError, match=f"song was installed from {where}") as told:
        collect(site)
    assert "token" not in str(told.value)


@pytest.mark.parametrize("info", [{"hashes": {"sha256": "ab"}}, {"hash": "sha256=ab"}])
def test_a_wheel_from_a_folder_is_the_lock_s_when_its_hash_is(site: Path, info: dict[str, object]) -> None:
    origin = {"url": "file:///wheels/song.whl", "archive_info": info}
    install(site, extra={"song-1.0.dist-info/direct_url.json": json.dumps(origin)})
    assert collect(site, pin("song", "1.0", "ab")).count == 1


def test_a_distribution_without_a_record_cannot_be_checked(site: Path) -> None:
    install(site)
    (site / "song-1.0.dist-info/RECORD").unlink()
    with pytest.raises(ModelCarError, match="song has no RECORD"):
        collect(site)


def test_a_file_without_a_digest_cannot_be_checked(site: Path) -> None:
    install(site)
    record = site / "song-1.0.dist-info/RECORD"
    record.write_text(record.read_text() + "song/more.py,,\n")
    (site / "song/more.py").write_text("")
    with pytest.raises(ModelCarError, match="no sha256 of song/more.py"):
        collect(site)


@pytest.mark.parametrize(
    "tag", ["cp27-cp27mu-manylinux1_x86_64", "cp311-cp311-win_amd64", "cp311-cp311-macosx_11_0_arm64"]
)
def test_what_was_built_for_another_python_or_machine_is_told(site: Path, tag: str) -> None:
    install(site, tag=tag)
    with pytest.raises(ModelCarError, match=f"song 1.0 was built for {tag}, not for this Python"):
        collect(site)


def test_a_name_that_would_delete_in_the_base_is_refused(site: Path) -> None:
    install(site, extra={"song/.wh.init": ""})
    with pytest.raises(ModelCarError, match="means a deleted file"):
        collect(site)


def test_of_code_what_is_compiled_or_hidden_stays(tmp_path: Path) -> None:
    for name in ("jukebox/steps/train.py", "jukebox/.secret", "jukebox/__pycache__/x.pyc", "jukebox/_shipped/x.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [entry.name for entry in sources.collect([tmp_path / "jukebox"], "code")] == ["code/jukebox/steps/train.py"]


def test_a_link_out_of_the_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jukebox").mkdir()
    (tmp_path / "password").write_text("sesame")
    (tmp_path / "jukebox/data.txt").symlink_to(tmp_path / "password")
    with pytest.raises(ModelCarError, match=r"data.txt links to .*password"):
        sources.collect([tmp_path / "jukebox"], "code")
