"""Ask for a review instead of pushing: one branch and one request per model and environment, kept up to date."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_branch
from roadie.gitops.edits import Edit, Plan
from roadie.gitops.history import SET, STARTED, Commit, started, time_of
from roadie.gitops.repository import Repository
from roadie.gitops.signature import Signature

if TYPE_CHECKING:
    from roadie.gitops.reviews import Review


@dataclass(frozen=True)
class Proposed:
    """What became of a proposal: whether its branch was pushed, the request's address, and whether it is merged.

    It is `withheld` where the request is a later run's.
    """

    pushed: bool
    commit: str
    branch: str
    url: str
    diff: str = ""
    reason: str = ""
    merged: bool = False
    withheld: bool = False


@dataclass(frozen=True)
class Proposal:
    """How to ask for a review: on which host, from which branch, with which notes (Markdown, such as the gate's table).

    `kind` (github, gitlab, gitea) and `api_url` are told from the repository's URL when empty, `branch` from the edits.
    `wait` is how many seconds to wait for the merge.
    """

    kind: str = ""
    api_url: str = ""
    branch: str = ""
    notes: str = ""
    wait: float = 0.0

    def propose(self, repository: Repository, tip: str, todo: Plan, text: str, signature: Signature) -> Proposed:
        """Push the edits to the review's branch and open its request; one that is there is updated.

        A branch that holds these edits on `tip` already is left as it is, as is one that a later run has made.

        Raises:
            GitOpsError: the host or the server refuses, or the review was closed without a merge while we waited.
        """
        from roadie.gitops.reviews import host_for, open_review, wait

        branch = check_branch(self.branch or branch_name(todo.edits))
        if branch == repository.branch:
            raise UsageError(f"a review cannot come from {branch} itself; name another branch for it")
        host = host_for(repository.repo, repository.access, kind=self.kind, api_url=self.api_url)
        there = repository.head_of(branch)
        newer = _made_later(there, todo, text) if there else None
        if there and newer:
            found = host.find(branch, repository.branch)
            return Proposed(False, there.sha, branch, found.url if found else "", reason=newer, withheld=True)
        commit = there.sha if there and _is_same(there, tip, todo) else ""
        if not commit:
            commit = repository.commit(tip, todo.files, text, signature)
            repository.push(commit, branch, replacing=there.sha if there else "")
        title, _, rest = text.partition("\n\n")
        review = open_review(host, branch, repository.branch, title, body(todo.edits, rest, self.notes))
        merged = bool(self.wait) and wait(host, review.number, timeout=self.wait).state == "merged"
        pushed = not there or commit != there.sha
        diff = repository.diff(f"{commit}^", commit) if pushed else ""
        reason = "" if pushed else "the review is open already"
        return Proposed(pushed, commit, branch, review.url, diff, reason, merged)


BY_URL = Proposal()


def follow(
    repo: str,
    review: str,
    commit: str,
    *,
    proposal: Proposal = BY_URL,
    merge: bool = False,
    timeout: float = 0.0,
    access: Access | None = None,
) -> "Review":
    """Merge the review at the address `review` while its head is `commit` (`merge`), or wait for others to merge it.

    Raises:
        GitOpsError: its branch has moved on from `commit`, or it was closed without a merge.
    """
    from roadie.gitops import reviews

    host = reviews.host_for(repo, access or Access.from_environment(), kind=proposal.kind, api_url=proposal.api_url)
    number = re.search(r"(\d+)/?$", review)
    if not number:
        raise UsageError(f"{review[:200]!r} is not the address of a review; give the one that bump has returned")
    now = host.get(int(number[1]))
    if now.head != commit:
        raise GitOpsError(f"{review} is about {now.head[:10]} by now, not {commit[:10]}; a newer version took over")
    if merge and now.state == "open":
        return reviews.merge(host, now)
    return reviews.wait(host, now.number, timeout=timeout)


def branch_name(edits: Sequence[Edit]) -> str:
    """The review's branch: the same for every version of the same values, `roadie/test/applications.jukebox.values`."""
    first = edits[0]
    place = first.file.rpartition("/")[0] or first.file
    key = first.key.rpartition(".")[0] or first.key
    plain = re.sub(r"[^A-Za-z0-9./-]+", "-", f"{place}/{key}").replace(".lock", "-lock")
    return "roadie/" + "/".join(part.strip(".-") or "x" for part in re.sub(r"\.{2,}", ".", plain).split("/"))


def body(edits: Sequence[Edit], trailers: str, notes: str) -> str:
    """The request's words in Markdown: what is set, what is known about it, and the notes."""
    rows = [(f"{edit.file}: {edit.key}", edit.value) for edit in edits]
    known = [line.split(": ", 1) for line in trailers.strip().splitlines() if not line.startswith(f"{SET}: ")]
    rows += [(name.removeprefix("Roadie-").replace("-", " "), value) for name, value in known]
    table = [f"| {_cell(name)} | {_value(value)} |" for name, value in rows]
    return "\n".join(["| What | Value |", "|---|---|", *table, *(["", notes] if notes else [])]) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"([\\|`<>\[\]*_])", r"\\\1", text)


def _value(text: str) -> str:
    """A link stays one; all else is shown as code."""
    return text if re.fullmatch(r"https?://[^\s|<>]+", text) else "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _made_later(there: Commit, todo: Plan, text: str) -> str | None:
    """Why the branch's commit is to stay: a run that started later has made it."""
    ours = next(iter(Commit("", 0, text).told), {}).get(STARTED, [""])[0]
    mine, places = time_of(ours), {record.rpartition("=")[0] for record in todo.records}
    for group in there.told:
        theirs = started(group, there.time, datetime.now(UTC))
        touched = places.intersection(record.rpartition("=")[0] for record in group.get(SET, ()))
        if mine and theirs and theirs > mine and touched:
            return f"a run that started later has set {touched.pop()} by {there.sha[:10]}"
    return None


def _is_same(there: Commit, tip: str, todo: Plan) -> bool:
    return there.parents == (tip,) and any(set(group.get(SET, ())) == set(todo.records) for group in there.told)
