"""``roadie demo``: the whole story on this machine."""

import subprocess
import time
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".roadie/demo"),
    show_default=True,
    help="Folder for the runs, the registry and the GitOps repository; remove it to start over.",
)
def demo(state: Path) -> None:
    """Train on sample charts, gate, package and deploy, on this machine alone.

    Runs the compiled training pipeline through kfp.local, pushes to an OCI layout on disk and commits to a bare
    repository made from examples/mlops-gitops. Run again, it finds the model that it deployed, sees nothing better and
    changes nothing.
    """
    from roadie import runs
    from roadie.cli.progress import tell
    from roadie.cli.run import raise_on_failure, summary

    pipeline = runs.load_pipeline("training")
    arguments = runs.with_embedded_defaults(pipeline, {"trigger": "demo"}, state)
    click.echo(f"running {pipeline.path} with kfp.local", err=True)
    began = time.monotonic()
    outcome = runs.run_here(pipeline, arguments, state, tell)
    raise_on_failure(outcome)

    click.echo(f"\n{summary(outcome)}")
    for commit in outcome.commits:
        click.echo(f"\n{_shown(arguments, commit)}")
    click.echo(f"\n{_epilogue(outcome.decision)}  ({time.monotonic() - began:.0f} s)")


def _shown(arguments: dict[str, Any], commit: str) -> str:
    """The commit as git shows it."""
    command = ["git", "-C", str(arguments["gitops_repo"]), "show", "--stat", "--patch", "--no-color", commit]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


def _epilogue(decision: str) -> str:
    if decision == "promote":
        return (
            "test and stage name the new version now. Run the demo again: it finds nothing better and changes nothing."
        )
    return "nothing was changed: what is deployed stays deployed. Remove the demo's folder to start over."
