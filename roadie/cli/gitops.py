"""``roadie gitops``: versions in a GitOps repository, from a shell or a CI job."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roadie.errors import UsageError

if TYPE_CHECKING:
    from roadie.gitops import Bumped

_repo = click.option("--repo", required=True, metavar="URL", help="The repository: a path, or an https or ssh URL.")
_branch = click.option("--branch", default="main", show_default=True, help="The branch that is deployed.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
_message = click.option(
    "--message", default="", metavar="TEXT", help="Commit message; {file}, {key}, {value} are filled in."
)
_trailer = click.option(
    "--trailer", "trailers", multiple=True, metavar="NAME=VALUE", help="A trailer; may be repeated."
)
_author = click.option("--author", default="", metavar="'NAME <MAIL>'", help="Who commits.")
_signing_key = click.option(
    "--signing-key",
    default="",
    envvar="GIT_SIGNING_KEY",
    metavar="KEY",
    help="Sign with a GPG key's id, or an SSH key's file.",
)


@click.group()
def gitops() -> None:
    """Write versions into the values files that Argo CD deploys from.

    Credentials come from GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN), or GIT_SSH_KEY_FILE with
    GIT_SSH_KNOWN_HOSTS_FILE; GIT_CA_FILE names the CA of a private host, HTTPS_PROXY a proxy.
    """


@gitops.command()
@_repo
@_branch
@click.option(
    "--set", "settings", multiple=True, required=True, metavar="FILE:KEY=VALUE", help="A value; may be repeated."
)
@click.option("--create-missing", is_flag=True, help="Add a key that the file does not have.")
@click.option("--again", is_flag=True, help="Also set a version that was rolled back.")
@_message
@_trailer
@_author
@_signing_key
@_json
def bump(
    repo: str,
    branch: str,
    settings: tuple[str, ...],
    create_missing: bool,
    again: bool,
    message: str,
    trailers: tuple[str, ...],
    author: str,
    signing_key: str,
    as_json: bool,
) -> None:
    """Set values in one commit, and push it."""
    from roadie.gitops import Edit
    from roadie.gitops import bump as bump_values

    edits = [Edit(*parse_setting(setting), create_missing=create_missing) for setting in settings]
    done = bump_values(
        repo,
        edits,
        branch=branch,
        message=message,
        trailers=dict(_pair(trailer) for trailer in trailers),
        author=author,
        signing_key=signing_key,
        again=again,
    )
    _show(done, as_json)


@gitops.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--git-server", default="", metavar="HOST", help="Fills in <GIT_SERVER>.")
@click.option("--team", default="", metavar="NAME", help="Fills in <TEAM_NAME>.")
@click.option("--registry", default="", metavar="HOST", help="Fills in <REGISTRY>.")
def init(directory: Path, git_server: str, team: str, registry: str) -> None:
    """Lay out the repositories mlops-gitops and mlops-helmcharts in DIRECTORY."""
    from roadie.gitops import init_repositories

    given = {"<GIT_SERVER>": git_server, "<TEAM_NAME>": team, "<REGISTRY>": registry}
    for folder in init_repositories(directory, replace={name: value for name, value in given.items() if value}):
        click.echo(f"made {folder}")
    missing = [name for name, value in given.items() if not value]
    if missing:
        click.echo(f"fill in {', '.join(missing)} in their files before you push them")


def parse_setting(setting: str) -> tuple[str, str, str]:
    """`FILE:KEY=VALUE` as file, key and value; the key may hold `=` and `:`, the value may not hold `=`."""
    place, equals, value = setting.rpartition("=")
    file, colon, key = place.partition(":")
    if not (equals and colon and file and key):
        raise UsageError(
            f"--set {setting!r} is not FILE:KEY=VALUE; write it like test/values.yaml:jukebox.version=1.2.0"
        )
    return file, key, value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--trailer {text!r} is not NAME=VALUE; write it like Roadie-Model=jukebox")
    return name, value


def _show(done: "Bumped", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    elif done.changed:
        click.echo(done.diff)
        click.echo(f"{done.review or done.commit} on {done.branch}")
    else:
        click.echo(f"nothing to do: {done.reason} ({done.commit[:10]} on {done.branch})")
