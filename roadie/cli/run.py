"""``roadie run``: a compiled pipeline on this machine or on a cluster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadie.cli.cluster import (
    cluster_options,
    connect,
    image_option,
    new_name,
    refuse_useless_image,
    refuse_without_cluster,
    submit,
    wait_for,
)

if TYPE_CHECKING:
    from roadie.runs import Outcome, Pipeline

STATE = Path(".roadie")


@click.command()
@click.argument("pipeline", default="training")
@click.option("-p", "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--help-parameters", is_flag=True, help="Show the pipeline's parameters and exit.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE,
    show_default=True,
    help="Folder for runs and for the registry and repository that stand in for those not named.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("--cluster", "on_cluster", is_flag=True, help="Run on Kubeflow Pipelines instead of on this machine.")
@click.option("--wait", is_flag=True, help="With --cluster: follow the steps; the exit code tells the final state.")
@click.option("--name", metavar="NAME", default="", help="With --cluster: the run's name.")
@click.option("--no-cache", is_flag=True, help="With --cluster: do every step anew.")
@image_option
@cluster_options
def run(
    pipeline: str,
    pairs: tuple[str, ...],
    help_parameters: bool,
    state: Path,
    as_json: bool,
    on_cluster: bool,
    wait: bool,
    name: str,
    no_cache: bool,
    **where: Any,
) -> None:
    """Run a compiled PIPELINE here, through kfp.local, or with --cluster on Kubeflow Pipelines.

    PIPELINE is a name in compiled/pipelines or the path of a compiled YAML. Here, with no image and no GitOps
    repository given, an OCI layout and a bare repository below --state stand in for them; a cluster has no such
    stand-ins, and its steps run in an image (--image). There, the run's id and address are printed and it goes on by
    itself, unless --wait is given.
    """
    from roadie import runs
    from roadie.cli.progress import tell

    loaded = runs.load_pipeline(pipeline)
    if help_parameters:
        click.echo(_described(loaded))
        return
    arguments = runs.parse_arguments(loaded, pairs)
    if on_cluster:
        _run_there(loaded, arguments, name, cache=not no_cache, wait=wait, as_json=as_json, **where)
        return
    refuse_without_cluster(wait=wait, name=name, no_cache=no_cache, **where)
    arguments = runs.with_embedded_defaults(loaded, arguments, state)
    outcome = runs.run_here(loaded, arguments, state, tell)
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
    else:
        click.echo(summary(outcome))
    raise_on_failure(outcome)


def _run_there(
    pipeline: "Pipeline", arguments: dict[str, Any], name: str, *, cache: bool, wait: bool, as_json: bool, **where: Any
) -> None:
    from roadie import runs

    refuse_useless_image(pipeline, where["image"])
    cluster = connect(**where)
    runs.require_real_places(pipeline, arguments)
    arguments = cluster.step_image.given_to(pipeline, arguments)
    name = name or new_name(pipeline, arguments)
    started = submit(cluster, pipeline, name, arguments, "started with `roadie run --cluster`", cache=cache)
    if wait:
        wait_for(cluster, started, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(started.to_dict(), indent=2))
    else:
        click.echo(f"run       {started.id}\nname      {started.name}\naddress   {started.url}")


def raise_on_failure(outcome: "Outcome") -> None:
    """Fail with the failed step's own error.

    Raises:
        RunError: a step failed.
    """
    from roadie.errors import RunError

    if outcome.failed:
        step = outcome.failed
        raise RunError(f"the step {step.name} failed: {step.error} (its log: {step.log})")


def summary(outcome: "Outcome") -> str:
    """The outcome in a few lines for people; empty when nothing was decided."""
    lines = []
    if outcome.decision:
        lines.append(f"decision  {outcome.decision}: {outcome.reason}")
    if outcome.image:
        lines += [f"version   {outcome.version}", f"image     {outcome.image}"]
    lines += [f"commit    {commit}" for commit in outcome.commits]
    if outcome.state == "succeeded" and outcome.decision and not outcome.commits:
        lines.append("commit    none: nothing was changed")
    if outcome.report:
        lines.append(f"report    {outcome.report}")
    return "\n".join(lines)


def _described(pipeline: "Pipeline") -> str:
    lines = []
    for parameter in pipeline.parameters.values():
        default = "required" if parameter.required else f"default {json.dumps(parameter.default)}"
        lines += [f"{parameter.name} ({parameter.type.lower()}, {default})", f"    {parameter.description}"]
    if "hyperparameters" in pipeline.parameters:
        lines += ["", *_hyperparameters()]
    return "\n".join(lines)


def _hyperparameters() -> Iterator[str]:
    from roadie import training

    trainer = ""
    for each in training.describe():
        if each.trainer != trainer:
            trainer = each.trainer
            yield f"hyperparameters of the trainer {trainer}"
        allowed = f", {each.allowed}" if each.allowed else ""
        yield f"  {each.name} (default {json.dumps(each.default)}{allowed})"
        yield f"      {each.meaning}"
