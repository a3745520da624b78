"""Every command that the documentation shows is one that the programs take."""

import re
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
import yaml
from kfp.cli.cli import cli as kfp

from roadie import runs
from roadie.cli import roadie
from tests.unit.docs.pages import (
    PROGRAMS,
    ROOT,
    Block,
    blocks,
    commands,
    inline_code,
    pages,
    scripts,
    without_comments,
)

GROUPS: dict[str, click.Command] = {"roadie": roadie, "kfp": kfp}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def shell_of(block: Block) -> list[str]:
    if block.language == "yaml":
        return [script for document in yaml.safe_load_all(block.text) for script in scripts(document)]
    return [block.text]


# By where they stand and what they say, which are the tests' names.
SHOWN = {
    f"{block}: {' '.join(words)}": words
    for block in blocks("sh", "yaml")
    for shell in shell_of(block)
    for words in commands(without_comments(shell))
}
RUNS = {name: words for name, words in SHOWN.items() if words[:2] in (["roadie", "run"], ["kfp", "run"])}
MENTIONED = {
    f"{page.relative_to(ROOT)}: {code}": code.split()
    for page in pages()
    for code in inline_code(page)
    if code.split()[0] in PROGRAMS and len(code.split()) > 1
}


def parse(words: Sequence[str]) -> click.Context:
    """Parse a command line as the program itself would, without running it; click's error when it would refuse."""
    command, arguments, context = GROUPS[words[0]], list(words[1:]), None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context, info_name=words[0])
        _, arguments, _ = command.make_parser(context).parse_args(arguments)
        if not arguments:
            return context
        found = command.get_command(context, arguments[0])
        if found is None:
            raise click.NoSuchOption(arguments[0], f"there is no command {arguments[0]}")
        command, arguments = found, arguments[1:]
    return command.make_context(command.name, arguments, parent=context)


def check_targets(words: Sequence[str]) -> None:
    unknown = [word for word in words[1:] if word not in TARGETS and not word.startswith("-")]
    assert not unknown, f"the Makefile has no target {', '.join(unknown)}"


# A structure from a file that readers write: any will do.
FILE = re.compile(r"=@[\w.]+$")


@pytest.mark.parametrize("words", SHOWN.values(), ids=SHOWN)
def test_every_command_shown_is_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if words[0] == "make":
        check_targets(words)
    else:
        parse(words)


@pytest.mark.parametrize("words", MENTIONED.values(), ids=MENTIONED)
def test_every_command_in_prose_exists_with_its_options(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if words[0] == "make":
        check_targets(words)
        return
    try:
        parse(words)
    except click.NoSuchOption:
        raise
    except click.UsageError:
        pass  # Prose names a command or an option without all that goes with it.


@pytest.mark.parametrize("words", RUNS.values(), ids=RUNS)
def test_every_parameter_given_to_a_run_is_one_of_the_pipeline(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    given = parse(words).params
    pairs = given.get("pairs") or given.get("args") or ()
    name = given.get("pipeline") or given.get("pipeline_name") or "training"
    # What the page itself compiles is not there to be looked at; tests/scenarios compiles and runs it.
    if name == "wine.yaml":
        source = (ROOT / "examples" / "own-model" / "pipeline.py").read_text(encoding="utf-8")
        assert [pair for pair in pairs if f"    {pair.partition('=')[0]}: " not in source] == []
        return
    pipeline = runs.load_pipeline(str(name), ROOT)
    runs.parse_arguments(pipeline, [FILE.sub("={}", pair) for pair in pairs if "$(" not in pair])


def test_the_tutorial_pushes_the_image_before_it_runs_and_runs_a_worse_model_after_a_good_one() -> None:
    tutorial = [block for block in blocks("sh") if block.page == ROOT / "docs" / "tutorial.md"]
    called = [words for block in tutorial for words in commands(without_comments(block.text))]
    ours = [" ".join(words[1:4]) for words in called if words[0] == "roadie" and words[1] in {"image", "run"}]
    push = "image push registry.example.com/mlops/steps"
    good, worse = "run training --cluster", "run training --cluster"
    assert ours == [push, good, "run training --help-parameters", worse]


def test_the_readme_names_its_two_commands_and_no_third_before_them() -> None:
    first = next(block for block in blocks("sh") if block.page == ROOT / "README.md")
    assert first.text.split("\n")[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("path", ["Makefile", ".ci/run", "Containerfile", "LICENSE"])
def test_files_that_the_documentation_relies_on_are_there(path: str) -> None:
    assert Path(ROOT, path).stat().st_size > 100
