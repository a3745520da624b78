"""A remote Git repository without a work tree: fetch one commit, read files, write a commit, push it.

Only the tip's commit and trees are fetched (depth 1, no blobs: git-clone(1), --filter), then the wanted files
one by one; a server that refuses gets a plainer request. Commits are made from blobs and trees, so that no
checkout, filter, hook or symlink comes between a file's bytes and us.
"""

import contextlib
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_branch, check_repository, is_local
from roadie.gitops.failures import UnreachableError, translate
from roadie.gitops.history import Commit
from roadie.gitops.signature import Signature

HISTORY = 200  # how many commits back a run looks for what others have done
# How far back a file's history is fetched: first as far as nearly always suffices, and then further where it must be.
_FAR = 3_000
_DEPTHS = (HISTORY, _FAR, 100_000)
_WAITS = (0.5, 1.0, 2.0)  # seconds before a server that was away is asked again
_NO_GIT = "git, or the package GitPython, is not installed here; install both"
_REQUESTS = (("--filter=blob:none", "--depth=1"), ("--no-filter", "--depth=1"), ("--no-filter",))


@dataclass(frozen=True)
class Entry:
    """A file in a commit: its mode (`100644`) and the id of its blob."""

    mode: str
    blob: str


@dataclass(frozen=True)
class Step:
    """A commit that changed a file, and the ids of the file's bytes before and after ("" where there was none).

    Where the history was `cut` at the commit, what was before it is not known.
    """

    commit: Commit
    before: str
    after: str
    cut: bool = False


class Repository:
    """One branch of a remote repository, in a folder of its own that goes away with the block.

    Every method raises GitOpsError with one sentence: LostRaceError or UnreachableError (see failures) where
    another try may help, RefusedError where it will not.
    """

    def __init__(self, repo: str, branch: str, access: Access | None = None) -> None:
        self.repo = check_repository(repo)
        self.branch = check_branch(branch)
        self.access = access or Access.from_environment()
        self._filter = ""
        self._deep = False
        self._depth = 0
        self._older: list[Commit] | None = None
        self._blobs: set[str] = set()
        self._texts: dict[str, bytes] = {}

    def __enter__(self) -> "Repository":
        self._folder = tempfile.TemporaryDirectory(prefix="roadie-gitops-")
        try:
            self._git = self._init(Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def _init(self, root: Path) -> Any:
        """GitPython's runner of git commands, for an empty bare repository under `root` (gitrepository-layout(5))."""
        try:
            from git import Git  # GitPython takes longer to import than all else here
        except ImportError:
            raise GitOpsError(_NO_GIT) from None
        self._root = root / "git"
        for folder in ("objects", "refs"):
            (self._root / folder).mkdir(parents=True)
        (self._root / "HEAD").write_text("ref: refs/heads/roadie\n")
        (self._root / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        variables = self.access.environment(self.repo, self._address(), root)
        # A caller that runs inside a git hook has these set for another repository.
        for name, place in (("GIT_DIR", ""), ("GIT_INDEX_FILE", "index"), ("GIT_OBJECT_DIRECTORY", "objects")):
            variables[name] = str(self._root / place)
        git = Git(self._root)
        git.update_environment(**variables)
        return git

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._git.clear_cache()
        self._folder.cleanup()

    def _address(self) -> str:
        """The repository as git gets it: without a user, who comes in through the environment."""
        if is_local(self.repo):
            return str(Path(self.repo).absolute())
        url = urlsplit(self.repo)
        if url.scheme in ("http", "https"):
            return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
        return self.repo

    def run(self, *arguments: str, raw: bool = False, stdin: bytes | None = None, env: Mapping[str, str] = {}) -> Any:
        """Run one git command; its output as text, or as bytes when `raw`."""
        from git.exc import GitCommandError, GitCommandNotFound

        options = {"env": dict(env), "strip_newline_in_stdout": not raw, "stdout_as_string": not raw}
        try:
            if stdin is None:
                return self._git.execute(["git", *arguments], **options)
            with tempfile.TemporaryFile() as pipe:
                pipe.write(stdin)
                pipe.seek(0)
                return self._git.execute(["git", *arguments], istream=pipe, **options)
        except GitCommandNotFound:
            raise GitOpsError(_NO_GIT) from None
        except GitCommandError as error:
            said = self.access.redact(f"{error.stderr}\n{error.stdout}")
            raise translate(said, self.access.redact(self.repo)) from None

    def fetch(self) -> str:
        """Fetch the branch's tip, or what is new since the last time; return the tip's id."""
        if self._filter:
            self._fetch(self._filter)
        else:
            self._fetch_first()
        return (self._root / "FETCH_HEAD").read_text().split()[0]

    def _fetch_first(self) -> None:
        for options in _REQUESTS:
            try:
                self._fetch(*options)
            except GitOpsError as error:
                # What has a class of its own would fail in plainer words, too.
                if type(error) is not GitOpsError or options is _REQUESTS[-1]:
                    raise
            else:
                self._filter = options[0]
                return

    def _fetch(self, *options: str, branch: str = "") -> None:
        """Fetch the branch, or another one; a server that is away for a moment is asked again."""
        for wait in (*_WAITS, None):
            try:
                self.run("fetch", "--quiet", "--no-tags", *options, "origin", f"refs/heads/{branch or self.branch}")
            except UnreachableError:
                if wait is None:
                    raise
                time.sleep(wait)
            else:
                return

    def find(self, commit: str, files: Sequence[str]) -> dict[str, Entry]:
        """Those of `files` that `commit` holds; a symlink or a folder is refused."""
        listing = str(self.run("ls-tree", "-z", "--full-tree", commit, "--", *files))
        found = {}
        for line in filter(None, listing.split("\0")):
            mode, kind, blob, name = re.split(r"[ \t]", line, maxsplit=3)
            if kind != "blob" or mode == "120000":
                raise GitOpsError(f"{name} in {self.repo} is a folder or a symlink; name the file itself")
            found[name] = Entry(mode, blob)
        return found

    def read(self, entry: Entry) -> bytes:
        """The file's bytes, fetched now where the first fetch left them out."""
        try:
            return bytes(self.run("cat-file", "blob", entry.blob, raw=True))
        except GitOpsError as error:
            if type(error) is not GitOpsError:
                raise
            # A server may offer filters and yet not hand out single blobs.
            self._filter = "--no-filter"
            self._fetch("--depth=1", "--refetch", self._filter)
            return bytes(self.run("cat-file", "blob", entry.blob, raw=True))

    def commit(self, parent: str, files: Mapping[str, tuple[Entry, bytes]], message: str, signature: Signature) -> str:
        """Write a commit on `parent` in which `files` have new bytes; return its id."""
        self.run("read-tree", parent)
        lines = []
        for name, (entry, data) in files.items():
            blob = self.run("hash-object", "-w", "--stdin", stdin=data)
            lines.append(f"{entry.mode} {blob}\t{name}\0")
        self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode())
        tree = str(self.run("write-tree", "--missing-ok"))
        sign = ["-S"] if signature.key or self._signs_by_default() else []
        command = [*signature.options(self._root / "signing-key"), "commit-tree", *sign, "-p", parent, "-F", "-", tree]
        return str(self.run(*command, stdin=message.encode(), env=signature.people()))

    def _signs_by_default(self) -> bool:
        """Whether the user's own configuration asks for signatures, which commit-tree does not heed."""
        return bool(self.run("config", "--type=bool", "--default=false", "commit.gpgsign") == "true")

    def push(self, commit: str, branch: str = "", *, replacing: str | None = None) -> None:
        """Push `commit` to the branch; LostRaceError when someone was faster.

        `replacing` is the commit that may be thrown away ("" for none yet): for a review's own branch only.
        """
        target = f"refs/heads/{branch or self.branch}"
        lease = [] if replacing is None else [f"--force-with-lease={target}:{replacing}"]
        self.run("push", "--quiet", "--porcelain", *lease, "origin", f"{commit}:{target}")

    def diff(self, old: str, new: str) -> str:
        """The difference between two commits, as `git diff` shows it."""
        return str(self.run("diff-tree", "-p", "--no-color", "--no-ext-diff", old, new))

    def contains(self, commit: str, tip: str) -> bool:
        """Whether `commit` is in `tip`'s history."""
        return bool(self.run("rev-list", "--max-count=1", commit, f"^{tip}") == "")

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
        if not self._depth:
            self.deepen()
        return self._steps(file, "--first-parent", "--diff-merges=first-parent", tip)

    def brought(self, merge: Commit, file: str) -> list["Step"]:
        """The commits that changed `file` and came to the branch by `merge`, newest first; no merges among them."""
        return self._steps(file, "--full-history", "--no-merges", merge.sha, "--not", merge.parents[0])

    def deepen(self) -> bool:
        """Fetch more of the history, without its files; whether there was more, and it is not too much."""
        deeper = [depth for depth in _DEPTHS if depth > self._depth]
        if not deeper or (self._depth and not self._cut()):
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

    def _cut(self) -> set[str]:
        """The commits at which the history was cut."""
        with contextlib.suppress(FileNotFoundError):
            return set((self._root / "shallow").read_text().split())
        return set()

    def _steps(self, file: str, *selection: str) -> list["Step"]:
        form = "--format=%x00%H %ct %P%x00%B%x00"
        options = ("--no-show-signature", "--raw", "--no-abbrev", "--no-renames", form)
        parts = str(self.run("--literal-pathspecs", "log", *options, *selection, "--", file)).split("\0")[1:]
        cut, steps = self._cut(), []
        for head, message, raw in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            sha, made, *parents = head.split()
            before, after = _blobs(raw, file)
            steps.append(Step(Commit(sha, int(made), message, tuple(parents)), before, after, sha in cut))
        self._fetch_blobs({blob for step in steps for blob in (step.before, step.after) if blob})
        return steps

    def text(self, blob: str) -> bytes:
        """A file's bytes by their id; kept, since histories repeat them."""
        if blob not in self._texts:
            self._texts[blob] = self.read(Entry("100644", blob))
        return self._texts[blob]

    def _fetch_blobs(self, blobs: set[str]) -> None:
        """Get many files' bytes at once; what a server does not hand out so is fetched when it is read."""
        command = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--filter=blob:none", "origin")
        if blobs - self._blobs:
            with contextlib.suppress(GitOpsError):
                self.run("-c", "fetch.negotiationAlgorithm=noop", *command, *sorted(blobs - self._blobs))
            self._blobs |= blobs

    def _log(self, *arguments: str) -> list[Commit]:
        text = str(self.run("log", "--no-show-signature", "--format=%H %ct %P%n%B%x00", *arguments))
        commits = []
        for record in text.split("\0")[:-1]:
            head, _, message = record.lstrip("\n").partition("\n")
            sha, made, *parents = head.split()
            commits.append(Commit(sha, int(made), message, tuple(parents)))
        return commits

    def head_of(self, branch: str) -> Commit | None:
        """The newest commit of another branch, with its parent; None when there is no such branch."""
        reference = f"refs/heads/{check_branch(branch)}"
        listed = str(self.run("ls-remote", "origin", reference))
        if not listed:
            return None
        sha = listed.split(maxsplit=1)[0]
        self._fetch("--depth=1", "--filter=tree:0", branch=branch)
        # `log` would not show the parent, at which the fetch stopped.
        header, _, message = str(self.run("cat-file", "commit", sha)).partition("\n\n")
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
