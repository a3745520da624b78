"""``roadie gitops``: versions in a GitOps repository, from a shell or a CI job."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from roadie.errors import GitOpsError, UsageError

if TYPE_CHECKING:
    from roadie.gitops import Bumped, Deployment, Layout

Command = TypeVar("Command", bound=Callable[..., Any])

_repo = click.option("--repo", required=True, metavar="URL", help="The repository: a path, or an https or ssh URL.")
_branch = click.option("--branch", default="main", show_default=True, help="The branch that is deployed.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
_model = click.option("--model", required=True, metavar="NAME", help="The model's name.")
_file = click.option(
    "--file", default="{environment}/values.yaml", show_default=True, help="An environment's values file."
)
_key = click.option(
    "--key", default="applications.{model}.values", show_default=True, help="The map that holds a model's version."
)
_commit_options = (
    click.option("--message", default="", help="Commit message; {file}, {key} and {value} are filled in."),
    click.option("--trailer", "trailers", multiple=True, metavar="NAME=VALUE", help="A trailer; may be repeated."),
    click.option("--author", default="", metavar="'NAME <MAIL>'", help="Who commits."),
    click.option("--signing-key", default="", envvar="GIT_SIGNING_KEY", help="A GPG key's id, or an SSH key's file."),
    click.option("--review", is_flag=True, help="Open a pull or merge request instead of pushing, or update it."),
    click.option("--host", default="", help="The Git host: github, gitlab or gitea, where the URL does not tell."),
    click.option("--api-url", default="", help="The host's API, where it is not in its usual place."),
    click.option("--notes", type=click.File(), help="A file of Markdown for the review, such as the gate's table."),
    click.option("--merge", is_flag=True, help="Merge the review at once."),
    click.option("--wait", type=float, default=0.0, metavar="SECONDS", help="Wait for the review to be merged."),
)


def _commits(command: Command) -> Command:
    """Add the options that every commit has; the command gets them as keywords, and hands them to `_arguments`."""
    for option in reversed(_commit_options):
        command = option(command)
    return command


@click.group()
def gitops() -> None:
    """Write versions into the values files that Argo CD deploys from.

    Credentials come from GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN), or GIT_SSH_KEY_FILE with
    GIT_SSH_KNOWN_HOSTS_FILE; GIT_CA_FILE names the CA of a private host, HTTPS_PROXY a proxy.
    """


@gitops.command()
@_repo
@_branch
@click.option("--set", "settings", multiple=True, required=True, metavar="FILE:KEY=VALUE", help="May be repeated.")
@click.option("--create-missing", is_flag=True, help="Add a key that the file does not have.")
@click.option("--again", is_flag=True, help="Also set a version that was rolled back.")
@_commits
@_json
def bump(
    repo: str, branch: str, settings: tuple[str, ...], create_missing: bool, again: bool, as_json: bool, **options: Any
) -> None:
    """Set values in one commit, and push it."""
    from roadie import gitops as room

    edits = [room.Edit(*_setting(setting), create_missing=create_missing) for setting in settings]
    done = room.bump(repo, edits, branch=branch, again=again, **_arguments(options))
    _conclude(repo, done, options, as_json)


@gitops.command()
@_repo
@_branch
@_model
@click.option("--from", "source", default="test", show_default=True, help="The environment that holds the version.")
@click.option("--to", "target", default="stage", show_default=True, help="The environment that gets it.")
@click.option(
    "--image", default="", metavar="REPOSITORY", help="Check in this image repository that the digest is there."
)
@_file
@_key
@_commits
@_json
def promote(
    repo: str,
    branch: str,
    model: str,
    source: str,
    target: str,
    image: str,
    file: str,
    key: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Set in one environment exactly the version and digest that another one holds."""
    from roadie import gitops as room
    from roadie import modelcar

    done = room.promote(
        repo,
        model,
        source=source,
        target=target,
        branch=branch,
        layout=_layout(file, key),
        resolve=(lambda version: modelcar.resolve(f"{image}:{version}")) if image else None,
        **_arguments(options),
    )
    _conclude(repo, done, options, as_json)


@gitops.command()
@_repo
@_branch
@_model
@click.option("--environment", default="test", show_default=True, help="Where to roll back.")
@click.option("--bad", default="", metavar="VERSION", help="Only while this version is there; else whichever is.")
@click.option("--reason", default="", help="Why, for the commit's trailers.")
@_file
@_key
@_commits
@_json
def rollback(
    repo: str,
    branch: str,
    model: str,
    environment: str,
    bad: str,
    reason: str,
    file: str,
    key: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Set a model back to its last good version, by a new commit that says why."""
    from roadie import gitops as room

    layout = _layout(file, key)
    arguments = {"bad": bad, "reason": reason, "branch": branch, "layout": layout, **_arguments(options)}
    _conclude(repo, room.rollback(repo, model, environment, **arguments), options, as_json)


@gitops.command()
@_repo
@_branch
@click.option("--environment", "environments", multiple=True, default=("test", "stage"), show_default=True)
@_file
@_key
@_json
def status(repo: str, branch: str, environments: tuple[str, ...], file: str, key: str, as_json: bool) -> None:
    """Show each model's version in each environment, and the commit that set it."""
    from roadie import gitops as room

    found = room.status(repo, environments, branch=branch, layout=_layout(file, key))
    if as_json:
        click.echo(json.dumps([asdict(deployment) for deployment in found], indent=2))
    else:
        _show_table(found)


@gitops.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--git-server", default="", metavar="HOST", help="Fills in <GIT_SERVER>.")
@click.option("--team", default="", metavar="NAME", help="Fills in <TEAM_NAME>.")
@click.option("--registry", default="", metavar="HOST", help="Fills in <REGISTRY>.")
def init(directory: Path, git_server: str, team: str, registry: str) -> None:
    """Lay out the repositories mlops-gitops and mlops-helmcharts in DIRECTORY."""
    from roadie import gitops as room

    given = {"<GIT_SERVER>": git_server, "<TEAM_NAME>": team, "<REGISTRY>": registry}
    for folder in room.init_repositories(directory, replace={name: value for name, value in given.items() if value}):
        click.echo(f"made {folder}")
    missing = [name for name, value in given.items() if not value]
    if missing:
        click.echo(f"fill in {', '.join(missing)} in their files before you push them")


def _setting(text: str) -> tuple[str, str, str]:
    """`FILE:KEY=VALUE` as file, key and value; the key may hold `=` and `:`, the value may not hold `=`."""
    place, equals, value = text.rpartition("=")
    file, colon, key = place.partition(":")
    if not (equals and colon and file and key):
        raise UsageError(f"--set {text!r} is not FILE:KEY=VALUE; write it like test/values.yaml:jukebox.version=1.2.0")
    return file, key, value


def _trailer(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--trailer {text!r} is not NAME=VALUE; write it like Roadie-Model=jukebox")
    return name, value


def _layout(file: str, key: str) -> "Layout":
    """The layout of the environments; the models stand where the key's {model} does."""
    from roadie.gitops import Layout

    before, found, _ = key.partition("{model}")
    if not found:
        raise UsageError(
            f"--key {key!r} does not say where the model's name is; write it like applications.{{model}}.values"
        )
    return Layout(file, before.removesuffix(".").removesuffix("[name="), key)


def _arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What bump takes of the options that every commit has."""
    from roadie.gitops import Proposal

    if (options["merge"] or options["wait"]) and not options["review"]:
        raise UsageError("--merge and --wait are about a review; add --review")
    notes = options["notes"].read() if options["notes"] else ""
    return {
        "message": options["message"],
        "trailers": dict(_trailer(trailer) for trailer in options["trailers"]),
        "author": options["author"],
        "signing_key": options["signing_key"],
        "proposal": Proposal(options["host"], options["api_url"], notes=notes) if options["review"] else None,
    }


def _conclude(repo: str, done: "Bumped", options: dict[str, Any], as_json: bool) -> None:
    """Print what was done; merge its review or wait for it, when that was asked for."""
    from roadie.gitops import Proposal, follow

    state = None
    if done.review and not done.withheld:
        proposal, merge, wait = Proposal(options["host"], options["api_url"]), options["merge"], options["wait"]
        followed = follow(repo, done.review, done.commit, proposal=proposal, merge=merge, timeout=wait)
        state = followed.state
    if as_json:
        click.echo(
            json.dumps({**asdict(done), "in_place": done.in_place or state == "merged", "state": state}, indent=2)
        )
    else:
        _show(done)
    if done.withheld:
        raise GitOpsError(f"nothing was set: {done.reason}")
    if options["wait"] and state == "open":
        raise GitOpsError(
            f"{done.review} is still open after {options['wait']:.0f} s; wait longer, or ask its reviewers"
        )


def _show(done: "Bumped") -> None:
    if done.changed:
        click.echo(done.diff)
        click.echo(done.review or f"{done.commit} on {done.branch}")
    else:
        click.echo(f"nothing changed: {done.reason} ({done.review or done.commit[:10]})")


# Under this many columns, and in a pipe, lines are as long as they are, for the terminal or `grep` to deal with.
_ROOM, PIPED = 120, 1000


def _show_table(found: "list[Deployment]") -> None:
    from rich.console import Console
    from rich.table import Table

    # A version that is cut off names nothing: the columns keep their width, and words that find no room are folded.
    table = Table("environment", "model", "version", "digest", "since", "commit", box=None)
    for column in table.columns:
        column.no_wrap = True
    table.add_column("subject", overflow="fold")
    now = datetime.now(UTC)
    for deployment in found:
        age = now - datetime.fromtimestamp(deployment.time, UTC)
        since = f"{age.days} d" if age.days else f"{age.seconds // 3600} h {age.seconds // 60 % 60} min"
        digest = deployment.digest.removeprefix("sha256:")[:12]
        identity = (deployment.environment, deployment.model, deployment.version, digest)
        table.add_row(*identity, since, deployment.commit[:10], deployment.subject)
    wide = sys.stdout.isatty() and shutil.get_terminal_size().columns >= _ROOM
    Console(width=None if wide else PIPED, highlight=False, markup=False, soft_wrap=True).print(table)
