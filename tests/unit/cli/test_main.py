import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAVY = {"kfp", "polars", "numpy", "sklearn", "onnx", "matplotlib", "git", "boto3", "kubernetes", "pydantic", "rich"}


def roadie(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "roadie", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_imports_nothing_heavy() -> None:
    program = "import sys, roadie.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(said.split()) == set()


def test_every_command_has_help() -> None:
    from roadie.cli import roadie as group

    for name, command in group.commands.items():
        assert command.help, name
        assert roadie(name, "--help").returncode == 0, name


def test_bad_usage_exits_with_2_and_one_sentence() -> None:
    for arguments in (["run", "--no-such-option"], ["run", "training", "-p", "seed"], ["run", "no-such-pipeline"]):
        done = roadie(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_a_failure_exits_with_1_and_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    done = roadie("run", "training", "--state", str(tmp_path / "file" / "state"))
    assert done.returncode == 1
    assert done.stderr.startswith("roadie: ")
    assert done.stderr.endswith("(Not a directory); name a folder that can\n")
    assert done.stderr.count("\n") == 1


def test_debug_shows_where_a_failure_comes_from(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    assert "Traceback" in roadie("--debug", "run", "training", "--state", str(tmp_path / "file" / "state")).stderr


def test_compile_outside_of_a_checkout_says_where_to_run_it(tmp_path: Path) -> None:
    done = roadie("compile", cwd=tmp_path)
    assert done.returncode == 2
    assert "in a checkout of Roadie" in done.stderr
    assert "stand in a checkout of Roadie" in roadie("run", "training-of-mine", cwd=tmp_path).stderr


def test_the_parameters_of_a_pipeline_are_shown_with_type_default_and_meaning() -> None:
    said = roadie("run", "training", "--help-parameters").stdout
    assert 'charts (string, default "sample")\n    Where the chart tables are' in said
    assert "seed (number_integer, default 42)" in said


@pytest.mark.parametrize("lacking", ["git"])
def test_doctor_names_what_is_lacking_and_how_to_get_it(tmp_path: Path, lacking: str) -> None:
    done = roadie("doctor", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install git" in done.stdout
    assert f"lacking {lacking}" in done.stderr


def test_doctor_is_content_here() -> None:
    done = roadie("doctor", "--json")
    assert done.returncode == 0, done.stderr
