"""The files and settings that the documentation shows agree with what the pipeline reads."""

from pathlib import Path

import pytest
import yaml

from roadie import mounted
from tests.unit.docs.pages import ROOT, Block, blocks, commands, scripts, without_comments

CI = [block for block in blocks("yaml") if block.page.name == "ci.md"]


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_yaml_block_is_yaml(block: Block) -> None:
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", CI, ids=["GitHub Actions", "GitLab CI", "Tekton"])
def test_each_ci_system_installs_from_the_lock_checks_and_uploads(block: Block) -> None:
    called = [
        words
        for document in yaml.safe_load_all(block.text)
        for script in scripts(document)
        for words in commands(without_comments(script))
    ]
    assert ["roadie", "compile", "--check"] in called
    upload = next(words for words in called if words[:3] == ["kfp", "pipeline", "create-version"])
    assert (ROOT / upload[3]).is_file()
    assert block.text.count("--require-hashes -r requirements.lock") == 2


def test_the_example_secrets_have_no_key_that_the_steps_do_not_read() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy" / "secrets.example.yaml").read_text(encoding="utf-8"))
    shown = {document["metadata"]["name"]: set(document["stringData"]) for document in documents}
    read = {each.default: {*each.variables, *each.paths} for each in mounted.MOUNTS if each.default}
    assert shown.keys() == read.keys()
    assert all(keys <= read[name] for name, keys in shown.items())


def test_the_page_about_secrets_names_every_key() -> None:
    page = (ROOT / "docs" / "how-to" / "secrets.md").read_text(encoding="utf-8")
    keys = {key for each in mounted.MOUNTS for key in (*each.variables, *each.paths)}
    assert not [key for key in keys if f"`{key}`" not in page]


def test_the_containerfile_copies_what_the_steps_image_holds() -> None:
    containerfile = (ROOT / "Containerfile").read_text(encoding="utf-8")
    copied = {word for line in containerfile.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]}
    needed = {"roadie", "components", "compiled", "examples"}
    assert needed | {"requirements.lock", "requirements-dev.lock"} <= copied
    assert all(Path(ROOT, name).exists() for name in needed)


def test_the_readme_shows_every_room_and_no_folder_that_is_not_there() -> None:
    tree = next(block.text for block in blocks("text") if "one room each" in block.text)
    rooms = {line.split("/")[0].strip() for line in tree.splitlines() if line.startswith("  ")}
    folders = {line.split("/")[0] for line in tree.splitlines() if not line.startswith("  ")}
    assert rooms == {path.parent.name for path in (ROOT / "roadie").glob("*/__init__.py")}
    assert not {name for name in folders if not (ROOT / name).is_dir()}
