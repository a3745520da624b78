"""The journal's file: its tables, its connections, and what can go wrong with it, in sentences."""

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from roadie.errors import TriggerError

FORMAT = 2
PATIENCE = 10.0
# Another receiver may still be ending; Kubernetes gives it 30 s.
SECONDS_TO_WAIT = 30.0
_TABLES = """
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL UNIQUE,
    received TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 1,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    status TEXT NOT NULL,
    summary TEXT NOT NULL,
    happened TEXT NOT NULL,
    names TEXT NOT NULL,
    labels TEXT NOT NULL,
    told TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX events_by_age ON events (last_seen);

CREATE TABLE decisions (
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    code TEXT NOT NULL,
    why TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (event, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_by_model ON decisions (model, event);
CREATE INDEX decisions_by_key ON decisions (key);
-- What a subject leads to is decided once for a model.
CREATE UNIQUE INDEX decided_once ON decisions (key) WHERE action <> 'ignore';

CREATE TABLE intents (
    key TEXT PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    model TEXT NOT NULL,
    reason TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    arguments TEXT NOT NULL,
    state TEXT NOT NULL,
    code TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '',
    created TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    run_id TEXT NOT NULL DEFAULT '',
    url TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    decision TEXT NOT NULL DEFAULT '',
    decision_reason TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    image TEXT NOT NULL DEFAULT '',
    commits TEXT NOT NULL DEFAULT '[]',
    rows INTEGER,
    attempted TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    misses INTEGER NOT NULL DEFAULT 0,
    stop TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX intents_by_event ON intents (event);
CREATE INDEX intents_by_model ON intents (model, event);
CREATE INDEX intents_by_state ON intents (state, model, event);
CREATE INDEX intents_by_run ON intents (run_id);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    target TEXT NOT NULL,
    created TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    UNIQUE (key, target)
) STRICT;

-- One row, written to learn whether the disk still takes what is written.
CREATE TABLE checked (id INTEGER PRIMARY KEY CHECK (id = 1), at TEXT NOT NULL) STRICT;
"""

# What a journal of format 1 lacks, and has too much.
_TO_2 = """
ALTER TABLE events ADD COLUMN told TEXT NOT NULL DEFAULT '[]';
ALTER TABLE intents DROP COLUMN owner;
ALTER TABLE intents DROP COLUMN leased_until;
ALTER TABLE intents DROP COLUMN next_look;
DROP INDEX outbox_by_time;
ALTER TABLE outbox DROP COLUMN next_try;
"""


class Database:
    """Connections to the journal at a path, for any thread; every failure is a TriggerError.

    A connection is used by one thread at a time and kept for the next one. Reading never waits for who writes (WAL);
    who writes waits for another for `patience` seconds.

    Raises:
        TriggerError: the file cannot be opened or written, is no journal, or is of a newer Roadie.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path, self._patience = path, patience
        self._idle: list[sqlite3.Connection] = []
        # SQLite lets who waits for the write lock sleep and try again; within a process the next one can be told.
        self._turn = threading.Lock()
        self._damage = ""
        _make_file(path)
        with self._telling(), self._borrowed() as connection:
            self._prepare(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the one write lock from its start; all of it is on disk after the block."""
        with self._telling(), self._turn, self._borrowed() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees the journal as it is at its first query."""
        with self._telling(), self._borrowed() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    def prove(self) -> None:
        """Read the whole file as it is on the disk, and raise TriggerError when it is damaged, or was found to be."""
        if not self._damage:
            # A connection of its own: another's cache would hide what has happened to the file.
            with self._telling(), contextlib.closing(_connect(self.path, self._patience)) as connection:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    self._damage = _damaged(self.path, found)
        if self._damage:
            raise TriggerError(self._damage)

    @property
    def damaged(self) -> bool:
        """Whether the file was found to be damaged."""
        return bool(self._damage)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self.path, self._patience)
        try:
            yield connection
        except BaseException:
            # Closing alone does not undo what was begun as long as somebody, such as a traceback, keeps a cursor.
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            connection.close()
            raise
        self._idle.append(connection)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _code(error) in _DAMAGE:
                self._damage = explain(self.path, error)
            raise TriggerError(explain(self.path, error)) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._format(connection) == FORMAT:
            return
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made the tables since.
        if self._format(connection) == 1:
            for statement in _TO_2.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        elif self._format(connection) == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise TriggerError(f"{self.path} is some other program's database; give the journal a file of its own")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")

    def _format(self, connection: sqlite3.Connection) -> int:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found > FORMAT:
            raise TriggerError(
                f"the journal {self.path} was written by a newer Roadie (its format is {found}, this one knows"
                f" {FORMAT}); upgrade Roadie, or give another journal"
            )
        return found


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    _to_wal(connection, patience)
    # In WAL mode only FULL syncs each commit: https://www.sqlite.org/pragma.html#pragma_synchronous
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _to_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch the file to WAL for good. While another process does the same, SQLite answers busy without waiting."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _make_file(path: Path) -> None:
    try:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        # The file's name has to be on disk before anything in it counts.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise TriggerError(
            f"the journal {path} cannot be made ({error.strerror}); give a folder on a disk of this machine that may be"
            " written to"
        ) from error


def claim(path: Path, seconds: float = SECONDS_TO_WAIT) -> IO[bytes]:
    """Take the journal at `path` for this receiver until the file is closed or the process ends, however it ends.

    Raises:
        TriggerError: another receiver has had it for `seconds`, or the file beside it cannot be written.
    """
    _make_file(path)
    deadline = time.monotonic() + seconds
    try:
        # Not the journal itself: SQLite loses its own locks on a file that anybody else in the process closes.
        lock = path.with_name(f"{path.name}.lock").open("ab")
    except OSError as error:
        raise TriggerError(
            f"the journal {path} cannot be taken ({error.strerror}); let this user write there"
        ) from None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= deadline:
                lock.close()
                raise TriggerError(
                    f"another receiver works on the journal {path}; end that one, or give this one its own journal"
                ) from None
        time.sleep(0.1)


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    # The low byte is the primary code: https://www.sqlite.org/rescode.html
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _damaged(path: Path, said: object) -> str:
    line = " ".join(str(said).split())
    return f"the journal {path} is damaged ({line}); put its backup there, or move it away to begin a new one"


def explain(path: Path, error: sqlite3.Error) -> str:
    """What an error of SQLite means for the journal at `path`, and what to do."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return f"the disk of the journal {path} is full and nothing was stored; make room on it"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return f"the journal {path} cannot be written ({error}); give its folder to the user that Roadie runs as"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(path, error)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"another process keeps the journal {path} locked for too long; end that one"
        case sqlite3.SQLITE_IOERR:
            return f"the disk of the journal {path} fails ({error}) and nothing was stored; check it, and its room"
        case _:
            return f"the journal {path} cannot be used ({error}); check that nothing but Roadie writes to it"
