"""What the commands for a cluster share: where it is, and how a run there is started and followed."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from roadie.errors import RunError
    from roadie.runs import Cluster, Pipeline, Run

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--endpoint", metavar="URL", default="", help="The cluster's KFP API.  [default: KF_PIPELINES_ENDPOINT]"
    ),
    click.option("--namespace", metavar="N", default="", help="Namespace of the runs, where Kubeflow has profiles."),
    click.option("--experiment", metavar="E", default="", help="Experiment of new runs.  [default: Default]"),
    click.option("--service-account", metavar="NAME", default="", help="What the pods of new runs run as."),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File with a bearer token, read anew for each request.  [default: the service account's]",
    ),
    click.option(
        "--ca-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="PEM file of the CA that signed the API's certificate.",
    ),
)


image_option = click.option(
    "--image",
    metavar="IMAGE@DIGEST",
    default="",
    help="The steps' image, as `roadie image push` prints it.  [default: ROADIE_STEP_IMAGE]",
)


def cluster_options(command: Command) -> Command:
    """Give a command the options that :func:`connect` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def connect(
    *,
    endpoint: str,
    namespace: str,
    experiment: str,
    service_account: str,
    token_file: Path | None,
    ca_file: Path | None,
    image: str = "",
) -> "Cluster":
    """The cluster that the options tell of. Nothing is sent yet."""
    from roadie import runs

    return runs.Cluster(
        endpoint,
        namespace=namespace,
        experiment=experiment or "Default",
        service_account=service_account,
        step_image=runs.StepImage(image, lambda said: click.echo(said, err=True)),
        token=runs.token_in(token_file) if token_file else None,
        ca_file=ca_file,
    )


def refuse_without_cluster(**given: Any) -> None:
    """Refuse options that mean nothing on this machine.

    Raises:
        UsageError: one of them is given.
    """
    from roadie.errors import UsageError

    useless = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if useless:
        verb = "means" if len(useless) == 1 else "mean"
        raise UsageError(f"{' and '.join(useless)} {verb} nothing without --cluster: add it")


def refuse_useless_image(pipeline: "Pipeline", image: str) -> None:
    """Refuse an image for a pipeline that takes none.

    Raises:
        UsageError: the pipeline has no parameter for it.
    """
    from roadie.errors import UsageError

    if image and "step_image" not in pipeline.parameters:
        raise UsageError(f"the pipeline {pipeline.name} has no parameter step_image: leave --image out")


def new_name(pipeline: "Pipeline", arguments: dict[str, Any]) -> str:
    """A name like those that triggers give, ``<model>-<reason>-<UTC>-<key>``, for a run that a person starts."""
    model = arguments.get("model_name") or (
        pipeline.parameters["model_name"].default if "model_name" in pipeline.parameters else pipeline.name
    )
    return f"{model}-manual-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"


def submit(
    cluster: "Cluster", pipeline: "Pipeline", name: str, arguments: dict[str, Any], description: str, *, cache: bool
) -> "Run":
    """Start a run, once, even when the answer is lost."""
    from roadie.errors import RunError
    from roadie.runs import RunRefusedError

    known = {run.id for run in cluster.find(name)}
    try:
        return cluster.start(pipeline, name, arguments, description=description, cache=cache)
    except RunRefusedError:
        raise
    except RunError:
        new = [run for run in cluster.find(name) if run.id not in known]
        if not new:
            raise
        return new[0]


def wait_for(cluster: "Cluster", run: "Run", *, as_json: bool) -> None:
    """Follow a run to its end and print how it ended.

    Raises:
        RunError: it failed, was canceled or vanished.
    """
    from roadie import runs
    from roadie.cli.progress import tell
    from roadie.errors import RunError

    click.echo(f"the run {run.name} was created: {run.url}", err=True)
    try:
        ended, steps = runs.follow(cluster, run.id, tell, _worry)
    except KeyboardInterrupt:
        click.echo(f"\nthe run goes on: {run.url} ({run.id})", err=True)
        raise
    if ended is None:
        raise RunError(f"the run {run.name} ({run.id}) is gone: somebody deleted it, or the service lost it")
    if as_json:
        shown = [{"name": s.name, "state": s.state, "seconds": round(s.seconds, 3), "error": s.error} for s in steps]
        click.echo(json.dumps({**ended.to_dict(), "steps": shown}, indent=2))
    if ended.state == "failed":
        raise RunError(f"the run {run.name} failed: {ended.error} ({run.url})")
    if ended.state == "canceled":
        raise RunError(f"the run {run.name} was canceled ({run.url}): start another one if that was not meant")
    if not as_json:
        click.echo(f"the run {run.name} succeeded")


def _worry(error: "RunError") -> None:
    click.echo(f"  {error}; still waiting", err=True)
