"""What of the receiver's environment a run here sees: what steps need, and none of the receiver's secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.runs import load_pipeline
from roadie.triggers import secrets
from roadie.triggers.config import Config
from roadie.triggers.receiver import engine_of
from tests.servers.receiver import PIPELINE

CONFIG: dict[str, Any] = {
    "hooks": {"alertmanager": {"secret": {"env": "AM_SECRET"}}, "github": {"secret": {"env": "GIT_HOOK_SECRET"}}},
    "page": {"password": {"env": "PAGE"}},
    "notify": [{"url": {"env": "ROADIE_SLACK"}}],
}
GIVEN = {
    "PATH": "/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "GIT_TOKEN": "git",
    "AWS_ACCESS_KEY_ID": "aws",
    "HTTPS_PROXY": "http://proxy",
    "AM_SECRET": "alerts-secret",
    "GIT_HOOK_SECRET": "github-secret",
    "PAGE": "page-secret",
    "ROADIE_SLACK": "https://hooks.example.com/secret",
    "GIT_COPY": "github-secret",
    "TEAM_SETTING": "x",
    "DATABASE_PASSWORD": "y",
}


def test_a_run_sees_what_steps_need_and_no_secret_of_the_receiver() -> None:
    seen = secrets.without(Config.model_validate(CONFIG), GIVEN)
    assert set(seen) == {"PATH", "HOME", "LC_ALL", "GIT_TOKEN", "AWS_ACCESS_KEY_ID", "HTTPS_PROXY"}


def test_the_configuration_names_further_variables_but_never_a_secret() -> None:
    config = Config.model_validate({**CONFIG, "runs": {"environment": ["TEAM_*", "AM_SECRET", "PAGE"]}})
    assert set(secrets.without(config, GIVEN)) >= {"PATH", "TEAM_SETTING"}
    assert not {"AM_SECRET", "PAGE", "DATABASE_PASSWORD"} & set(secrets.without(config, GIVEN))


def test_the_process_of_a_run_has_no_other_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AM_SECRET", "GIT_HOOK_SECRET", "PAGE", "ROADIE_SLACK"):
        monkeypatch.setenv(name, GIVEN[name])
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(PIPELINE))
    config = Config.model_validate({**CONFIG, "runs": {"state": tmp_path / "state"}})
    engine = engine_of(config)
    run = engine.start(load_pipeline(str(tmp_path / "tiny.yaml")), "jukebox-1", {})
    process = (tmp_path / "state" / "started" / run.name / "pid").read_text()
    seen = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    names = {each.partition(b"=")[0].decode() for each in seen}
    assert "PATH" in names
    assert not {"AM_SECRET", "GIT_HOOK_SECRET", "PAGE", "ROADIE_SLACK"} & names
    engine.stop(run.id)
