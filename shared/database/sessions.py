"""Transactions on SQLite or PostgreSQL, by one code path."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    case,
    create_engine,
    event,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.core.errors.infrastructure import DatabaseFull, DatabaseUnavailable, InfrastructureError
from shared.core.retries import again

_BUSY_TIMEOUT_MS = 30_000
_TICK_S = 0.001  # of SQLite's clock
# Seconds for which a transaction is tried again; a lease holds for 60.
_AGAIN_S = 5.0
# PostgreSQL's SQLSTATEs of a server that is away, ending, short of something, or chose a victim: classes
# 08 (connection) and 53 (resources); 40001 and 40P01 (serialization, deadlock); 55P03 (lock); 57P01 to
# 57P05 (shutdown, start, idle); 58030 (disk); 25006 (a standby that is not yet the primary). 53100 is full.
_POSTGRESQL_AWAY = ("08", "53", "40001", "40P01", "55P03", "57P", "58030", "25006")
_POSTGRESQL_FULL = "53100"
# SQLite's primary codes: locked after all of busy_timeout, or a disk that does not read or write.
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
T = TypeVar("T")
__all__ = ["Connection", "Database", "DatabaseError", "UnfitValue"]
# What the rest of the code knows of SQLAlchemy: a transaction's connection, any error of it, and the one of a
# value that no column can hold.
DatabaseError, UnfitValue = SQLAlchemyError, DataError


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

    def write_again(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction; again, for 5 s, where the database failed and not the work.

        A commit whose answer was lost may have happened: `work` must begin with a fence that its own
        success moves.
        """

        def once() -> T:
            with self.write() as connection:
                return work(connection)

        return again(once, (DatabaseUnavailable,), _AGAIN_S)

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

    def now(self, connection: Connection) -> float:
        """What the clock shows."""
        return float(connection.execute(select(self.clock)).scalar_one())

    def clock_after(self, moment: ColumnElement[float]) -> ColumnElement[float]:
        """The clock, and in any case later than `moment`, which may be NULL.

        SQLite's clock of milliseconds shows two things that follow each other the same time; where their
        order decides, the second one is dated by this.
        """
        after = func.coalesce(moment, 0) + _TICK_S
        return case((self.clock > after, self.clock), else_=after)

    def close(self) -> None:
        """Give all connections back to the system."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of a database that is away or full, as ours; those that a statement caused as they are."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if (ours := _infrastructure_error(error)) is not None:
            raise ours from error
        raise


def _infrastructure_error(error: DBAPIError) -> InfrastructureError | None:
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more exactly
        if code == sqlite3.SQLITE_FULL:
            return DatabaseFull()
        return DatabaseUnavailable() if code in _SQLITE_AWAY else None
    state = getattr(error.orig, "sqlstate", None)
    if state == _POSTGRESQL_FULL:
        return DatabaseFull()
    away = error.connection_invalidated or (
        isinstance(error, OperationalError) if state is None else state.startswith(_POSTGRESQL_AWAY)
    )
    return DatabaseUnavailable() if away else None


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
