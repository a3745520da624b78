"""``roadie modelcar`` as people and programs call it."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.registry import PASSWORD, RegistryServer

ROADIE = [sys.executable, "-c", "from roadie.cli import main; main()"]


def roadie(*arguments: str | Path, home: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        [*ROADIE, *map(str, arguments)], input=stdin, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model/1").mkdir(parents=True)
    (tmp_path / "model/1/model.bin").write_bytes(b"weights" * 1000)
    return tmp_path / "model"


def test_push_inspect_verify_and_pull_tell_programs_in_json(
    registry: RegistryServer, model: Path, tmp_path: Path
) -> None:
    reference = registry.reference("cli/json")
    pushed = roadie("modelcar", "push", model, reference, "--annotation", "version=7", "--json", home=tmp_path)
    assert pushed.returncode == 0, pushed.stderr
    outcome = json.loads(pushed.stdout)
    assert outcome["reference"] == f"{registry.host}/cli/json@{outcome['digest']}"
    assert outcome["uploaded_bytes"] > 7000
    assert [layer["files"] for layer in outcome["layers"]] == ["models/1/model.bin"]
    image = json.loads(roadie("modelcar", "inspect", reference, "--json", home=tmp_path).stdout)
    assert image["annotations"]["org.opencontainers.image.version"] == "7"
    verified = json.loads(roadie("modelcar", "verify", outcome["reference"], "--json", home=tmp_path).stdout)
    assert verified["digest"] == outcome["digest"]
    pulled = json.loads(roadie("modelcar", "pull", reference, tmp_path / "back", "--json", home=tmp_path).stdout)
    assert pulled["files"] == ["1/model.bin"]
    assert (tmp_path / "back/1/model.bin").read_bytes() == b"weights" * 1000


def test_people_get_the_reference_on_standard_output_and_the_rest_on_standard_error(
    model: Path, tmp_path: Path
) -> None:
    reference = f"oci:{tmp_path}/layout:v1"
    pushed = roadie("modelcar", "push", model, reference, home=tmp_path)
    assert pushed.stdout.strip().startswith(f"oci:{tmp_path}/layout@sha256:")
    assert "models/1/model.bin  9.7 kB" in pushed.stderr
    again = roadie("modelcar", "push", model, reference, home=tmp_path)
    assert (again.stdout, again.stderr) == (pushed.stdout, "uploaded nothing: it was there\n")
    table = roadie("modelcar", "inspect", reference, home=tmp_path).stdout
    assert "linux/amd64, linux/arm64" in table
    assert "models/1/model.bin" in table


def test_on_a_terminal_every_layer_has_a_bar(model: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "120"}
    command = [*ROADIE, "modelcar", "push", str(model), f"oci:{tmp_path}/layout:v1", "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end of a terminal that was closed
        while chunk := os.read(ours, 1 << 16):
            shown += chunk
    os.close(ours)
    assert json.loads(done.stdout)["digest"]
    assert "1/model.bin" in shown.decode()
    assert "9.7/9.7 kB" in shown.decode()


def test_a_password_comes_by_standard_input(registry_htpasswd: RegistryServer, model: Path, tmp_path: Path) -> None:
    arguments = ("modelcar", "push", model, registry_htpasswd.reference("cli/login"), "--username", "stagehand")
    assert roadie(*arguments, "--password-stdin", home=tmp_path, stdin=f"{PASSWORD}\n").returncode == 0
    wrong = roadie(*arguments, "--password-stdin", home=tmp_path, stdin="hush-hush\n")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "hush-hush" not in wrong.stderr
    assert roadie(*arguments, home=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["push", "missing", "oci:layout:v1"], 1, "missing does not exist"),
        (["push", "/no/such/folder", "oci:layout:v1"], 1, "/no/such/folder does not exist"),
        (["push", ".", "127.0.0.1:9/x:v1", "--timeout", "0"], 2, "0.0 is not in the range x>0"),
        (["push", ".", "https://127.0.0.1:9/x:v1"], 2, "is written without https://"),
        (["push", ".", "layout"], 2, "has no tag and no digest"),
        (["push", ".", "oci:layout:v1", "--annotation", "version"], 2, "is not NAME=VALUE"),
        (["inspect", "oci:nowhere:v1"], 1, "does not exist"),
        (["pull", "127.0.0.1:9/team/model:v1", "back"], 1, "refuses connections"),
    ],
)
def test_a_refusal_is_one_sentence_and_an_exit_code(
    tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = roadie("modelcar", *arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
