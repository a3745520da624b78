"""Where a registry's password comes from, which of several wins, and that none is ever shown."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from roadie.errors import UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.credentials import Credentials, find_credentials
from roadie.modelcar.reference import Reference, parse_reference

JUKEBOX = parse_reference("quay.io/team/jukebox:v1")


def auths(path: Path, **entries: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": {key.replace("__", "/"): value for key, value in entries.items()}}))
    return path


def encoded(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def found(environment: dict[str, str], reference: Reference = JUKEBOX, access: Access | None = None) -> Credentials:
    return find_credentials(reference, access or Access(), environment)


@pytest.fixture(autouse=True)
def _no_mounted_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadie.modelcar.credentials.MOUNTED_SECRET", tmp_path / "secret/.dockerconfigjson")


def test_what_was_given_wins_over_the_environment_and_that_over_files(tmp_path: Path) -> None:
    file = auths(tmp_path / "auth.json", **{"quay.io": encoded("filed", "1")})
    environment = {"REGISTRY_USERNAME": "env", "REGISTRY_PASSWORD": "2", "REGISTRY_AUTH_FILE": str(file)}
    assert found(environment, access=Access(username="given", password="3")) == Credentials("given", "3")
    assert found(environment) == Credentials("env", "2")
    assert found({"REGISTRY_AUTH_FILE": str(file)}) == Credentials("filed", "1")
    assert not found({})


def test_the_environments_password_is_not_for_the_registry_of_a_base() -> None:
    environment = {"REGISTRY_USERNAME": "env", "REGISTRY_PASSWORD": "2"}
    assert not found(environment, access=Access(own=False))


def test_the_most_specific_entry_of_a_file_wins(tmp_path: Path) -> None:
    entries = {
        "quay.io": encoded("host", "1"),
        "quay.io__team": encoded("team", "2"),
        "quay.io__tea": encoded("no", "3"),
    }
    environment = {"REGISTRY_AUTH_FILE": str(auths(tmp_path / "auth.json", **entries))}
    assert found(environment).username == "team"
    assert found(environment, parse_reference("quay.io/other/x:v1")).username == "host"
    assert not found(environment, parse_reference("registry.example.com/x:v1"))


def test_each_usual_place_is_looked_into(tmp_path: Path) -> None:
    auths(tmp_path / "docker/config.json", **{"https:____quay.io__v1__": encoded("docker", "1")})
    auths(tmp_path / "run/containers/auth.json", **{"quay.io": {"username": "podman", "password": "2"}})
    auths(tmp_path / "home/.docker/config.json", **{"quay.io": encoded("home", "with:colon")})
    assert found({"DOCKER_CONFIG": str(tmp_path / "docker")}).username == "docker"
    assert found({"XDG_RUNTIME_DIR": str(tmp_path / "run")}) == Credentials("podman", "2")
    assert found({"HOME": str(tmp_path / "home")}) == Credentials("home", "with:colon")
    auths(tmp_path / "secret/.dockerconfigjson", **{"quay.io": encoded("mounted", "4")})
    assert found({"HOME": str(tmp_path / "home")}).username == "mounted"


def test_docker_hub_has_a_name_of_its_own(tmp_path: Path) -> None:
    file = auths(tmp_path / "auth.json", **{"https:____index.docker.io__v1__": encoded("hub", "1")})
    assert found({"REGISTRY_AUTH_FILE": str(file)}, parse_reference("docker.io/team/x:v1")).username == "hub"


def test_an_identity_token_is_taken(tmp_path: Path) -> None:
    file = auths(tmp_path / "auth.json", **{"quay.io": {"identitytoken": "t"}})
    assert found({"REGISTRY_AUTH_FILE": str(file)}) == Credentials(identity_token="t")


@pytest.mark.parametrize("setting", [{"credsStore": "test"}, {"credHelpers": {"quay.io": "test"}}])
def test_a_credential_helper_is_asked(tmp_path: Path, setting: dict[str, object]) -> None:
    helper = tmp_path / "bin/docker-credential-test"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\nread server\necho "{\\"Username\\": \\"$1-$server\\", \\"Secret\\": \\"s\\"}"\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(setting))
    environment = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{helper.parent}:/usr/bin:/bin"}
    assert found(environment) == Credentials("get-quay.io", "s")


def test_a_helper_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "nowhere"}))
    with pytest.raises(UsageError, match="docker-credential-nowhere did not run"):
        found({"DOCKER_CONFIG": str(tmp_path), "PATH": "/usr/bin"})


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": {"quay.io": {"auth": "hush-hush!"}}}', '{"auths": 3}'])
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=r"config.json is not a Docker configuration") as caught:
        found({"DOCKER_CONFIG": str(tmp_path)})
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_secret_is_in_anybodys_repr() -> None:
    for holder in (Credentials("u", "hush", "hush"), Access(username="u", password="hush")):
        assert "hush" not in repr(holder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_home_of_somebody_else_is_passed_over_and_a_named_file_is_not(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    for file in (tmp_path / ".docker/config.json", tmp_path / "named/auth.json"):
        auths(file, **{"quay.io": encoded("root", "1")}).parent.chmod(0o700)
    code = (
        "import os, sys; from roadie.modelcar.access import Access; from roadie.modelcar.reference import Reference;"
        "from roadie.modelcar.credentials import find_credentials; os.setuid(12345);"
        "print(find_credentials(Reference('quay.io', 'x'), Access(), {sys.argv[1]: sys.argv[2]}))"
    )

    def look(name: str, value: Path) -> str:
        command = [sys.executable, "-c", code, name, str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert "username=''" in look("HOME", tmp_path)
    assert "cannot be read (Permission denied)" in look("REGISTRY_AUTH_FILE", tmp_path / "named/auth.json")


def test_half_of_what_is_needed_to_log_in_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="REGISTRY_USERNAME is set and REGISTRY_PASSWORD is not"):
        found({"REGISTRY_USERNAME": "bob"})
    with pytest.raises(UsageError, match=r"REGISTRY_AUTH_FILE names .*/no/auth, which is not there"):
        found({"REGISTRY_AUTH_FILE": f"{tmp_path}/no/auth"})
