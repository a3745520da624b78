"""Run git commands in a folder of their own, and leave neither the folder nor a process behind, whatever ends us."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from roadie.errors import GitOpsError
from roadie.gitops.failures import ToldError

_NO_GIT = "git, or the package GitPython, is not installed here; install both"
_PREFIX = "roadie-gitops-"
_OLD = 3600.0  # seconds; a younger folder may be just about to be locked
_GRACE = 2.0  # seconds for git and its children to end by themselves


class CommandError(Exception):
    """A git command ended with an error; what it wrote, standard error first."""


class Signals:
    """While it is entered, SIGTERM and SIGHUP are raised as SystemExit, so that what is open is closed.

    Only what nobody else handles is handled, and only in the main thread, where Python handles signals. While it is
    `held`, a signal waits.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held = 0
        self._came = 0

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._came = number
        if not self._held:
            self._raise()

    def _raise(self) -> None:
        number, self._came = self._came, 0
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number:
            raise SystemExit(128 + number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the block is over."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if not self._held:
            self._raise()


class Workplace:
    """A temporary folder, and git run in it; both end with the block, also by SIGTERM, SIGHUP and Ctrl-C."""

    def __init__(self) -> None:
        self._signals = Signals()
        self._git: Any = None
        self._lock: int | None = None
        self.folder = Path()

    def __enter__(self) -> "Workplace":
        self._signals.__enter__()
        try:
            with self._signals.held():
                _sweep()
                self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
                self._lock = os.open(self.folder, os.O_RDONLY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise no_room(error) from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._signals.held():
                if self._git is not None:
                    self._git.clear_cache()
                if self.folder.name:
                    shutil.rmtree(self.folder, ignore_errors=True)
                if self._lock is not None:
                    os.close(self._lock)
        finally:
            self._signals.__exit__()

    def run(self, folder: Path, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str]) -> bytes:
        """Run one git command; what it wrote to standard output.

        Raises:
            CommandError: it ended with an error.
            GitOpsError: there is no git, or no room to run it.
        """
        try:
            from git import Git  # GitPython takes longer to import than all else here
            from git.exc import GitCommandNotFound
        except ImportError:
            raise GitOpsError(_NO_GIT) from None
        if self._git is None:
            self._git = Git(folder)
        options = {"as_process": True, "istream": subprocess.PIPE, "env": dict(env)}
        process = None
        try:
            with self._signals.held():
                # A session of its own: git's children (ssh, git-remote-https) end with it.
                handle = self._git.execute(["git", *arguments], start_new_session=True, **options)
                process = handle.proc
            written, said = process.communicate(stdin or b"")
        except GitCommandNotFound:
            raise GitOpsError(_NO_GIT) from None
        except OSError as error:
            raise no_room(error) from None
        except BaseException:
            with self._signals.held():
                _end(process)
            raise
        if process.returncode:
            raise CommandError(f"{said.decode(errors='replace')}\n{written.decode(errors='replace')}")
        return bytes(written)


def no_room(error: OSError) -> GitOpsError:
    """What it means that this machine cannot write or start something."""
    return ToldError(
        f"git cannot work under {os.environ.get('TMPDIR') or '/tmp'} on this machine"  # noqa: S108 - told, not used
        f" ({error.strerror or error}); make room there, or set TMPDIR to another folder"
    )


def _end(process: "subprocess.Popen[bytes] | None") -> None:
    """End a command with all its children."""
    if process is None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()


def _sweep() -> None:
    """Remove the folders of those that were killed: whoever lives keeps a lock on its own."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.getuid() and found.st_mtime < time.time() - _OLD:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
