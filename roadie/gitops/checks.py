"""What may not reach git or a values file: hostile files, branches, URLs, versions, messages and trailers."""

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from roadie.errors import UsageError
from roadie.gitops.history import STARTED, time_of
from roadie.gitops.keypath import parse_path

# OCI distribution spec 1.1, "Pulling manifests": the tag; OCI image spec 1.1, "Digests": the digest.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TRAILER_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
# The bans of git check-ref-format(1); a leading dash or plus would be an option or a forced refspec.
_BAD_BRANCH = re.compile(r"^[-+/.]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|/\.|@\{|\.lock(/|$)|[/.]$|^@$|^HEAD$|^refs/")
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9][A-Za-z0-9.-]*:(?!:)[^\x00-\x20]+")
# Tokens that stand where a user's name does: those of the hosts by their beginnings, others by their looks.
_TOKEN = re.compile(r"(gh[a-z]_|github_pat_|gl[a-z]{2,6}-|bbp_|AT[A-Z]{2,5}).+|(?=.*[0-9])[A-Za-z0-9_=-]{30,}")
_MAX_BRANCH = 200
_MAX_TEXT = 1000
_BAD_PART = re.compile(r"\.|\.\.|\.git[ .]*", re.IGNORECASE)


def check_file(file: str) -> str:
    """A path inside the repository, with forward slashes and no way out of it."""
    parts = file.split("/")
    if not all(parts) or any(_BAD_PART.fullmatch(part) for part in parts) or not file.isprintable():
        raise UsageError(f"the file {file[:200]!r} is not a path inside the repository; write it like test/values.yaml")
    if file.startswith("-") or "\\" in file or ":" in file:
        raise UsageError(f"the file {file[:200]!r} could be read as something else than a path; rename it")
    return file


def check_branch(branch: str) -> str:
    """A branch name that git accepts and that cannot be taken for an option."""
    if not branch or len(branch) > _MAX_BRANCH or _BAD_BRANCH.search(branch):
        raise UsageError(f"{branch[:200]!r} is not a branch name; write it like main or release/test")
    return branch


def check_repository(repo: str) -> str:
    """A path on disk, or an https, http, ssh or file URL; a password or token in it is refused, and not repeated."""
    if "://" not in repo:
        if repo.startswith("-") or "::" in repo or not repo.isprintable() or not repo:
            raise UsageError(f"{repo[:80]!r} is not a repository; give a path or an https or ssh URL")
        return repo
    url = urlsplit(repo)
    if url.password is not None:
        raise UsageError(
            f"the URL of the repository on {url.hostname} holds a password, which would end up in logs;"
            " take it out and set GIT_USERNAME and GIT_PASSWORD"
        )
    if url.scheme in ("http", "https") and _TOKEN.fullmatch(unquote(url.username or "")):
        raise UsageError(
            f"the URL of the repository on {url.hostname} holds what looks like a token, which would end up in logs;"
            " take it out and set GIT_TOKEN"
        )
    host = url.hostname or ""
    if url.scheme not in ("https", "http", "ssh", "file") or host.startswith("-") or not repo.isprintable():
        raise UsageError(f"{repo[:80]!r} is not a repository; give a path or an https or ssh URL")
    if (not host and url.scheme != "file") or " " in repo:
        raise UsageError(f"{repo[:80]!r} is not a repository; give a path or an https or ssh URL")
    return repo


def is_local(repo: str) -> bool:
    """Whether `repo` is a path on this machine."""
    return "://" not in repo and not _SCP.fullmatch(repo)


def check_value(key: str, value: str) -> str:
    """A value fit for its key: an OCI tag or digest under `version`, a digest under `digest`, or text."""
    last = parse_path(key).steps[-1]
    if last == "digest" and value == "":
        return value  # what was known by a digest is known by its version only
    if last == "digest" and not DIGEST.fullmatch(value):
        raise UsageError(f"{value[:80]!r} is not a digest; give sha256: and 64 hexadecimal digits")
    if last in ("version", "tag") and not (_TAG.fullmatch(value) or DIGEST.fullmatch(value)):
        raise UsageError(
            f"{value[:80]!r} is not a version that an image can have; use at most 128 of A-Z a-z 0-9 . _ -"
        )
    if not value or len(value) > _MAX_TEXT or not value.isprintable() or "{{" in value or "=" in value:
        raise UsageError(f"{value[:80]!r} cannot be written under {key}; give one line of text without = and {{{{")
    return value


def check_trailers(trailers: Mapping[str, str]) -> Mapping[str, str]:
    """Trailers of one line each, as git-interpret-trailers(1) reads them; none can bring in another."""
    for key, value in trailers.items():
        if not _TRAILER_KEY.fullmatch(key):
            raise UsageError(f"{key[:80]!r} is not a trailer's name; write it like Roadie-Model")
        if len(value) > _MAX_TEXT or not value.isprintable():
            raise UsageError(f"the trailer {key} holds line breaks or has over {_MAX_TEXT} letters; shorten it")
    if STARTED in trailers and not time_of(trailers[STARTED]):
        raise UsageError(f"{STARTED} is {trailers[STARTED][:80]!r}; write it like 2026-01-31T12:00:00Z")
    return trailers


def check_message(message: str) -> str:
    """A commit message without control characters other than line breaks."""
    if not message.strip() or not message.replace("\n", "").isprintable():
        raise UsageError("the commit message is empty or holds control characters; give plain text")
    return message.strip()
