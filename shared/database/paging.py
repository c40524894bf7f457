"""Rows of a job by pages: one behind a cursor, or all of them, as fast as they are taken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from shared.database.filters import Filters
from shared.database.keyset_scans import Cursor
from shared.database.sessions import Database

# Each row: the contract's columns, `probabilities` as JSON text, and what makes its cursor.
Rows = Sequence[Row[Any]] | Sequence[tuple[Any, ...]]
Pages = Iterator[Rows]
# Connection, job, model version, behind which cursor, how many rows at most, under which filters.
Query = Callable[[Connection, int, str, Cursor | None, int, Filters], Rows]
# Of an export, in one transaction; twice as many take no less time a row, and twice the memory.
EXPORTED_ROWS = 4096
# The first page of an export, and each one of a reader who lags: 80 kB of CSV. Each next one has twice as
# many. Those of the second number are read ahead: of the ones before, sockets alone may have taken all.
FIRST_ROWS, AHEAD_ROWS = 256, 4096


class ReadAhead:
    """Threads that read pages ahead, and as many pages that wait to be used: of all exports together."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, "next page")
        self._free = threading.Semaphore(threads)

    def read(
        self, rows_of: Callable[[Cursor | None, int], Rows], after: Cursor, limit: int
    ) -> Future[Rows] | None:
        """The page to come, to be given back by `taken`; None where there are enough of them."""
        if not self._free.acquire(blocking=False):
            return None
        return self._executor.submit(rows_of, after, limit)

    def taken(self) -> None:
        """One of the pages is used, or given up."""
        self._free.release()


class Pace:
    """How the pages of one export are taken, and the page that is read ahead of them.

    Whoever sends pages calls `lag` where they are taken slowly, while no page is being made, and `end`.
    """

    def __init__(self, ahead: ReadAhead | None = None) -> None:
        self.lags = False
        self._ahead = ahead
        self._coming: Future[Rows] | None = None

    def read_ahead(self, rows_of: Callable[[Cursor | None, int], Rows], after: Cursor, limit: int) -> None:
        """Begin to read the next page."""
        self._ahead = self._ahead or ReadAhead(1)
        self._coming = self._ahead.read(rows_of, after, limit)

    def coming(self) -> Rows | None:
        """The page that was read ahead, if one was."""
        if self._coming is None:
            return None
        try:
            return self._coming.result()
        finally:
            self.end()

    def lag(self) -> None:
        """From here on nothing is read ahead, and what was is dropped: a page of 4096 rows takes 4 MB."""
        self.lags = True
        self.end()

    def end(self) -> None:
        """Give up what is read ahead."""
        if self._coming is not None and self._ahead is not None:
            self._coming.cancel()
            self._coming = None
            self._ahead.taken()


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of rows that a job has, in archive order: results of clips, or segments.

    Attributes:
        columns: what a row has first; then its probabilities as JSON text or None, then its cursor.
        cursor_numbers: how many numbers its cursor has.
        page: reads a page of any filters.
        unfiltered: reads a page of all rows; quicker, where few are left out.
    """

    columns: tuple[str, ...]
    cursor_numbers: int
    page: Query
    unfiltered: Query

    def cursor_of(self, row: Sequence[Any]) -> Cursor:
        """The cursor that continues behind a row."""
        return tuple(row[-self.cursor_numbers :])

    def pages(
        self,
        database: Database,
        job_id: int,
        model_version: str,
        filters: Filters | None = None,
        most: int = EXPORTED_ROWS,
        pace: Pace | None = None,
    ) -> Pages:
        """All rows, in pages of up to `most`, each in a transaction of its own: memory stays constant.

        They begin small and grow, so that a reader who takes nothing costs little. Of the large ones the next
        is read while the one before is written.
        """
        wanted, pace = filters or Filters(), pace or Pace()
        query = self.unfiltered if wanted == Filters() else self.page

        def rows_of(after: Cursor | None, limit: int) -> Rows:
            with database.read() as connection:
                return query(connection, job_id, model_version, after, limit, wanted)

        after: Cursor | None = None
        limit = min(FIRST_ROWS, most)
        try:
            while True:
                if pace.lags:
                    limit, pace.lags = min(FIRST_ROWS, most), False
                coming = pace.coming()
                rows = [rows_of(after, limit) if coming is None else coming]
                del coming
                if len(rows[0]) < limit:
                    if rows[0]:
                        yield rows.pop()
                    return
                after = self.cursor_of(rows[0][-1])
                limit = min(2 * limit, most)
                if limit >= AHEAD_ROWS:
                    pace.read_ahead(rows_of, after, limit)
                yield rows.pop()  # who takes it is the only one to hold it
        finally:
            pace.end()
