"""``roadie doctor``: what this machine or a cluster lacks, and how to get it."""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from roadie.cli.cluster import cluster_options, connect, image_option, refuse_without_cluster
from roadie.cli.rights import account_name, rollout_findings, rollout_option

GIT_NEEDED = (2, 31)  # GIT_CONFIG_COUNT, by which credentials reach git
FREE_NEEDED = 1_000_000_000  # bytes; a run keeps its artifacts, a demo some ten megabytes


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. Only the absence of what is `needed` makes the machine unfit."""

    name: str
    ok: bool
    found: str
    remedy: str
    needed: bool = True


@click.command()
@click.option("--cluster", "on_cluster", is_flag=True, help="Ask Kubeflow Pipelines as well.")
@image_option
@rollout_option
@cluster_options
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(on_cluster: bool, rollout: Path | None, as_json: bool, **where: Any) -> None:
    """Say what this machine lacks to run pipelines and tests, and how to get it.

    With --cluster, also whether Kubeflow Pipelines answers and lets one see runs, and whether the steps' image is there
    and holds this Roadie; with --rollout, whether the account of --service-account, else the one of these credentials,
    may watch a rollout.
    """
    if not on_cluster:
        refuse_without_cluster(rollout=rollout, **where)
    findings = [*_findings(), *(_on_cluster(where) if on_cluster else [])]
    if rollout:
        account = account_name(where["namespace"], where["service_account"])
        findings += [Finding(*each) for each in rollout_findings(rollout, account)]
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            mark = "ok  " if finding.ok else ("LACK" if finding.needed else "none")
            click.echo(f"{mark}  {finding.name:<16} {finding.found}")
            if not finding.ok and finding.remedy:
                click.echo(f"      {'':<16} {finding.remedy}")
    lacking = [finding.name for finding in findings if finding.needed and not finding.ok]
    if lacking:
        from roadie.errors import RunError

        raise RunError(f"lacking {', '.join(lacking)}: the lines above say what to do")


def _findings() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("python", (3, 11) <= sys.version_info[:2] <= (3, 13), version, "install Python 3.11, 3.12 or 3.13")
    yield _git()
    yield _packages()
    free = shutil.disk_usage(".").free
    yield Finding("disk", free >= FREE_NEEDED, f"{free / 1e9:.1f} GB free here", "free at least 1 GB")
    for name, use, package in SERVERS:
        path = shutil.which(name)
        yield Finding(name, bool(path), path or f"not here; {use}", f"apt-get install {package}", needed=False)


def _on_cluster(where: dict[str, Any]) -> Iterator[Finding]:
    """Whether Kubeflow Pipelines can be asked, by what commands and the receiver ask it first."""
    from roadie.errors import RunError, UsageError

    try:
        cluster = connect(**where)
        runs = cluster.recent(1)
    except (RunError, UsageError) as error:
        yield Finding("kubeflow", False, str(error), "")  # the sentence says what to do, too
        yield _step_image(where["image"])
        return
    last = f", the last {runs[0].name} ({runs[0].state})" if runs else ", and no run yet"
    yield Finding("kubeflow", True, f"answers at {cluster.connection.endpoint}{last}", "")
    yield _step_image(where["image"])


def _step_image(named: str) -> Finding:
    """Whether the steps' image is in its registry, and holds what is installed here."""
    import roadie
    from roadie import modelcar, runs
    from roadie.errors import RoadieError

    image, push = runs.StepImage(named).named, "push it with `roadie image push REGISTRY/REPOSITORY`"
    if not image:
        return Finding("step image", False, "none is named", f"{push}, and name it with --image", needed=False)
    try:
        found = modelcar.inspect(image)
    except RoadieError as error:
        return Finding("step image", False, str(error), push)
    version = found.annotations.get(modelcar.ANNOTATIONS["version"], "")
    holds = f"{found.reference} holds Roadie {version}"
    if modelcar.CODE not in found.annotations:
        return Finding("step image", False, f"{found.reference} does not say what it holds", push, needed=False)
    if version != roadie.__version__:
        return Finding("step image", False, f"{holds}, and here is {roadie.__version__}", push)
    if found.annotations[modelcar.CODE] != modelcar.code_digest():
        return Finding("step image", False, f"{holds}, with other code than here", push, needed=False)
    return Finding("step image", True, f"{holds}, as here", "")


# Needed by nobody but the tests and people who look at images.
SERVERS = (
    ("docker-registry", "the tests push to it", "docker-registry"),
    ("skopeo", "the tests inspect images with it", "skopeo"),
    ("umoci", "the tests unpack images with it", "umoci"),
    ("prometheus", "the tests let it fire alerts", "prometheus"),
    ("prometheus-alertmanager", "the tests let it send them", "prometheus-alertmanager"),
    ("chromium", "the tests read the receiver's page with it", "chromium"),
)


def _git() -> Finding:
    remedy = f"install git {GIT_NEEDED[0]}.{GIT_NEEDED[1]} or newer: apt-get install git"
    if not shutil.which("git"):
        return Finding("git", False, "not here", remedy)
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    numbers = [int(part) for part in said.removeprefix("git version ").split(".")[:2] if part.isdigit()]
    return Finding("git", tuple(numbers) >= GIT_NEEDED, said, remedy)


def _packages() -> Finding:
    """Whether what Roadie declares to need is installed, without importing any of it."""
    from importlib.metadata import requires

    missing = _unmet(requires("roadie") or [], _installed)
    found = f"{len(missing)} missing: {', '.join(missing)}" if missing else "all that Roadie needs"
    return Finding("packages", not missing, found, "run `make setup`")


def _installed(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _unmet(requirements: list[str], installed: Callable[[str], bool]) -> list[str]:
    from packaging.requirements import Requirement

    parsed = [Requirement(text) for text in requirements]
    return sorted(
        each.name for each in parsed if not (each.marker and "extra" in str(each.marker)) and not installed(each.name)
    )
