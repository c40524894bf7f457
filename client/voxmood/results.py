"""What both clients read of results: rows, exports, frames, recordings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

from voxmood import endpoints, frames, requests
from voxmood.documents import ResultRow, SegmentRow
from voxmood.endpoints import ExportFormat, FrameChoice, RowChoice
from voxmood.files import written
from voxmood.transport import AsyncTransport, Transport

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def ignore(_: object) -> None:
    """Tell nobody."""


class Results(Transport):
    """Results, for programs that wait for each answer."""

    def results(
        self, job: int, *, page_rows: int = endpoints.PAGE_ROWS, **choice: Unpack[RowChoice]
    ) -> Iterator[ResultRow]:
        """The rows of a job's clips in archive order, fetched by pages as they are used."""
        return self._list(endpoints.list_results(job, choice, page_rows))

    def segments(
        self, job: int, *, page_rows: int = endpoints.PAGE_ROWS, **choice: Unpack[RowChoice]
    ) -> Iterator[SegmentRow]:
        """The rows of windows, of a job with sliding windows or separate channels."""
        return self._list(endpoints.list_segments(job, choice, page_rows))

    def export(
        self,
        job: int,
        format: ExportFormat = "csv",
        *,
        segments: bool = False,
        on_note: Callable[[str], object] = ignore,
        **choice: Unpack[RowChoice],
    ) -> Iterator[bytes]:
        """The bytes of an export, as they come.

        Where the server has too many, it is asked again, for ten minutes. `on_note` hears that, and that the
        job has not ended yet, in a sentence each.
        """
        return self._export(job, endpoints.export_params(format, choice, segments=segments), on_note)

    def export_to(
        self,
        file: str | PathLike[str],
        job: int,
        format: ExportFormat = "csv",
        *,
        segments: bool = False,
        **choice: Unpack[RowChoice],
    ) -> Path:
        """Write an export to a file, which is there whole or not at all.

        Raises:
            NoSuchFolder, CannotWrite: of the file.
        """
        path = Path(file)
        with written(path) as partial, partial.open("wb") as opened:
            for block in self.export(job, format, segments=segments, **choice):
                opened.write(block)
        return path

    @overload
    def results_frame(
        self, job: int, format: Literal["pandas"] = ..., **choice: Unpack[FrameChoice]
    ) -> pd.DataFrame: ...
    @overload
    def results_frame(
        self, job: int, format: Literal["polars"], **choice: Unpack[FrameChoice]
    ) -> pl.DataFrame: ...
    @overload
    def results_frame(
        self, job: int, format: Literal["pyarrow"], **choice: Unpack[FrameChoice]
    ) -> pa.Table: ...

    def results_frame(
        self, job: int, format: frames.FrameFormat = "pandas", **choice: Unpack[FrameChoice]
    ) -> pd.DataFrame | pl.DataFrame | pa.Table:
        """All rows as a frame of this library: the columns of a Parquet export.

        Args:
            job: its id.
            format: pandas (which reads Parquet by pyarrow), polars or pyarrow.
            choice: which rows; `segments=True`: those of windows.

        Raises:
            LibraryMissing: the library is not installed.
        """
        frames.check(format)
        return frames.frame(b"".join(self.export(job, "parquet", **choice)), format)

    def audformat(self, job: int, **choice: Unpack[FrameChoice]) -> pd.DataFrame:
        """All rows as a pandas frame whose index is that of audformat's tables: file, start, end.

        Raises:
            LibraryMissing: pandas or pyarrow is not installed.
        """
        return frames.audformat(self.results_frame(job, "pandas", **choice))

    def audio(self, clip: int, most_bytes: int | None = None) -> bytes:
        """A recording as it was sent, or as much of its beginning."""
        return requests.content(self._send(endpoints.audio(clip, most_bytes)))


class AsyncResults(AsyncTransport):
    """The same for asyncio."""

    def results(
        self, job: int, *, page_rows: int = endpoints.PAGE_ROWS, **choice: Unpack[RowChoice]
    ) -> AsyncIterator[ResultRow]:
        return self._list(endpoints.list_results(job, choice, page_rows))

    def segments(
        self, job: int, *, page_rows: int = endpoints.PAGE_ROWS, **choice: Unpack[RowChoice]
    ) -> AsyncIterator[SegmentRow]:
        return self._list(endpoints.list_segments(job, choice, page_rows))

    def export(
        self,
        job: int,
        format: ExportFormat = "csv",
        *,
        segments: bool = False,
        on_note: Callable[[str], object] = ignore,
        **choice: Unpack[RowChoice],
    ) -> AsyncIterator[bytes]:
        return self._export(job, endpoints.export_params(format, choice, segments=segments), on_note)

    async def export_to(
        self,
        file: str | PathLike[str],
        job: int,
        format: ExportFormat = "csv",
        *,
        segments: bool = False,
        **choice: Unpack[RowChoice],
    ) -> Path:
        path = Path(file)
        with written(path) as partial, partial.open("wb") as opened:
            async for block in self.export(job, format, segments=segments, **choice):
                await asyncio.to_thread(opened.write, block)
        return path

    @overload
    async def results_frame(
        self, job: int, format: Literal["pandas"] = ..., **choice: Unpack[FrameChoice]
    ) -> pd.DataFrame: ...
    @overload
    async def results_frame(
        self, job: int, format: Literal["polars"], **choice: Unpack[FrameChoice]
    ) -> pl.DataFrame: ...
    @overload
    async def results_frame(
        self, job: int, format: Literal["pyarrow"], **choice: Unpack[FrameChoice]
    ) -> pa.Table: ...

    async def results_frame(
        self, job: int, format: frames.FrameFormat = "pandas", **choice: Unpack[FrameChoice]
    ) -> pd.DataFrame | pl.DataFrame | pa.Table:
        frames.check(format)
        blocks = [block async for block in self.export(job, "parquet", **choice)]
        return await asyncio.to_thread(frames.frame, b"".join(blocks), format)

    async def audformat(self, job: int, **choice: Unpack[FrameChoice]) -> pd.DataFrame:
        return frames.audformat(await self.results_frame(job, "pandas", **choice))

    async def audio(self, clip: int, most_bytes: int | None = None) -> bytes:
        return requests.content(await self._send(endpoints.audio(clip, most_bytes)))
