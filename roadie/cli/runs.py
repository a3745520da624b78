"""``roadie runs``: the last runs, here or on a cluster."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadie.cli.cluster import cluster_options, connect, refuse_without_cluster
from roadie.cli.run import STATE

if TYPE_CHECKING:
    from roadie.runs import Run

PIPED = 240  # columns where no terminal says how many there are


@click.command()
@click.option("--model", metavar="M", default="", help="Only runs whose name begins with this model's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many runs.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE,
    show_default=True,
    help="Folder of the runs here.",
)
@click.option("--cluster", "on_cluster", is_flag=True, help="The runs on Kubeflow Pipelines instead of those here.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@cluster_options
def runs(model: str, limit: int, state: Path, on_cluster: bool, as_json: bool, **where: Any) -> None:
    """Show the last runs, the newest first."""
    from roadie.runs import Here

    if not on_cluster:
        refuse_without_cluster(**where)
    found = (connect(**where) if on_cluster else Here(state)).recent(limit, model)
    if as_json:
        click.echo(json.dumps([run.to_dict() for run in found], indent=2))
    elif not found:
        click.echo(f"there are no runs {'there' if on_cluster else f'in {state}'}", err=True)
    else:
        _print(found)


def _print(found: "Sequence[Run]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "created", "duration", "address", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for run in found:
        took = _duration((run.ended or datetime.now(UTC)) - run.created)
        table.add_row(run.name, run.state, f"{run.created:%Y-%m-%d %H:%M:%SZ}", took, run.url)
    Console(width=None if sys.stdout.isatty() else PIPED, highlight=False, markup=False).print(table)


def _duration(took: timedelta) -> str:
    minutes, seconds = divmod(max(0, round(took.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
