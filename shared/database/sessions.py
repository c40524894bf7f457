"""Transactions on SQLite or PostgreSQL, by one code path."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.errors.surroundings import DatabaseUnavailable

# Of PostgreSQL: deadlock_detected and serialization_failure. The transaction is gone; run it again.
_RETRIABLE = {"40P01", "40001"}
_BUSY_TIMEOUT_MS = 30_000
T = TypeVar("T")


class Database:
    """One engine. `read` and `write` are transactions; each ends by commit, or by rollback on an error.

    SQLite: WAL, foreign keys on, `BEGIN IMMEDIATE` for each write: a deferred transaction that starts
    with a read fails at once (not after busy_timeout) when another process has written meanwhile.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {} if self.is_sqlite else {"pool_pre_ping": True}
        self.engine: Engine = create_engine(self.url, **options)
        self._writer = self.engine.execution_options(voxmood_write=True)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block."""
        with _translated(), self._writer.begin() as connection:
            yield connection

    def write_again(self, work: Callable[[Connection], T], tries: int = 5) -> T:
        """Run `work` in a write transaction, and again where the database chose it as a deadlock's victim."""
        for left in reversed(range(tries)):
            try:
                with self._writer.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not left or getattr(error.orig, "sqlstate", None) not in _RETRIABLE:
                    raise
        raise AssertionError("unreachable")

    def insert(self, table: Any) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT in this database's dialect."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @property
    def clock(self) -> ColumnElement[float]:
        """The database's own time, in seconds since 1970.

        `unixepoch('subsec')` would need SQLite 3.42; Debian 12 has 3.40.
        """
        if self.is_sqlite:
            return literal_column("(julianday('now') - 2440587.5) * 86400.0")
        return literal_column("extract(epoch from clock_timestamp())::float8")

    def close(self) -> None:
        """Give all connections back to the system."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of a database that cannot be reached, as one of ours; all others as they are."""
    try:
        yield
    except OperationalError as error:
        if error.connection_invalidated or _is_unreachable(error):
            raise DatabaseUnavailable from error
        raise


def _is_unreachable(error: OperationalError) -> bool:
    if isinstance(error.orig, sqlite3.OperationalError):
        return "unable to open database file" in str(error.orig)
    return getattr(error.orig, "sqlstate", None) is None


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: what was acknowledged outlives a power cut too. A shard costs one commit, so one fsync.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("voxmood_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
