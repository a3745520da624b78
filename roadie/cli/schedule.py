"""``roadie schedule``: a compiled pipeline again and again, by the clock."""

import json
from typing import TYPE_CHECKING, Any

import click

from roadie.cli.cluster import cluster_options, connect, image_option, refuse_useless_image

if TYPE_CHECKING:
    from roadie.runs import Change, Pipeline, Schedules

SAID = {
    "created": "was created",
    "replaced": "took the place of another one",
    "unchanged": "is so already: nothing was changed",
    "enabled": "fires again",
    "disabled": "does not fire any more",
    "deleted": "was deleted",
    "absent": "is not there: nothing was changed",
}


@click.command()
@click.argument("pipeline", default="training")
@click.option("--name", metavar="NAME", required=True, help="The schedule's name: there is one of each.")
@click.option(
    "--cron", metavar="FIELDS", default="", help='When, in UTC: minute, hour, day, month, weekday, as in "0 3 * * MON".'
)
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--no-cache", is_flag=True, help="Do every step of each run anew.")
@click.option("--disable", is_flag=True, help="Keep the schedule, but let it start nothing.")
@click.option("--delete", is_flag=True, help="Remove the schedule, unless a run of it goes on.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@image_option
@cluster_options
def schedule(
    pipeline: str,
    name: str,
    cron: str,
    pairs: tuple[str, ...],
    no_cache: bool,
    disable: bool,
    delete: bool,
    as_json: bool,
    **where: Any,
) -> None:
    """Run a compiled PIPELINE on a cluster again and again.

    The schedule of that name is created, or left alone when it is just so already, or replaced. At most one run of a
    schedule goes on at a time; of several times that were missed, one is made up for. No run that goes on is ended:
    what is replaced meanwhile is disabled, and goes the next time.
    """
    from roadie import runs
    from roadie.errors import UsageError

    if delete and (disable or cron or pairs):
        raise UsageError("--delete needs no --cron, -p or --disable: give the name alone")
    if not cron and (pairs or not (disable or delete)):
        raise UsageError('there is no --cron to tell when to run: give it, such as --cron "0 3 * * MON"')
    schedules = runs.Schedules(connect(**where))
    if delete:
        change = schedules.delete(name)
    elif not cron:
        change = schedules.disable(name)
    else:
        loaded = runs.load_pipeline(pipeline)
        refuse_useless_image(loaded, where["image"])
        change = _put(schedules, loaded, name, cron, pairs, cache=not no_cache, enabled=not disable)
    _print(name, change, as_json)


def _put(
    schedules: "Schedules",
    pipeline: "Pipeline",
    name: str,
    cron: str,
    pairs: tuple[str, ...],
    *,
    cache: bool,
    enabled: bool,
) -> "Change":
    from roadie import runs

    arguments = runs.parse_arguments(pipeline, pairs)
    if "trigger" in pipeline.parameters:
        arguments.setdefault("trigger", f"schedule {name}")
    return schedules.put(name, pipeline, arguments, cron, cache=cache, enabled=enabled)


def _print(name: str, change: "Change", as_json: bool) -> None:
    there = change.schedule
    if as_json:
        shown = {"id": there.id, "cron": there.cron, "enabled": there.enabled, "url": there.url} if there else {}
        left = {"left": [run.to_dict() for run in change.left]}
        click.echo(json.dumps({"action": change.action, "name": name, **shown, **left}, indent=2))
        return
    click.echo(f"the schedule {name} {SAID[change.action]}")
    if there:
        click.echo(f"address   {there.url}")
    for run in change.left:
        click.echo(f"the one before stays, disabled, while its run {run.name} goes on: {run.url}", err=True)
