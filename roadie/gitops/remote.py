"""A remote Git repository without a work tree: fetch one commit, and the files that are wanted, one by one.

Only commits and trees are fetched (no blobs: git-clone(1), --filter), then the wanted files; a server that refuses
gets a plainer request.
"""

import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_branch, check_repository, is_local
from roadie.gitops.failures import ToldError, UnreachableError, translate
from roadie.gitops.history import Commit
from roadie.gitops.patience import Patience
from roadie.gitops.process import CommandError, Workplace, no_room

WHOLE = 10_000  # as far back as is ever looked
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A file in a commit: its mode (`100644`) and the id of its blob."""

    mode: str
    blob: str


class Remote:
    """One branch of a remote repository to read from, in a folder of its own that goes away with the block.

    Every method raises GitOpsError with one sentence: LostRaceError or UnreachableError (see failures) where
    another try may help, RefusedError where it will not.
    """

    def __init__(self, repo: str, branch: str, access: Access | None = None, patience: Patience | None = None) -> None:
        self.repo = check_repository(repo)
        self.branch = check_branch(branch)
        self.access = access or Access.from_environment()
        self.access.check(repo)
        self.name = self.access.redact(repo)
        self.patience = patience or Patience()
        self._place = Workplace()
        self._filter = ""
        self._deep = False
        self._depth = 0
        self._older: list[Commit] | None = None
        self._asked: set[str] = set()
        self._texts: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._place)
            try:
                self._init(self._place.folder)
            except OSError as error:
                raise no_room(error) from None
            stack.pop_all()
        return self

    def _init(self, root: Path) -> None:
        """Make an empty bare repository under `root` (gitrepository-layout(5))."""
        self._root = root / "git"
        for folder in ("objects", "refs"):
            (self._root / folder).mkdir(parents=True)
        (self._root / "HEAD").write_text("ref: refs/heads/roadie\n")
        (self._root / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        self._variables = self.access.environment(self.repo, self._address(), root)
        # A caller that runs inside a git hook has these set for another repository.
        for name, place in (("GIT_DIR", ""), ("GIT_INDEX_FILE", "index"), ("GIT_OBJECT_DIRECTORY", "objects")):
            self._variables[name] = str(self._root / place)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.__exit__(kind, error, trace)

    def _address(self) -> str:
        """The repository as git gets it: without a user, who comes in through the environment."""
        if is_local(self.repo):
            return str(Path(self.repo).absolute())
        url = urlsplit(self.repo)
        if url.scheme in ("http", "https"):
            return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
        return self.repo

    def run(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] = {}) -> str:
        """Run one git command; its output without the last line break."""
        return self.raw(*arguments, stdin=stdin, env=env).decode(errors="surrogateescape").removesuffix("\n")

    def raw(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] = {}) -> bytes:
        """Run one git command; its output as it is. A server that is away is asked again while there is patience.

        Nearly every command may ask the server: git fetches what was left out when it is wanted.
        """
        number = 0
        while True:
            try:
                return self._once(*arguments, stdin=stdin, env=env)
            except UnreachableError as error:
                if not self.patience.wait(number):
                    raise
                if not number:
                    _log.warning("%s; asking again for %.0f s", error, self.patience.left)
                number += 1

    def _once(self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] = {}) -> bytes:
        try:
            return self._place.run(self._root, *arguments, stdin=stdin, env={**self._variables, **env})
        except CommandError as failed:
            raise translate(self.access.redact(str(failed)), self.name) from None

    def fetch(self, depth: int = 1) -> str:
        """Fetch the branch's tip, or what is new since the last time; return the tip's id.

        The first time it comes with `depth` commits of the history, where the server leaves out their files.
        """
        if self._filter:
            self._fetch(self._filter)
        else:
            self._fetch_first(depth)
        return self._fetched()

    def _fetch_first(self, depth: int) -> None:
        requests = (("--filter=blob:none", depth), ("--no-filter", 1), ("--no-filter", 0))
        for filtered, deep in requests:
            try:
                self._fetch(filtered, *([f"--depth={deep}"] if deep else []))
            except GitOpsError as error:
                # What has a class of its own would fail in plainer words, too.
                if isinstance(error, ToldError) or not deep:
                    raise
            else:
                self._filter, self._depth = filtered, deep or WHOLE
                return

    def _fetch(self, *options: str, branch: str = "") -> None:
        self.run("fetch", "--quiet", "--no-tags", *options, "origin", f"refs/heads/{branch or self.branch}")

    def landed(self, commit: str) -> bool | None:
        """Whether the branch has `commit` by now; None when that cannot be told."""
        try:
            self._once("fetch", "--quiet", "--no-tags", self._filter, "origin", f"refs/heads/{self.branch}")
            return self.contains(commit, self._fetched())
        except GitOpsError:
            return None

    def _fetched(self) -> str:
        return (self._root / "FETCH_HEAD").read_text().split()[0]

    def find(self, commit: str, files: Sequence[str]) -> dict[str, Entry]:
        """Those of `files` that `commit` holds; a symlink or a folder is refused."""
        listing = self.run("ls-tree", "-z", "--full-tree", commit, "--", *files)
        found = {}
        for line in filter(None, listing.split("\0")):
            mode, kind, blob, name = re.split(r"[ \t]", line, maxsplit=3)
            if kind != "blob" or mode == "120000":
                raise GitOpsError(f"{name} in {self.name} is a folder or a symlink; name the file itself")
            found[name] = Entry(mode, blob)
        return found

    def size(self, entry: Entry) -> int:
        """How many bytes the file has."""
        return int(self._text(entry.blob, "-s"))

    def read(self, entry: Entry) -> bytes:
        """The file's bytes, fetched now where the first fetch left them out."""
        return self.text(entry.blob)

    def text(self, blob: str) -> bytes:
        """A file's bytes by their id; kept, since histories repeat them."""
        if blob not in self._texts:
            self._texts[blob] = self._text(blob)
        return self._texts[blob]

    def _text(self, blob: str, what: str = "blob") -> bytes:
        try:
            return self.raw("cat-file", what, blob)
        except GitOpsError as error:
            if isinstance(error, ToldError):
                raise
            # A server may offer filters and yet not hand out single blobs.
            self._filter = "--no-filter"
            self._fetch(f"--depth={self._depth}", "--refetch", self._filter)
            return self.raw("cat-file", what, blob)

    def contains(self, commit: str, tip: str) -> bool:
        """Whether `commit` is in `tip`'s history."""
        return self.run("rev-list", "--max-count=1", commit, f"^{tip}") == ""

    def _cut(self) -> set[str]:
        """The commits at which the history was cut."""
        with contextlib.suppress(FileNotFoundError):
            return set((self._root / "shallow").read_text().split())
        return set()
