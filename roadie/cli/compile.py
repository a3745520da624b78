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
@click.option(
    "--image",
    default="",
    help="The default of the pipelines' parameter step_image, and the image of components that stand alone.",
)
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
def compile_command(check: bool, image: str, settings: Path | None, output: Path | None) -> None:
    """Compile every step and pipeline of the checkout in the current folder.

    Says of each pipeline how large its run grows on a cluster, as a share of what Argo keeps of one, and in how many
    pods it runs on the longest way; one that grows above 80% is refused.
    """
    from roadie import runs
    from roadie.errors import RunError

    _refuse_what_no_cluster_pulls(image)
    options = {"ROADIE_STEP_IMAGE": image}
    if settings:
        options["ROADIE_SETTINGS"] = json.dumps(_steps_in(settings))
    root = Path.cwd()
    folder = output or root / "compiled"
    if output and not check:
        _make(output)
    texts = runs.compile_all(root, {name: value for name, value in options.items() if value})
    for name, text in texts.items():
        kind, _, file = name.partition("/")
        if kind == "pipelines":
            size = runs.within_budget(file, text)
            click.echo(f"{name}: {size.share:.0%} of {runs.LIMIT:,} bytes in {size.pods} pods", err=True)
    if not check:
        runs.write(texts, folder)
        click.echo(f"{len(texts)} files in {folder}", err=True)
        return
    diff = runs.differences(texts, folder)
    if diff:
        click.echo(diff, nl=False)
        raise RunError(f"{folder} is not what the sources compile to: run `make compile` and commit the result")
    click.echo(f"{len(texts)} files in {folder} are what the sources compile to", err=True)


def _refuse_what_no_cluster_pulls(image: str) -> None:
    from roadie import modelcar, runs
    from roadie.errors import UsageError

    if image and modelcar.parse_reference(image.replace(runs.REVISION, "revision")).layout:
        raise UsageError(f"{image} is a folder of this machine, from which no cluster pulls: push it to a registry")


def _make(folder: Path) -> None:
    """Make the folder before the work, so that a slip costs no wait."""
    from roadie.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror}): name another with --output") from error


def _steps_in(settings: Path) -> dict[str, object]:
    import yaml

    from roadie.errors import UsageError, why_no_yaml

    try:
        steps = yaml.safe_load(settings.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{settings} cannot be read ({error.strerror}): give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{settings} is not readable as YAML ({why_no_yaml(error)}): mend it") from error
    if not isinstance(steps, dict) or not all(isinstance(each, dict) for each in steps.values()):
        raise UsageError(f"{settings} must name steps and what each asks for, such as train: {{cpu: 2, memory: 4Gi}}")
    return steps
