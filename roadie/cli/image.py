"""``roadie image``: the image that steps run in."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from roadie.cli.registry import access_from, access_options, as_json_option, progress, size_text


@click.group()
def image() -> None:
    """Make the image that steps run in on a cluster."""


@image.command()
@click.argument("reference", metavar="REGISTRY/REPOSITORY[:TAG]")
@click.option(
    "--base",
    default="",
    metavar="REFERENCE",
    help="What to build on: Python of this version, git, ca-certificates. By default Docker's python:3.11 (or 3.12).",
)
@click.option(
    "--lock",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The lock of what is installed here and goes along; by default Roadie's own.",
)
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder of code that goes along under its name, beside Roadie; may be repeated.",
)
@click.option("--move-tag", is_flag=True, help="Let the tag name this image even if it names another one now.")
@click.option("--workers", default=5, show_default=True, type=click.IntRange(1, 32), help="Uploads at a time.")
@access_options
@as_json_option
def push(
    reference: str,
    base: str,
    lock: Path | None,
    folders: tuple[Path, ...],
    move_tag: bool,
    workers: int,
    as_json: bool,
    **access: Any,
) -> None:
    """Make the steps' image from what is installed here, and push it. It prints the image by digest.

    No daemon, no builder: on the base come the packages of requirements.lock, each file checked against what was
    installed, and Roadie's code. The same inputs give the same digest, and a changed line of code sends the small
    layer alone.

    Without a TAG, it is the version and twelve digits of what the image is made of. A tag that names another image
    is refused. The base may be oci:DIR:tag, and so may what is pushed. Credentials are found as `roadie modelcar`
    finds them.
    """
    from roadie import modelcar

    with progress() as report:
        done = modelcar.push_steps(
            reference,
            base=base,
            lock=lock,
            folders=(*modelcar.shipped_code(), *folders),
            move_tag=move_tag,
            workers=workers,
            access=access_from(**access),
            report=report,
        )
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(done.reference)
    sent = "nothing: it was there" if done.existed else size_text(done.uploaded_bytes)
    click.echo(f"on {done.base}, tagged {done.tag}, uploaded {sent}", err=True)
