"""``roadie compile``: the YAML that clusters run."""

import json
from pathlib import Path

import click


@click.command("compile")
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; fail with a diff when compiled/ is not what would be written.",
)
@click.option("--image", default="", help="Use this image, which holds Roadie and its packages: no embedding, no pip.")
@click.option("--base-image", default="", help="A mirror of the stock Python image.  [default: python:3.11]")
@click.option("--pip-index-url", default="", help="A mirror of the package index.")
@click.option(
    "--settings",
    "--resources",
    "settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML that says what steps ask their cluster for: {all: {run_as_user: 1000}, train: {cpu: 2, memory: 4Gi}}.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to.  [default: compiled/ of the checkout]",
)
def compile_command(
    check: bool, image: str, base_image: str, pip_index_url: str, settings: Path | None, output: Path | None
) -> None:
    """Compile every step and pipeline of the checkout one stands in."""
    from roadie import runs
    from roadie.errors import RunError

    options = {"ROADIE_IMAGE": image, "ROADIE_BASE_IMAGE": base_image, "ROADIE_PIP_INDEX_URL": pip_index_url}
    if settings:
        options["ROADIE_SETTINGS"] = json.dumps(_steps_in(settings))
    root = Path.cwd()
    folder = output or root / "compiled"
    texts = runs.compile_all(root, {name: value for name, value in options.items() if value})
    if not check:
        runs.write(texts, folder)
        click.echo(f"{len(texts)} files in {folder}", err=True)
        return
    diff = runs.differences(texts, folder)
    if diff:
        click.echo(_shortened(diff))
        raise RunError(f"{folder} is not what the sources compile to: run `make compile` and commit the result")
    click.echo(f"{len(texts)} files in {folder} are what the sources compile to", err=True)


def _steps_in(settings: Path) -> dict[str, object]:
    import yaml

    from roadie.errors import UsageError

    try:
        steps = yaml.safe_load(settings.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{settings} cannot be read ({error.strerror}): give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{settings} is not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(steps, dict) or not all(isinstance(each, dict) for each in steps.values()):
        raise UsageError(f"{settings} must name steps and what each asks for, such as train: {{cpu: 2, memory: 4Gi}}")
    return steps


def _shortened(diff: str, width: int = 160) -> str:
    """The diff with its long lines (archives in base64) cut, for people to read."""
    return "\n".join(line if len(line) <= width else f"{line[:width]}..." for line in diff.splitlines())
