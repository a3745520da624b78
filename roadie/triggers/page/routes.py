"""The page for people over HTTP: `GET /` and `GET /runs/KEY`, read only, behind a password where one is configured."""

import asyncio
import base64
import binascii
import contextlib
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from roadie.errors import TriggerError
from roadie.gitops import Deployment
from roadie.triggers import secrets
from roadie.triggers.config import Config
from roadie.triggers.journal.rows import Details, Entry, RunRow
from roadie.triggers.page import rendering, view, words
from roadie.triggers.times import utc_now
from roadie.triggers.web.auth import Guesses
from roadie.triggers.web.hooks import note

EVENTS, RUNS = 50, 12  # a page
_AT_ONCE = 2  # pages being made
_USER = b"roadie"
_NUMBER = re.compile(r"[0-9]{1,18}")  # within SQLite's integers
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Told(Protocol):
    """What the page asks the journal; :class:`roadie.triggers.journal.journal.Journal` tells it."""

    def timeline(self, limit: int, before: int | None = None, model: str = "") -> list[Entry]:
        """The newest events."""

    def runs(self, model: str = "", limit: int = 20) -> list[RunRow]:
        """The newest runs."""

    def entry_of(self, key: str) -> Entry | None:
        """The event that the run with this key was accepted for."""

    def details(self, key: str) -> Details | None:
        """What is large about the run with this key."""


class Deployed(Protocol):
    """What is deployed, as it was read last: `at` is None before that, `error` says what keeps it from being newer."""

    @property
    def rows(self) -> Sequence[Deployment]:
        """Every model in every environment."""

    @property
    def at(self) -> datetime | None:
        """When it was read."""

    @property
    def error(self) -> str:
        """Why it is not newer; may be empty."""


def page_routes(
    config: Config,
    journal: Told,
    deployed: Callable[[], Deployed | None],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> list[Route]:
    """The routes of the page.

    Args:
        config: The receiver's; of it the models, hooks, the page's password and the GitOps repository.
        journal: What came in, and what became of it.
        deployed: What is known now to be deployed; it must not block. None where no repository is configured.
        clock: What time it is.
    """
    pages = _Pages(config, journal, deployed, clock)
    return [
        Route("/", pages.guarded(pages.overview), methods=["GET"]),
        Route("/runs/{key}", pages.guarded(pages.run), methods=["GET"]),
    ]


class _Pages:
    """The pages; each method takes a request and gives an answer, in a thread because SQLite blocks."""

    def __init__(
        self,
        config: Config,
        journal: Told,
        deployed: Callable[[], Deployed | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._config, self._journal, self._deployed, self._clock = config, journal, deployed, clock
        self._repository = config.gitops.repository if config.gitops else ""
        # However many ask at once, hooks and probes go first.
        self._makers = ThreadPoolExecutor(_AT_ONCE, "page")
        self._guesses = Guesses()
        self._hooks = tuple(name for name, hook in config.hooks if hook)

    def guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        """`answer` for those who may see it; what fails is said in a sentence, on a page."""

        async def endpoint(request: Request) -> Response:
            if not self._is_meant(request):
                message = "The page is not known by this name; add it to page.hosts in triggers.yaml."
                return self._message(request, 421, "Somewhere else", message)
            try:
                if self._may_see(request):
                    return await asyncio.get_running_loop().run_in_executor(self._makers, answer, request)
            except TriggerError as error:
                # Not on the page: who has no password would read it, too.
                note(request, why=error)
                return self._message(request, 503, "Not now", "The page cannot be made; the log says why.")
            if request.headers.get("authorization"):
                await self._guesses.wrong()
            challenge = {"WWW-Authenticate": 'Basic realm="roadie", charset="UTF-8"'}
            message = "Sign in as roadie, with the password that triggers.yaml names below page."
            return self._message(request, 401, "Who are you?", message, challenge)

        return endpoint

    def overview(self, request: Request) -> Response:
        """The first page; with `before` a later one of the journal, with `model` what concerns one model."""
        model, before = request.query_params.get("model", ""), request.query_params.get("before")
        if before is not None and not _NUMBER.fullmatch(before):
            return self._nothing(request, "before has to be the number of an event.")
        entries = self._journal.timeline(EVENTS + 1, int(before) if before is not None else None, model)
        older = entries[EVENTS - 1].id if len(entries) > EVENTS else None
        now = self._clock()
        days = view.days(entries[:EVENTS], now, self._repository)
        if before is not None:
            return _html(rendering.render_journal(self._frame(request, now, model), days, older=older))
        runs = [view.run_view(row, now, self._repository) for row in self._journal.runs(model, RUNS)]
        frame = self._frame(request, now, model, active=any(run.active for run in runs))
        deployments, example = self._deployments(now, model), self._example(model)
        return _html(
            rendering.render_overview(frame, deployments, runs, days, self._hooks, example=example, older=older),
        )

    def run(self, request: Request) -> Response:
        """One run, from the event to what is deployed."""
        key, now, deployed = request.path_params["key"], self._clock(), self._deployed()
        entry, details = self._journal.entry_of(key), self._journal.details(key)
        rows = deployed.rows if deployed else ()
        story = view.story_view(key, entry, details, rows, now, self._repository) if entry and details else None
        if not story:
            return self._nothing(request, "There is no such run; it may be older than what the journal keeps.")
        if not story.run:
            return self._message(request, 404, "Held back", f"This run was not started: {story.why}.")
        frame = self._frame(request, now, story.run.model, active=story.run.active)
        return _html(rendering.render_story(frame, story, story.run))

    def _deployments(self, now: datetime, model: str) -> rendering.Deployments:
        deployed = self._deployed()
        environments = self._config.gitops.environments if self._config.gitops else ()
        rows = deployed.rows if deployed else ()
        models = tuple(
            view.model_view(
                name, environments, rows, next(iter(self._journal.runs(name, 1)), None), now, self._repository
            )
            for name in self._config.models
            if model in ("", name)
        )
        at = words.moment(deployed.at, now) if deployed and deployed.at else None
        return rendering.Deployments(environments, models, at, deployed.error if deployed else "")

    def _example(self, model: str) -> str:
        """A model that an alert with the usual labels starts, to try the receiver with."""
        usual = [name for name, each in self._config.models.items() if each.alerts is None and model in ("", name)]
        return usual[0] if usual and self._config.hooks.alertmanager else ""

    def _frame(self, request: Request, now: datetime, model: str, *, active: bool = False) -> rendering.Frame:
        return rendering.Frame(
            now=words.moment(now, now),
            models=tuple(self._config.models),
            model=model,
            reload=active,
            paused=request.query_params.get("refresh") == "off",
            home="./" if request.url.path.endswith("/") else "../",
        )

    def _nothing(self, request: Request, message: str) -> Response:
        return self._message(request, 404, "Nothing here", message)

    def _message(
        self, request: Request, status: int, title: str, message: str, headers: dict[str, str] | None = None
    ) -> Response:
        now = self._clock()
        frame = rendering.Frame(words.moment(now, now), home=self._frame(request, now, "").home)
        return _html(rendering.render_message(frame, title, message), status, headers)

    def _is_meant(self, request: Request) -> bool:
        """Whether it is asked by a name of this machine: another site's name may have been bound to its address."""
        listen, page = self._config.listen.host, self._config.page
        if page.password or not (listen == "localhost" or _is_loopback(listen)):
            return True
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        except ValueError:
            return False
        return host == "localhost" or host in page.hosts or _is_address(host)

    def _may_see(self, request: Request) -> bool:
        if not self._config.page.password:
            return True
        password = secrets.read(self._config.page.password)
        return hmac.compare_digest(_credentials(request), _USER + b":" + password.encode())


def _is_address(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _credentials(request: Request) -> bytes:
    """What a person typed, as `user:password` (RFC 7617); empty where nothing was."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _html(document: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return HTMLResponse(
        document, status, {**_HEADERS, "Content-Security-Policy": rendering.security_policy(), **(headers or {})}
    )
