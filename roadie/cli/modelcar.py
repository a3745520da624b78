"""``roadie modelcar``: models in OCI registries and layouts."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadie.cli.registry import access_from, access_options, as_json_option, progress, size_text

if TYPE_CHECKING:
    from roadie.modelcar import Image


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
@click.option("--runtime", default="", help="What is to serve it: openvino, triton, huggingface, mlserver or any.")
@click.option("--workers", default=5, show_default=True, type=click.IntRange(1, 32), help="Uploads at a time.")
@access_options
@as_json_option
def push(
    directory: Path,
    reference: str,
    base: str,
    annotations: tuple[str, ...],
    previous: str,
    move_tag: bool,
    runtime: str,
    workers: int,
    as_json: bool,
    **access: Any,
) -> None:
    """Make DIRECTORY the content of /models in an image, and push it as REFERENCE.

    The directory holds 1/model.onnx, or what the runtime that is named looks for. A tag that names another image is
    refused; the same files again change nothing.
    """
    from roadie import modelcar

    with progress() as report:
        done = modelcar.push(
            directory,
            reference,
            base=base,
            annotations=dict(_pair(annotation) for annotation in annotations),
            previous=previous,
            move_tag=move_tag,
            runtime=runtime,
            workers=workers,
            access=access_from(**access),
            report=report,
        )
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        click.echo(f"{done.reference}")
        sent = "nothing: it was there" if done.existed else size_text(done.uploaded_bytes)
        click.echo(f"uploaded {sent}", err=True)


@modelcar.command()
@click.argument("reference")
@click.argument("directory", type=click.Path(path_type=Path))
@access_options
@as_json_option
def pull(reference: str, directory: Path, as_json: bool, **access: Any) -> None:
    """Write the files under /models of REFERENCE into DIRECTORY, which must be new or empty."""
    from roadie import modelcar

    with progress() as report:
        done = modelcar.pull(reference, directory, access=access_from(**access), report=report)
    if as_json:
        click.echo(json.dumps({**asdict(done), "directory": str(done.directory)}))
    else:
        # As bytes: a file's name need not be text.
        click.echo(b"\n".join(os.fsencode(done.directory / file) for file in done.files))


@modelcar.command()
@click.argument("reference")
@access_options
@as_json_option
def inspect(reference: str, as_json: bool, **access: Any) -> None:
    """Show what an image is made of and what made it, without fetching its layers."""
    from roadie import modelcar

    image = modelcar.inspect(reference, access=access_from(**access))
    click.echo(json.dumps(asdict(image)) if as_json else _described(image))


@modelcar.command()
@click.argument("reference")
@access_options
@as_json_option
def verify(reference: str, as_json: bool, **access: Any) -> None:
    """Read all of an image again and compare it with the digests that pin it."""
    from roadie import modelcar

    with progress() as report:
        done = modelcar.verify(reference, access=access_from(**access), report=report)
    click.echo(
        json.dumps(asdict(done)) if as_json else f"{done.reference}: {done.blobs} blobs, {size_text(done.size)}, whole"
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--annotation {text!r} is not NAME=VALUE.")
    return name, value


def _described(image: "Image") -> str:
    rows = [("image", image.reference), ("platforms", ", ".join(image.platforms)), ("size", size_text(image.size))]
    rows += sorted(image.annotations.items())
    rows += [(layer.digest[:19], f"{size_text(layer.size):>10}  {layer.files or 'base'}") for layer in image.layers]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{_visible(name):<{width}}  {_visible(value)}" for name, value in rows)


def _visible(text: str) -> str:
    """What an image says, without anything in it that a terminal would obey."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
