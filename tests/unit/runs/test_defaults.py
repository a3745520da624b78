from pathlib import Path
from typing import Any

import pytest

from roadie.runs import Pipeline, with_embedded_defaults
from tests.servers.git_http import git

PARAMETERS = ("image", "gitops_repo", "source", "revision", "model_name")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    git("init", "--quiet", str(folder))
    (folder / "training.yaml").write_text("a pipeline\n")
    git("-C", str(folder), "add", "--all")
    git("-C", str(folder), "commit", "--quiet", "-m", "First")
    return folder


def filled(checkout: Path, **arguments: Any) -> dict[str, Any]:
    declared = {name: {"parameterType": "STRING", "isOptional": True, "defaultValue": ""} for name in PARAMETERS}
    spec = {"root": {"inputDefinitions": {"parameters": declared}}}
    return with_embedded_defaults(Pipeline(checkout / "training.yaml", spec), arguments, checkout.parent / "state")


def test_what_was_not_named_is_filled_in_below_the_state_folder(checkout: Path) -> None:
    state = checkout.parent / "state"
    arguments = filled(checkout, model_name="wine")
    assert arguments["image"] == f"oci:{state}/registry/wine"
    assert arguments["gitops_repo"] == str(state / "gitops.git")
    assert "stage/values.yaml" in git("-C", arguments["gitops_repo"], "ls-tree", "-r", "--name-only", "main")


def test_a_repository_that_is_there_is_kept(checkout: Path) -> None:
    first = filled(checkout)["gitops_repo"]
    tip = git("-C", first, "rev-parse", "main")
    assert git("-C", filled(checkout)["gitops_repo"], "rev-parse", "main") == tip


def test_what_was_named_is_left_alone(checkout: Path) -> None:
    named = {"image": "r.example.com/m", "gitops_repo": "https://g.example.com/r.git", "revision": "abc", "source": "s"}
    assert filled(checkout, **named) == named
    assert not (checkout.parent / "state").exists()


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("https://someone:secret@git.example.com/team/code.git", "https://git.example.com/team/code.git"),
        ("git@git.example.com:team/code.git", "git@git.example.com:team/code.git"),
        ("/home/someone/code", ""),
    ],
)
def test_a_clean_checkout_gives_its_commit_and_its_origin_without_credentials(
    checkout: Path, origin: str, source: str
) -> None:
    git("-C", str(checkout), "remote", "add", "origin", origin)
    arguments = filled(checkout)
    assert arguments["revision"] == git("-C", str(checkout), "rev-parse", "HEAD")
    assert arguments["source"] == source


def test_a_changed_checkout_gives_no_commit_because_that_would_be_untrue(checkout: Path) -> None:
    (checkout / "training.yaml").write_text("changed\n")
    assert "revision" not in filled(checkout)
