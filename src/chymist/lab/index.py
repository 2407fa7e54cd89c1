"""The index of a lab: a cache of the runs' manifests in SQLite, so that long listings are quick.

The folder is the truth. A listing first compares the folder's ids, and the times and size of each
manifest, with what the index holds, and reads again whatever differs; an index that is missing,
foreign, truncated or corrupt is made anew. Where it cannot be written, it lives in memory for the
one listing. Only listings write it: running a study never waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any, TypeVar

from chymist.lab.layout import WATCHED
from chymist.lab.listed import COLUMNS, DAMAGED, NEWER, UNFINISHED, Listed, Stamp, read_line, stamps
from chymist.lab.mounts import shared_system

T = TypeVar("T")

DESCENDING = ("id", "started", "seconds")
"""Columns that are listed from the largest or latest; the others from A to Z."""

_APPLICATION = 0x6368796D  # "chym"
_SCHEMA = 2
_PATIENCE = 0.5  # seconds to wait for another process before listing without the index
_BATCH = 100  # rows a transaction, so that none takes longer than some milliseconds
_UNSOUND = {1, 11, 26}  # SQLITE_ERROR (a table is missing), SQLITE_CORRUPT, SQLITE_NOTADB


_TABLES = (
    "CREATE TABLE runs (id TEXT PRIMARY KEY, study TEXT NOT NULL, verdict TEXT NOT NULL, "
    "preset TEXT NOT NULL, started TEXT NOT NULL, seconds REAL, kind TEXT NOT NULL, "
    "note TEXT NOT NULL, file TEXT NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, "
    "size INTEGER NOT NULL, crc INTEGER NOT NULL)",
    # Apart, so that a page of the table above holds many rows.
    "CREATE TABLE manifests (id TEXT PRIMARY KEY, json TEXT NOT NULL, crc INTEGER NOT NULL)",
    *(
        f"CREATE INDEX by_{c} ON runs ({c}, id{'' if c in DESCENDING else ' DESC'})"
        for c in COLUMNS[1:]
    ),
)


class _Unsound(Exception):
    """The index is not what this version wrote."""


class Index:
    """The cache of one lab's listing. Brought up to date in 5 us a run, made in 0.25 ms a run.

    Errors of the cache never reach the caller: at worst, every manifest is read.
    """

    def __init__(self, lab: Path) -> None:
        self.lab, self.runs, self.file = lab, lab / "runs", lab / "index.sqlite"
        self._checked: tuple[int, int] | None = None
        self._seen_in: tuple[int, int] | None = None
        self._seen_at = 0.0

    def listing(
        self,
        *,
        study: str | None = None,
        verdict: str | None = None,
        kind: str | None = None,
        sort: str = "id",
        reverse: bool = False,
        limit: int | None = None,
        offset: int = 0,
        within: float = 0.0,
    ) -> list[Listed]:
        """Return runs by a column of `COLUMNS`; equal ones, newest first.

        What this index found in the folder at most `within` seconds ago is not looked for again:
        then a page of ten thousand runs takes less than a millisecond instead of fifty.
        """
        if sort not in COLUMNS:
            raise ValueError(f"no column {sort}")
        wanted = {"study": study, "verdict": verdict, "kind": kind}
        # A word of the command line need not be text; what is none fits no run.
        given = {
            name: value.encode(errors="replace").decode()
            for name, value in wanted.items()
            if value is not None
        }
        where = " AND ".join(f"{name} = ?" for name in given)
        down = (sort in DESCENDING) != reverse
        ties = "" if sort == "id" else f", id {'ASC' if reverse else 'DESC'}"
        query = (
            f"SELECT {', '.join(COLUMNS)}, note FROM runs {'WHERE ' + where if where else ''} "  # noqa: S608
            f"ORDER BY {sort} {'DESC' if down else 'ASC'}{ties} LIMIT ? OFFSET ?"
        )
        values = (*given.values(), -1 if limit is None else limit, offset)
        return self._use(lambda db: [Listed(*row) for row in db.execute(query, values)], within)

    def count(
        self, *, study: str | None = None, verdict: str | None = None, within: float = 0.0
    ) -> int:
        """Return how many runs `listing` lists when nothing limits it."""
        given = {n: v for n, v in (("study", study), ("verdict", verdict)) if v is not None}
        where = " AND ".join(f"{name} = ?" for name in given)
        query = f"SELECT count(*) FROM runs {'WHERE ' + where if where else ''}"  # noqa: S608
        values = tuple(given.values())
        return self._use(lambda db: int(db.execute(query, values).fetchone()[0]), within)

    def newest(self, within: float = 0.0) -> dict[str, Listed]:
        """Return the newest finished run of each study, by the study's slug."""
        query = (
            f"SELECT {', '.join(COLUMNS)}, note FROM runs WHERE id IN "  # noqa: S608
            "(SELECT max(id) FROM runs WHERE kind = 'study' AND verdict NOT IN (?, ?, ?) "
            "GROUP BY study)"
        )
        values = (UNFINISHED, DAMAGED, NEWER)
        found = self._use(lambda db: [Listed(*row) for row in db.execute(query, values)], within)
        return {line.study: line for line in found}

    def studies(self) -> list[str]:
        """Return the slugs of all runs, sorted."""
        query = "SELECT DISTINCT study FROM runs WHERE study != '' ORDER BY study"
        return self._use(lambda db: [slug for (slug,) in db.execute(query)])

    def manifests(self) -> list[dict[str, Any]]:
        """Return all manifests, newest first; of a damaged run only its id and status."""
        return self._use(_manifests)

    def rebuild(self) -> int:
        """Make the index anew and return how many runs it lists."""
        self._remove(self._identity())
        return len(self.listing())

    def _use(self, work: Callable[[sqlite3.Connection], T], within: float = 0.0) -> T:
        """Let `work` query an index that is up to date: the file, or one in memory."""
        if self.runs.is_dir():
            for _ in range(2):
                identity = self._identity()
                try:
                    with closing(self._open()) as db:
                        begun = time.monotonic()
                        if self._checked != self._seen_in or begun - self._seen_at > within:
                            self._refresh(db)
                            self._seen_in, self._seen_at = self._checked, begun
                        return work(db)
                except (_Unsound, sqlite3.DatabaseError) as error:
                    if getattr(error, "sqlite_errorcode", 1) & 0xFF not in _UNSOUND:
                        break
                    if not self._remove(identity):
                        break
                except OSError:
                    break
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            _create(db)
            self._refresh(db)
            return work(db)

    def _open(self) -> sqlite3.Connection:
        if self.file.is_symlink() or (self.file.exists() and not self.file.is_file()):
            raise OSError(f"{self.file} is no plain file")
        # SQLite refuses a read-only file only at the first write.
        if not os.access(self.lab, os.W_OK):
            raise OSError(f"{self.lab} cannot be written")
        with self._lock(exclusive=False):
            # The time-out is set before any pragma: two processes may set the journal mode at once.
            db = sqlite3.connect(self.file, timeout=_PATIENCE, isolation_level=None)
            try:
                if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    _create(db)
                identity = self._identity()
                if identity is None or identity != self._checked:
                    _check(db)
                    _set_journal(db, self.lab)
                    self._checked = identity
                # What a power cut leaves is checked when it is next opened.
                db.execute("PRAGMA synchronous = OFF")
            except BaseException:
                db.close()
                raise
        return db

    def _identity(self) -> tuple[int, int] | None:
        try:
            about = self.file.lstat()
        except OSError:
            return None
        return about.st_dev, about.st_ino

    def _remove(self, identity: tuple[int, int] | None) -> bool:
        """Remove the index if it is still the file that was found unsound; return if it is gone."""
        self._checked = None
        try:
            with self._lock(exclusive=True):
                if identity is not None and identity == self._identity():
                    # The log first: a new index must not meet the old one's.
                    for ending in ("-wal", "-shm", "-journal", ""):
                        self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _lock(self, exclusive: bool) -> Iterator[None]:
        """Hold the lab's folder: shared to open the index, alone to remove it.

        Raises:
            OSError: another process holds it for longer than this one waits.
        """
        try:
            import fcntl
        except ImportError:  # on Windows a file that another process has open cannot be removed
            yield
            return
        handle = os.open(self.lab, os.O_RDONLY)
        try:
            mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            deadline = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(handle, mode | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.005)
                except OSError:  # a file system without locks
                    break
                else:
                    break
            yield
        finally:
            os.close(handle)

    def _refresh(self, db: sqlite3.Connection) -> None:
        """Bring the index up to date with the folder."""
        # Known first: a run that is known and then not found has gone, whoever noted it.
        known: set[Stamp] = set(db.execute("SELECT id, file, mtime, ctime, size FROM runs"))
        found = stamps(self.runs)
        if known == found:
            return
        stale = list(found - known)
        here = {stamp[0] for stamp in found}
        gone = [stamp[:1] for stamp in known if stamp[0] not in here]
        for start in range(0, len(stale), _BATCH):
            some = [
                (stamp, *read_line(self.runs / stamp[0], stamp[1]))
                for stamp in stale[start:][:_BATCH]
            ]
            with _writing(db):
                for (name, *stamp), line, text in some:
                    values = (*astuple(line), *stamp)
                    db.execute(
                        f"INSERT OR REPLACE INTO runs VALUES ({'?, ' * len(values)}?)",  # noqa: S608
                        (*values, _crc(values)),
                    )
                    db.execute("DELETE FROM manifests WHERE id = ?", (name,))
                    if text:
                        db.execute(
                            "INSERT INTO manifests VALUES (?, ?, ?)", (name, text, _crc(text))
                        )
        if gone:
            with _writing(db):
                db.executemany("DELETE FROM runs WHERE id = ?", gone)
                db.executemany("DELETE FROM manifests WHERE id = ?", gone)


def _create(db: sqlite3.Connection) -> None:
    with _writing(db):
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _TABLES:
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {_version()}")


def _check(db: sqlite3.Connection) -> None:
    """Raise unless this version of chymist could have written every row of the listing.

    SQLite has no checksums of its own: a flipped byte would otherwise be listed.
    """
    written = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    if (
        db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION
        or db.execute("PRAGMA user_version").fetchone()[0] != _version()
        or {sql for (sql,) in written} != set(_TABLES)
        or db.execute("PRAGMA integrity_check(runs)").fetchall() != [("ok",)]
    ):
        raise _Unsound
    for *values, crc in db.execute("SELECT * FROM runs"):
        if _crc(tuple(values)) != crc:
            raise _Unsound


def _version() -> int:
    """Return a number that changes when the rows, or what they were read from, are read anew."""
    return 1000 * _SCHEMA + WATCHED


def _crc(values: Sequence[Any]) -> int:
    return zlib.crc32(repr(values).encode())


def _manifests(db: sqlite3.Connection) -> list[dict[str, Any]]:
    found = []
    query = (
        "SELECT runs.id, verdict, json, manifests.crc FROM runs LEFT JOIN manifests USING (id) "
        "WHERE verdict != ? ORDER BY runs.id DESC"
    )
    for name, verdict, text, crc in db.execute(query, (UNFINISHED,)):
        if verdict in (DAMAGED, NEWER):
            found.append({"id": name, "status": verdict})
        elif text is None or _crc(text) != crc:
            raise _Unsound
        else:
            found.append(json.loads(text))
    return found


def _set_journal(db: sqlite3.Connection, lab: Path) -> None:
    """Let readers read while another process writes, where memory can be shared."""
    wanted = "delete" if shared_system(lab) else "wal"
    if db.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute(f"PRAGMA journal_mode = {wanted}")


@contextlib.contextmanager
def _writing(db: sqlite3.Connection) -> Iterator[None]:
    """Write in one transaction that holds the lock from its start."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()
