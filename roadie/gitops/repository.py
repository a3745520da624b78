"""A branch's history as git has it, and new commits on it.

Commits are made from blobs and trees, so that no checkout, filter, hook or symlink comes between a file's bytes and us.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadie.errors import GitOpsError
from roadie.gitops.checks import check_branch
from roadie.gitops.history import Commit
from roadie.gitops.remote import WHOLE, Entry, Remote
from roadie.gitops.signature import Signature

HISTORY = 200  # how many commits back a run looks for what others have done
# How far back a file's history is fetched: first as far as nearly always suffices, and then further where it must be.
_FAR = 2_000
_DEPTHS = (HISTORY, _FAR, WHOLE)
_HOOKS = 600  # seconds that a push may wait for a server's hooks


@dataclass(frozen=True)
class Step:
    """A commit that changed a file, and the ids of the file's bytes before and after ("" where there was none).

    Where the history was `cut` at the commit, what was before it is not known.
    """

    commit: Commit
    before: str
    after: str
    cut: bool = False


class Repository(Remote):
    """One branch of a remote repository, with its history, to commit and push to; see Remote."""

    def commit(self, parent: str, files: Mapping[str, tuple[Entry, bytes]], message: str, signature: Signature) -> str:
        """Write a commit on `parent` in which `files` have new bytes; return its id."""
        self.run("read-tree", parent)
        lines = []
        for name, (entry, data) in files.items():
            blob = self.run("hash-object", "-w", "--stdin", stdin=data)
            lines.append(f"{entry.mode} {blob}\t{name}\0")
        self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode())
        tree = self.run("write-tree", "--missing-ok")
        sign = ["-S"] if signature.key or self._signs_by_default() else []
        command = [*signature.options(self._root / "signing-key"), "commit-tree", *sign, "-p", parent, "-F", "-", tree]
        return self.run(*command, stdin=message.encode(), env=signature.people())

    def _signs_by_default(self) -> bool:
        """Whether the user's own configuration asks for signatures, which commit-tree does not heed."""
        return self.run("config", "--type=bool", "--default=false", "commit.gpgsign") == "true"

    def push(self, commit: str, branch: str = "", *, replacing: str) -> None:
        """Push `commit` to the branch, or another one; LostRaceError when someone was faster.

        `replacing` is the commit that the branch must still have ("" for none yet), or else nothing happens: for the
        branch that is deployed the parent of `commit`, for a review's own what may be thrown away.
        """
        target = f"refs/heads/{branch or self.branch}"
        lease = f"--force-with-lease={target}:{replacing}"
        # A server's hooks may take minutes before it says a word.
        patient = ("-c", f"http.lowSpeedTime={_HOOKS}")
        self._once(*patient, "push", "--quiet", "--porcelain", lease, "origin", f"{commit}:{target}")

    def diff(self, old: str, new: str) -> str:
        """The difference between two commits, as `git diff` shows it."""
        return self.run("diff-tree", "-p", "--no-color", "--no-ext-diff", old, new)

    def log(self, tip: str, limit: int = HISTORY) -> list[Commit]:
        """The commits from `tip`, newest first, at least `limit` of them; they are fetched without their trees."""
        if not self._deep:
            self._fetch("--filter=tree:0", f"--depth={limit}")
            self._deep = True
        return self._log(tip)

    def steps(self, tip: str, file: str) -> list["Step"]:
        """The commits of the branch itself (first parents) that changed `file`, newest first, as far as is known.

        The first of them stands for what was before it, too, when it is `cut`.
        """
        if self._depth < HISTORY:
            self.deepen()
        return self._steps(file, "--first-parent", "--diff-merges=first-parent", tip)

    def brought(self, merge: Commit, file: str) -> list["Step"]:
        """The commits that changed `file` and came to the branch by `merge`, newest first; no merges among them."""
        return self._steps(file, "--full-history", "--no-merges", merge.sha, "--not", merge.parents[0])

    def deepen(self) -> bool:
        """Fetch more of the history, without its files; whether there was more, and it is not too much."""
        deeper = [depth for depth in _DEPTHS if depth > self._depth]
        if not deeper or not self._cut():
            return False
        self._fetch(self._filter, f"--depth={deeper[0]}")
        self._depth = deeper[0]
        return True

    def older(self, tip: str) -> list[Commit]:
        """The commits further back than `steps` goes, as far as a bump looks; what they changed is not known."""
        if self._depth >= _FAR:
            return []
        if self._older is None:
            shallow = self._root / "shallow"
            kept = shallow.read_bytes()
            self._fetch("--filter=tree:0", f"--depth={_FAR}")
            self._older = self._log(tip)
            # What comes without its trees must not be walked into: git would fetch these one by one.
            shallow.write_bytes(kept)
        return self._older

    def _steps(self, file: str, *selection: str) -> list["Step"]:
        form = "--format=%x00%H %ct %P%x00%B%x00"
        options = ("--no-show-signature", "--raw", "--no-abbrev", "--no-renames", form)
        parts = self.run("--literal-pathspecs", "log", *options, *selection, "--", file).split("\0")[1:]
        cut, steps = self._cut(), []
        for head, message, raw in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            sha, made, *parents = head.split()
            before, after = _blobs(raw, file)
            steps.append(Step(Commit(sha, int(made), message, tuple(parents)), before, after, sha in cut))
        self._fetch_blobs({blob for step in steps for blob in (step.before, step.after) if blob})
        return steps

    def _fetch_blobs(self, blobs: set[str]) -> None:
        """Get many files' bytes at once; what a server does not hand out so is fetched when it is read."""
        command = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "origin")
        wanted = blobs - self._texts.keys() - self._asked
        if len(wanted) > 1:
            with contextlib.suppress(GitOpsError):
                self.run("-c", "fetch.negotiationAlgorithm=noop", *command, *sorted(wanted))
                self._texts |= self._batch(sorted(wanted))
            self._asked |= wanted

    def _batch(self, blobs: Sequence[str]) -> dict[str, bytes]:
        """The bytes of many files by one process (git-cat-file(1), batch output)."""
        written = self.raw("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs).encode())
        texts, at = {}, 0
        for blob in blobs:
            head, at = written[at : written.index(b"\n", at)], written.index(b"\n", at) + 1
            if not head.endswith(b" missing"):
                size = int(head.split()[2])
                texts[blob], at = written[at : at + size], at + size + 1
        return texts

    def _log(self, *arguments: str) -> list[Commit]:
        text = self.run("log", "--no-show-signature", "--format=%H %ct %P%n%B%x00", *arguments)
        commits = []
        for record in text.split("\0")[:-1]:
            head, _, message = record.lstrip("\n").partition("\n")
            sha, made, *parents = head.split()
            commits.append(Commit(sha, int(made), message, tuple(parents)))
        return commits

    def head_of(self, branch: str) -> Commit | None:
        """The newest commit of another branch, with its parent; None when there is no such branch."""
        reference = f"refs/heads/{check_branch(branch)}"
        listed = self.run("ls-remote", "origin", reference)
        if not listed:
            return None
        sha = listed.split(maxsplit=1)[0]
        self._fetch("--depth=1", "--filter=tree:0", branch=branch)
        # `log` would not show the parent, at which the fetch stopped.
        header, _, message = self.run("cat-file", "commit", sha).partition("\n\n")
        parents = re.findall(r"^parent (\w+)$", header, re.MULTILINE)
        committed = re.search(r"^committer .* (\d+) [+-]\d+$", header, re.MULTILINE)
        return Commit(sha, int(committed[1]) if committed else 0, message, tuple(parents))


def _blobs(raw: str, file: str) -> tuple[str, str]:
    """The ids before and after, of git's raw format (git-diff(1)); "" where there is no regular file."""
    lines = [line for line in raw.splitlines() if line.startswith(":")]
    if len(lines) > 1:
        # A folder of that name, which gave way to the file or took its place.
        lines = [line for line in lines if line.partition("\t")[2] == file]
    if not lines:
        return "", ""
    modes_and_ids = lines[0][1:].split()
    before, after = zip(modes_and_ids[:2], modes_and_ids[2:4], strict=True)
    return tuple(blob if mode.startswith("100") else "" for mode, blob in (before, after))  # type: ignore[return-value]
