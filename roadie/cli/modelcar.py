"""``roadie modelcar``: models in OCI registries and layouts."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from roadie.modelcar import Access, Image

Command = TypeVar("Command", bound=Callable[..., Any])
Report = Callable[[str, int, int], None]

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")


def _access_options(command: Command) -> Command:
    """How a registry is reached; the command gets them as one `access`, made by `_access`."""
    for option in (
        click.option("--timeout", default=60.0, show_default=True, help="Seconds without an answer or progress."),
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


def _access(username: str, password_stdin: bool, plain_http: bool, ca_file: str, timeout: float) -> "Access":
    from roadie.modelcar import Access

    if bool(username) != password_stdin:
        raise click.UsageError("--username and --password-stdin go together: a password never stands in a command.")
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    return Access(username, password, plain_http, ca_file, timeout)


@click.group()
def modelcar() -> None:
    """Put models into registries as ModelCar images, and read them back.

    A REFERENCE is registry/repository:tag, registry/repository@sha256:..., or oci:DIR:tag, an OCI image layout on disk.
    Credentials: --username with --password-stdin, REGISTRY_USERNAME with REGISTRY_PASSWORD, REGISTRY_AUTH_FILE, or the
    files that docker and podman log in to, with their credential helpers.
    """


@modelcar.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("reference")
@click.option("--base", default="embedded", show_default=True, metavar="REFERENCE|none", help="What to build on.")
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    metavar="NAME=VALUE",
    help="Such as version=7, revision=..., or a full name; may be repeated.",
)
@click.option("--previous", default="", metavar="REFERENCE", help="A similar image: what it has is not sent again.")
@click.option("--move-tag", is_flag=True, help="Let the tag name this image even if it names another one now.")
@click.option("--workers", default=5, show_default=True, type=click.IntRange(1, 32), help="Uploads at a time.")
@_access_options
@_as_json
def push(
    directory: Path,
    reference: str,
    base: str,
    annotations: tuple[str, ...],
    previous: str,
    move_tag: bool,
    workers: int,
    as_json: bool,
    **access: Any,
) -> None:
    """Make DIRECTORY the content of /models in an image, and push it as REFERENCE.

    The directory holds 1/model.onnx. A tag that names another image is refused; the same files again change nothing.
    """
    from roadie import modelcar

    with _progress() as report:
        done = modelcar.push(
            directory,
            reference,
            base=base,
            annotations=dict(_pair(annotation) for annotation in annotations),
            previous=previous,
            move_tag=move_tag,
            workers=workers,
            access=_access(**access),
            report=report,
        )
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        click.echo(f"{done.reference}")
        sent = "nothing: it was there" if done.existed else _size(done.uploaded_bytes)
        click.echo(f"uploaded {sent}", err=True)


@modelcar.command()
@click.argument("reference")
@click.argument("directory", type=click.Path(path_type=Path))
@_access_options
@_as_json
def pull(reference: str, directory: Path, as_json: bool, **access: Any) -> None:
    """Write the files under /models of REFERENCE into DIRECTORY, which must be new or empty."""
    from roadie import modelcar

    with _progress() as report:
        done = modelcar.pull(reference, directory, access=_access(**access), report=report)
    if as_json:
        click.echo(json.dumps({**asdict(done), "directory": str(done.directory)}))
    else:
        click.echo("\n".join(str(done.directory / file) for file in done.files))


@modelcar.command()
@click.argument("reference")
@_access_options
@_as_json
def inspect(reference: str, as_json: bool, **access: Any) -> None:
    """Show what an image is made of and what made it, without fetching its layers."""
    from roadie import modelcar

    image = modelcar.inspect(reference, access=_access(**access))
    click.echo(json.dumps(asdict(image)) if as_json else _described(image))


@modelcar.command()
@click.argument("reference")
@_access_options
@_as_json
def verify(reference: str, as_json: bool, **access: Any) -> None:
    """Read all of an image again and compare it with the digests that pin it."""
    from roadie import modelcar

    with _progress() as report:
        done = modelcar.verify(reference, access=_access(**access), report=report)
    click.echo(
        json.dumps(asdict(done)) if as_json else f"{done.reference}: {done.blobs} blobs, {_size(done.size)}, whole"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--annotation {text!r} is not NAME=VALUE.")
    return name, value


def _described(image: "Image") -> str:
    rows = [("image", image.reference), ("platforms", ", ".join(image.platforms)), ("size", _size(image.size))]
    rows += sorted(image.annotations.items())
    rows += [(layer.digest[:19], f"{_size(layer.size):>10}  {layer.files or 'base'}") for layer in image.layers]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _size(count: float) -> str:
    """Bytes as people write them, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@contextlib.contextmanager
def _progress() -> Iterator[Report]:
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
        click.echo(f"{label}  {_size(size)}", err=True)
