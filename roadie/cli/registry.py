"""What the commands that reach a registry share: options, credentials, progress."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from roadie.modelcar import Access

Command = TypeVar("Command", bound=Callable[..., Any])
Report = Callable[[str, int, int], None]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")


def access_options(command: Command) -> Command:
    """How a registry is reached; the command gets them as one `access`, made by `access_from`."""
    for option in (
        click.option(
            "--timeout",
            default=60.0,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True),
            help="Seconds without an answer or progress.",
        ),
        click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
        click.option("--username", default="", help="Name to log in with; otherwise see `roadie modelcar --help`."),
        click.option(
            "--ca-file",
            default="",
            envvar="REGISTRY_CA_FILE",
            metavar="FILE",
            help="PEM file of the CA of a private registry; or REGISTRY_CA_FILE.",
        ),
        click.option(
            "--plain-http",
            is_flag=True,
            envvar="REGISTRY_PLAIN_HTTP",
            help="No TLS, which otherwise only loopback is spared; or REGISTRY_PLAIN_HTTP=1.",
        ),
    ):
        command = option(command)
    return command


def access_from(username: str, password_stdin: bool, plain_http: bool, ca_file: str, timeout: float) -> "Access":
    """The `access` that the options of `access_options` mean; a password is read from standard input."""
    from roadie.modelcar import Access

    if bool(username) != password_stdin:
        raise click.UsageError("--username and --password-stdin go together: a password never stands in a command.")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    given = Access.from_environment()  # for what no option says
    return replace(given, username=username, password=password, plain_http=plain_http, ca_file=ca_file, timeout=timeout)


def size_text(count: float) -> str:
    """Bytes as people write them, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextlib.contextmanager
def progress() -> Iterator[Report]:
    """A bar for each layer on a terminal, otherwise a line when one is done."""
    if not sys.stderr.isatty():
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(label: str, done: int, size: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label.removeprefix("models/"), total=size)
            bars.update(tasks[label], completed=done)

        yield report


def _line(label: str, done: int, size: int) -> None:
    if done == size:
        click.echo(f"{label}  {size_text(size)}", err=True)
