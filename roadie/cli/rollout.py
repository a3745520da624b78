"""``roadie rollout``: whether the cluster serves a version, from a shell or a CI job."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from roadie.errors import RolloutError, UsageError

_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
_service = click.option("--inference-service", default="", metavar="NAME", help="The InferenceService of KServe.")
_namespace = click.option("--namespace", default="", help="Its namespace; in a pod, the pod's own.")


@click.group()
def rollout() -> None:
    """Ask a cluster whether it serves a version.

    The cluster is that of KUBECONFIG, of the pod's service account, or of ~/.kube/config.
    """


@rollout.command()
@_service
@_namespace
@click.option("--canary", default="", metavar="NAME", help="Its canary that is to serve it; else the stable predictor.")
@click.option("--application", default="", metavar="NAME", help="The Argo CD Application that deploys it.")
@click.option("--application-namespace", default="argocd", show_default=True, help="The namespace of Argo CD.")
@click.option("--gitops-repo", default="", metavar="URL", help="Which of the Application's sources the commit is in.")
@click.option("--version", required=True, help="The version that is to serve: the image's tag.")
@click.option("--digest", "digests", multiple=True, help="The image's digest; may be repeated.")
@click.option("--image", default="", metavar="REPOSITORY", help="The image's repository, without a tag.")
@click.option("--commit", default="", help="The commit that asked for the version.")
@click.option("--timeout", default=900.0, show_default=True, metavar="SECONDS", help="How long to wait.")
@click.option("--soak", default=60.0, show_default=True, metavar="SECONDS", help="How long it must go on serving.")
@click.option("--grace", default=60.0, show_default=True, metavar="SECONDS", help="How long a failure must last.")
@_json
def wait(
    inference_service: str,
    namespace: str,
    canary: str,
    application: str,
    application_namespace: str,
    gitops_repo: str,
    version: str,
    digests: tuple[str, ...],
    image: str,
    commit: str,
    as_json: bool,
    **seconds: Any,
) -> None:
    """Wait until the cluster serves a version, or until it is sure that it will not.

    What is watched is the InferenceService, the Application, or both. Each change is a line on standard error.
    """
    from roadie import rollout as room

    if not (inference_service or application):
        raise UsageError("name what to watch: --inference-service, --application, or both")
    verdict = room.wait(
        room.Target(inference_service, namespace, application, application_namespace, gitops_repo, canary),
        room.Wanted(version, digests[0] if digests else "", image, commit, digests[1:]),
        say=lambda line: click.echo(line, err=True),
        **seconds,
    )
    if verdict.logs:
        click.echo(verdict.logs, err=True)
    if as_json:
        click.echo(json.dumps(asdict(verdict), indent=2))
    elif verdict.outcome == "healthy":
        click.echo(f"{verdict.outcome}: {verdict.reason}")
    if verdict.outcome != "healthy":
        raise RolloutError(f"{version} is {verdict.outcome}: {verdict.reason}")


@rollout.command()
@click.option("--url", required=True, help="Where the predictor answers.")
@click.option("--model-name", required=True, metavar="NAME", help="The model's name there.")
@click.option("--samples", type=click.Path(path_type=Path), help="The samples that the gate wrote.")
@click.option("--model", type=click.Path(path_type=Path), help="Or the model's ONNX file, with --rows.")
@click.option("--rows", type=click.Path(path_type=Path), help="A parquet file with its features, such as the holdout.")
@click.option("--requests", default=20, show_default=True, type=click.IntRange(min=1), help="How many are sent.")
@click.option("--tolerance", default=1e-4, show_default=True, help="The largest difference of a probability.")
@click.option("--timeout", default=60.0, show_default=True, metavar="SECONDS", help="How long it may take to be ready.")
@_json
def smoke(
    url: str,
    model_name: str,
    samples: Path | None,
    model: Path | None,
    rows: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask the served model what its file has answered, over the Open Inference Protocol v2."""
    from roadie import rollout as room

    if samples and not model and not rows:
        asked = room.read_samples(samples)
    elif model and rows and not samples:
        asked = room.make_samples(model, _rows(rows, options["requests"]))
    else:
        raise UsageError("say what to ask: --samples, or --model with --rows")
    shown = room.smoke(url, model_name, asked, **options)
    if as_json:
        # NaN is no JSON, and means that nothing was compared.
        difference = None if math.isnan(shown.max_difference) else shown.max_difference
        click.echo(json.dumps({**asdict(shown), "max_difference": difference}, indent=2))
    elif shown.ok:
        latency = ", ".join(f"{name} {value:.1f} ms" for name, value in shown.latency_ms.items())
        click.echo(f"{shown.reason}; {latency}")
    if not shown.ok:
        raise RolloutError(f"the smoke test of {model_name} failed: {shown.reason}")


def _rows(path: Path, count: int) -> list[dict[str, float]]:
    import polars as pl

    try:
        return pl.read_parquet(path, n_rows=count).to_dicts()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"{path} cannot be read as parquet: give the holdout, or another file of features") from error
