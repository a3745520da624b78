"""The page for people as HTML: one document, no script, nothing from outside, and a policy that holds it to that."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from roadie.triggers.page.view import Day, ModelView, RunView, Story
from roadie.triggers.page.words import Moment, short_digest, short_image

TEMPLATES = Path(__file__).with_name("templates")
SECONDS_TO_RELOAD = 15


@dataclass(frozen=True)
class Frame:
    """What every page shows around its content.

    Attributes:
        now: When it is made.
        models: The configured models, for the navigation.
        model: The one that is shown; all of them when empty.
        reload: Whether the page loads itself anew, because a run goes on.
        paused: Whether the person asked it not to.
        home: The first page, as seen from this one, so that a prefix that an ingress puts before it does no harm.
    """

    now: Moment
    models: Sequence[str] = ()
    model: str = ""
    reload: bool = False
    paused: bool = False
    home: str = "./"


@dataclass(frozen=True)
class Deployments:
    """What is deployed: the models' lines, as read at `at`; `error` says why it is not known better."""

    environments: Sequence[str] = ()
    models: Sequence[ModelView] = ()
    at: Moment | None = None
    error: str = ""


def render_overview(
    frame: Frame,
    deployments: Deployments,
    runs: Sequence[RunView],
    days: Sequence[Day],
    hooks: Sequence[str],
    *,
    example: str = "",
    older: int | None = None,
) -> str:
    """The first page: models, runs, and the newest events.

    Args:
        frame: What is around it.
        deployments: The models.
        runs: The newest runs.
        days: The newest events.
        hooks: The senders that are listened to, for whoever wonders why there is no event yet.
        example: A model that alerts with the usual labels start, for them as well.
        older: The id before which the next page begins; None when this is the last one.
    """
    content = {"deployments": deployments, "runs": runs, "days": days, "hooks": hooks}
    return _render("overview", frame, **content, example=example, older=older)


def render_journal(frame: Frame, days: Sequence[Day], *, older: int | None = None) -> str:
    """A later page of the journal: events alone."""
    return _render("journal", frame, days=days, older=older)


def render_story(frame: Frame, story: Story, run: RunView) -> str:
    """A run, with all that led to it and all that came of it."""
    return _render("run", frame, story=story, run=run)


def render_message(frame: Frame, title: str, message: str) -> str:
    """A page that only says something, such as that there is no such run."""
    return _render("message", frame, title=title, message=message)


@cache
def security_policy() -> str:
    """The Content-Security-Policy: our own style, our own icon, and nothing else; no framing, no form, no script."""
    digest = b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    parts = ("default-src 'none'", f"style-src 'sha256-{digest}'", "img-src data:", "base-uri 'none'")
    return "; ".join((*parts, "form-action 'none'", "frame-ancestors 'none'"))


@cache
def _style() -> str:
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(short_image=short_image, short_digest=short_digest)
    environment.globals.update(style=Markup(_style()), seconds=SECONDS_TO_RELOAD)  # noqa: S704 - our own file
    return environment


def _render(template: str, frame: Frame, **content: object) -> str:
    return _environment().get_template(f"{template}.html.j2").render(frame=frame, **content)
