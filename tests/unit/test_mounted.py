"""What a cluster mounts for a step reaches that step's own process, and nobody else in the container."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from roadie import mounted, step
from roadie.errors import UsageError
from tests.steps.compiled import COMPILED, PIPELINES, documents
from tests.unit.docs.pages import ROOT


def mount(folder: Path, files: dict[str, str]) -> Path:
    """A volume as the kubelet lays it: each key a link into a folder of the day."""
    for name, text in files.items():
        real = folder / name.partition("/")[0] / "..2026_11_25" / name.partition("/")[2]
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text)
        (folder / name).symlink_to(real)
    return folder


def test_each_key_becomes_the_variable_or_the_path_that_the_table_says(tmp_path: Path) -> None:
    files = {
        "git/username": "bot",
        "git/password": "s3cret\n",
        "git/signing_key": "KEY",
        "git/HTTPS_PROXY": "http://proxy:3128",
        "s3/AWS_SESSION_TOKEN": "token",
        "webhook/url": "https://chat.example.com/x",
        "ca/ca.crt": "PEM",
    }
    assert mounted.mounted(mount(tmp_path, files)) == {
        "GIT_USERNAME": "bot",
        "GIT_PASSWORD": "s3cret",
        "GIT_SIGNING_KEY": str(tmp_path / "git" / "signing_key"),
        "HTTPS_PROXY": "http://proxy:3128",
        "AWS_SESSION_TOKEN": "token",
        "ROADIE_WEBHOOK_URL": "https://chat.example.com/x",
        **dict.fromkeys(mounted.CA.paths["ca.crt"], str(tmp_path / "ca" / "ca.crt")),
    }


def test_nothing_is_mounted_on_a_laptop(tmp_path: Path) -> None:
    assert mounted.mounted(tmp_path) == {}


def test_a_key_that_no_step_reads_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"roadie-webhook has a key 'uri', which no step reads: use url, HTTPS_PROXY"):
        mounted.mounted(mount(tmp_path, {"webhook/uri": "https://chat.example.com"}))


def test_a_step_gets_what_is_mounted_and_keeps_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "team.py").write_text(
        "import os\ndef team() -> None:\n    print(os.environ['GIT_USERNAME'], os.environ['GIT_AUTHOR_NAME'])\n"
    )
    mount(tmp_path / "mounts", {"git/username": "bot", "git/author_name": "Bot"})
    monkeypatch.setattr(step, "FOLDER", tmp_path / "mounts")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada")
    monkeypatch.setenv("GIT_USERNAME", "")  # put back as it was, when the test ends
    del os.environ["GIT_USERNAME"]
    monkeypatch.setenv(step.RUNTIME, "false")
    given = {"inputs": {}, "outputs": {"outputFile": str(tmp_path / "out" / "told.json")}}
    assert step.main(["team", json.dumps(given)]) == 0
    assert "bot Ada" in capsys.readouterr().out


def test_no_secret_is_a_variable_of_the_container_where_the_launcher_would_read_it() -> None:
    for path in PIPELINES:
        spec, platform = documents(path)
        pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        assert not [name for name, pod in pods.items() if "secretAsEnv" in pod], path
        assert not [name for name, body in spec["deploymentSpec"]["executors"].items() if "env" in body["container"]]
        for pod in pods.values():
            for secret in pod.get("secretAsVolume", []):
                assert secret["mountPath"] in {each.path for each in mounted.MOUNTS}
                assert secret["optional"] is True


def test_every_secret_is_a_parameter_with_the_name_that_the_table_says() -> None:
    declared = documents(COMPILED / "pipelines" / "training.yaml")[0]["root"]["inputDefinitions"]["parameters"]
    for each in mounted.MOUNTS:
        if each.parameter:
            assert declared[each.parameter]["defaultValue"] == each.default


# What commands on a laptop read, and what the platform itself sets.
NOT_FOR_STEPS = {
    "DOCKER_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_SSH_COMMAND",
    "GIT_TOKEN",
    "HOME",
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_SA_TOKEN_PATH",
    "KF_PIPELINES_UI_ENDPOINT",
    "KUBECONFIG",
    "PATH",
    "PYTHON_VERSION",
    "REGISTRY_PASSWORD",
    "REGISTRY_USERNAME",
    "ROADIE_SETTINGS",
    "ROADIE_STEP_IMAGE",
    "SOURCE_DATE_EPOCH",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "_KFP_RUNTIME",
    "AWS_REGION",
    "AWS_ENDPOINT_URL_S3",
}


def test_whatever_a_variable_sets_here_has_a_way_into_a_step() -> None:
    """Looks for the variables that the code reads; each is in the table or said to be of no use there."""
    read = re.compile(r"""environ(?:ment)?(?:\.get\(|\[|, )"([A-Z_0-9]{3,})\"""")
    found = {
        name
        for folder in ("roadie", "components")
        for path in (ROOT / folder).rglob("*.py")
        for name in read.findall(path.read_text())
    }
    ways = {name for each in mounted.MOUNTS for name in each.variables.values()}
    ways |= {name for each in mounted.MOUNTS for names in each.paths.values() for name in names}
    assert len(found) > 15
    assert found - ways - NOT_FOR_STEPS == set()
