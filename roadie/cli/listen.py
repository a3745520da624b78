"""``roadie listen``: the receiver of alerts and pushes."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("triggers.yaml"),
    show_default=True,
    help="What starts a run of which model.",
)
@click.option("--check", is_flag=True, help="Check the configuration, say what starts what, and exit.")
def listen(path: Path, check: bool) -> None:
    """Start runs on alerts of Alertmanager and pushes to GitHub, GitLab and Gitea, each once.

    Every event is stored with what was decided about it before its sender is answered. `GET /` is a page that shows
    models, runs and events; /healthz, /readyz and /metrics are for the cluster. SIGTERM ends it; runs go on.
    """
    from roadie import triggers

    config = triggers.load(path)
    if check:
        click.echo("\n".join(triggers.describe(config)))
    else:
        triggers.listen(config)
