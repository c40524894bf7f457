"""Result rows as frames of pandas, polars or pyarrow, from a Parquet export; none of them is needed else."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from voxmood.errors import LibraryMissing

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

FrameFormat = Literal["pandas", "polars", "pyarrow"]
# What has to be installed: pandas reads Parquet by pyarrow.
NEEDED: dict[FrameFormat, tuple[str, ...]] = {
    "pandas": ("pandas", "pyarrow"),
    "polars": ("polars",),
    "pyarrow": ("pyarrow",),
}
INDEX = ("file", "start", "end")  # names of audformat's levels


def check(format: FrameFormat) -> None:
    """Before anything is fetched: whether a frame of this kind can be made.

    >>> check("numpy")
    Traceback (most recent call last):
    ValueError: 'numpy' is no kind of frame: take pandas, polars or pyarrow

    Raises:
        LibraryMissing: of what it takes something is not installed.
    """
    if format not in NEEDED:
        raise ValueError(f"{format!r} is no kind of frame: take pandas, polars or pyarrow")
    for library in NEEDED[format]:
        if find_spec(library) is None:
            raise LibraryMissing(what=f"A frame of {format}", library=library)


def frame(content: bytes, format: FrameFormat) -> pd.DataFrame | pl.DataFrame | pa.Table:
    """The rows of a Parquet file: the columns of the results, then `p_<emotion>` of each.

    What repeats from row to row (outcome, emotion, upload, …) is a category, what is measured a float.
    """
    if format == "polars":
        import polars as pl

        return pl.read_parquet(io.BytesIO(content))
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    return table.to_pandas() if format == "pandas" else table


def audformat(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with an index as audformat has it (audformat.segmented_index), without its columns.

    Levels: `file`, a string; `start` and `end`, timedelta64[ns]. Of rows of whole recordings `start` is 0 and
    `end` NaT, which means the recording's end. audformat takes no index with duplicates: of separate
    channels, and of uploads that have the same paths, choose one first.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"path": ["a.wav"], "start_s": [0.5], "end_s": [2.0], "emotion": ["calm"]})
    >>> audformat(rows).index.tolist()
    [('a.wav', Timedelta('0 days 00:00:00.500000'), Timedelta('0 days 00:00:02'))]
    """
    import pandas as pd

    if "start_s" in rows:
        start, end = rows["start_s"], rows["end_s"]
    else:
        start, end = pd.Series(0.0, rows.index), pd.Series(float("nan"), rows.index)
    index = pd.MultiIndex.from_arrays(
        [
            rows["path"].astype("string"),
            pd.to_timedelta(start, unit="s").astype("timedelta64[ns]"),
            pd.to_timedelta(end, unit="s").astype("timedelta64[ns]"),
        ],
        names=INDEX,
    )
    return rows.drop(columns=["path", "start_s", "end_s"], errors="ignore").set_axis(index)
