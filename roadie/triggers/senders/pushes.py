"""Pushes as GitHub, GitLab and Gitea tell them, as events.

Each host's parser reads its payload into one form, and :func:`_event` decides on that. What is no push to a branch
(a ping, a tag, a deleted branch) is an event that can never start a run, and says why.

- GitHub: docs.github.com/webhooks/webhook-events-and-payloads, "push"
- GitLab: docs.gitlab.com/user/project/integrations/webhook_events, "Push events"
- Gitea and Forgejo: docs.gitea.com/usage/webhooks
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.senders.addresses import normalise
from roadie.triggers.senders.reading import clean, line, mapping, objects, optional_text, text
from roadie.triggers.times import stamp

# The trailers by which Roadie's own commits are known (roadie gitops; git-interpret-trailers(1)).
_OWN = re.compile(r"^Roadie-(?:Version|Run|Set): \S", re.MULTILINE)
_DELIVERY = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BRANCH = "refs/heads/"
_MOST_PATHS = 10_000
# GitHub lists so many commits at most: its Enterprise Server of old 20, github.com 2,048.
_GITHUB_LIMITS = (20, 2048)

Headers = Mapping[str, str]
Payload = Mapping[str, Any]


@dataclass(frozen=True)
class _Push:
    """A push in no host's words.

    `complete` says that `commits` are all that came with it, `forced` that others went; `head` is the last's message.
    """

    repository: str
    ref: str
    before: str
    after: str
    pusher: str
    commits: tuple[Payload, ...]
    complete: bool
    forced: bool
    head: str

    @property
    def branch(self) -> str:
        """The branch; empty when it is something else, such as a tag."""
        return clean(self.ref.removeprefix(_BRANCH)) if self.ref.startswith(_BRANCH) else ""


def parse(source: str, headers: Headers, payload: Payload, now: datetime) -> Event:
    """The event that a delivery tells of; `now` is when it came.

    Args:
        source: github, gitlab or gitea.
        headers: The request's; their names in any case, if the mapping does not mind, or in small letters.
        payload: The request's body.
        now: When it came.

    Raises:
        TriggerError: the headers name no event, or a field of the push is missing.
    """
    host = _HOSTS[source]
    kind = headers.get(host.event, "")
    if not kind:
        raise TriggerError(f"the header {host.event} is missing; {source} sends it with every event")
    delivery = headers.get(host.delivery, "")
    if not _DELIVERY.fullmatch(delivery):
        delivery = ""
    if kind != host.push:
        return _other(source, delivery, kind, payload, now)
    return _event(source, delivery, host.read(payload), now)


def _github(payload: Payload) -> _Push:
    commits = objects(payload, "commits")
    return _Push(
        repository=_address(mapping(payload, "repository"), "clone_url"),
        ref=text(payload, "ref"),
        before=text(payload, "before"),
        after=text(payload, "after"),
        pusher=optional_text(mapping(payload, "pusher"), "name"),
        commits=commits,
        complete=bool(commits) and len(commits) not in _GITHUB_LIMITS,
        forced=bool(payload.get("forced")),
        head=optional_text(payload.get("head_commit"), "message"),
    )


def _gitlab(payload: Payload) -> _Push:
    commits, after = objects(payload, "commits"), text(payload, "after")
    return _Push(
        repository=_address(mapping(payload, "project"), "git_http_url"),
        ref=text(payload, "ref"),
        before=text(payload, "before"),
        after=after,
        pusher=optional_text(payload, "user_username") or optional_text(payload, "user_name"),
        commits=commits,
        complete=bool(commits) and payload.get("total_commits_count") == len(commits),
        forced=False,  # it does not tell
        head=_message_of(commits, after),
    )


def _gitea(payload: Payload) -> _Push:
    commits, after = objects(payload, "commits"), text(payload, "after")
    pusher = mapping(payload, "pusher")
    return _Push(
        repository=_address(mapping(payload, "repository"), "clone_url"),
        ref=text(payload, "ref"),
        before=text(payload, "before"),
        after=after,
        pusher=optional_text(pusher, "login") or optional_text(pusher, "username"),
        commits=commits,
        complete=bool(commits) and payload.get("total_commits") == len(commits),
        forced=False,  # it does not tell
        head=_message_of(commits, after),
    )


@dataclass(frozen=True)
class _Host:
    """The headers of a host that name the event and the delivery, its word for a push, and how its payload is read."""

    event: str
    delivery: str
    push: str
    read: Callable[[Payload], _Push]


_HOSTS = {
    "github": _Host("x-github-event", "x-github-delivery", "push", _github),
    "gitlab": _Host("x-gitlab-event", "idempotency-key", "Push Hook", _gitlab),
    "gitea": _Host("x-gitea-event", "x-gitea-delivery", "push", _gitea),
}


def _event(source: str, delivery: str, push: _Push, now: datetime) -> Event:
    name = normalise(push.repository)
    sha = push.after
    if not _SHA.fullmatch(sha):
        raise TriggerError("after is not a commit's id; send the payload as it is documented")
    other, subject = _why_other(push), push.head.partition("\n")[0]
    place = push.branch or clean(push.ref)
    return Event(
        source=source,
        kind="push",
        identity=f"{source}/{delivery}" if delivery else f"{source}/{name}/{place}@{sha}",
        subject=f"{name}@{sha}",
        status="other" if other else "pushed",
        summary=line(
            f"{push.pusher or 'somebody'} pushed {sha[:10]} to {place} of {name}" + (f": {subject}" if subject else "")
        ),
        happened=stamp(now),
        names={"repository": push.repository, "branch": push.branch, "sha": sha, "pusher": push.pusher},
        paths=_paths(push),
        ignored=other or ("Roadie made these commits itself" if _is_own(push) else ""),
    )


def _other(source: str, delivery: str, kind: str, payload: Payload, now: datetime) -> Event:
    """Something else than a push; without a delivery's id, each is its own."""
    what = line(kind, 60)
    name = optional_text(payload.get("repository"), "full_name")
    name = name or optional_text(payload.get("project"), "path_with_namespace")
    identity = f"{source}/{delivery or f'{what}/{stamp(now)}'}"
    return Event(
        source=source,
        kind="push",
        identity=identity,
        subject=identity,
        status="other",
        summary=line(f"{source} sent {what}" + (f" of {name}" if name else "")),
        happened=stamp(now),
        paths=None,
        ignored=f"{what} is no push to a branch",
    )


def _why_other(push: _Push) -> str:
    """Why it is no push that anything could be trained on; empty when it is one."""
    if not push.branch:
        return f"{line(push.ref, 100)} is no branch"
    if not push.after.strip("0"):
        return f"the branch {line(push.branch, 100)} was deleted"
    return ""


def _is_own(push: _Push) -> bool:
    """Whether every commit carries Roadie's trailers, or merges such commits."""
    messages = [optional_text(commit, "message") for commit in push.commits]
    made = [message for message in messages if not message.startswith("Merge ")]
    return push.complete and bool(made) and all(_has_trailers(message) for message in made)


def _has_trailers(message: str) -> bool:
    return bool(_OWN.search(message.replace("\r\n", "\n").strip().rpartition("\n\n")[2]))


def _paths(push: _Push) -> tuple[str, ...] | None:
    """The files that the push changed; None where the payload does not tell them all.

    A new branch and a forced one differ from what was there by more than the commits that came.
    """
    if not push.complete or push.forced or not push.before.strip("0"):
        return None
    paths: set[str] = set()
    for commit in push.commits:
        for change in ("added", "modified", "removed"):
            files = commit.get(change)
            if not isinstance(files, list):
                return None
            paths |= {clean(path) for path in files if isinstance(path, str)}
    return tuple(sorted(paths)) if len(paths) <= _MOST_PATHS else None


def _message_of(commits: tuple[Payload, ...], sha: str) -> str:
    return next((optional_text(commit, "message") for commit in commits if commit.get("id") == sha), "")


def _address(repository: Payload, key: str) -> str:
    """The repository's address by HTTP, without a user or password."""
    try:
        parts = urlsplit(text(repository, key))
    except ValueError:
        raise TriggerError(f"{key} is not an address; send the payload as it is documented") from None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
