"""A job on the page: how far it is, then its rows."""

from __future__ import annotations

from codecs import BOM_UTF8
from datetime import timedelta
from itertools import islice

import streamlit as st

from shared.page import recording
from shared.page.words import plain
from voxmood.client import Client
from voxmood.documents import Counts, JobDocument, ResultRow
from voxmood.errors import VoxmoodError
from voxmood.states import JobState, Outcome, UploadState
from voxmood.words import clips, digits_below, pace

LOOK_EVERY_S = 0.5
SHOWN_ROWS = 1000
# A download is held in memory: 100,000 rows take about 25 MB.
DOWNLOADED_ROWS = 100_000
COUNTS = (*Outcome, "duplicates")
COLUMNS = ("path", "outcome", "emotion", "confidence", "message")


def show(client: Client, number: str) -> None:
    """The job with this number, as it was written in the address."""
    if not number.isdecimal():
        st.error(plain(f"{number} is no job's number."))
        return
    document = client.job(int(number))
    if document.state == JobState.RUNNING:
        _title(document)
        _follow(client, int(number))
        return
    rows = list(islice(client.results(int(number), page_rows=SHOWN_ROWS), SHOWN_ROWS))
    for upload in document.uploads:
        if upload.error:
            (st.error if upload.state == UploadState.FAILED else st.warning)(plain(upload.error))
    if recording.is_one(document, rows):
        recording.show(client, document, rows[0])
    elif document.state == JobState.OPEN:
        st.info(f"Job {number} is still open: it has not been started.")
    else:
        _table(client, document, rows)


@st.fragment(run_every=LOOK_EVERY_S)
def _follow(client: Client, number: int) -> None:
    """Its progress, looked at again and again, until it has ended; then the whole page is drawn anew."""
    try:
        document = client.job(number)
    except VoxmoodError as error:
        st.error(plain(str(error)))
        return
    if document.state != JobState.RUNNING:
        st.rerun()
    progress = document.progress
    words = ["Unpacking"]
    if progress.done and progress.expected:
        words = [f"{progress.done:,} of about {progress.expected:,} clips"]
    if progress.clips_per_s:
        words.append(pace(progress.clips_per_s))
    if progress.seconds_left is not None:
        words.append(f"about {timedelta(seconds=round(progress.seconds_left))} left")
    st.progress(min(1.0, progress.fraction), " · ".join(words))
    _counts(document.counts)


def _title(document: JobDocument) -> None:
    st.subheader(plain(document.name or f"Job {document.id}"), anchor=False)


def _counts(counts: Counts) -> None:
    for column, key in zip(st.columns(len(COUNTS)), COUNTS, strict=True):
        column.metric(key.replace("_", " "), f"{getattr(counts, key):,}")


def _table(client: Client, document: JobDocument, rows: list[ResultRow]) -> None:
    """What became of an archive: counts, rows, a file to keep."""
    number, done = document.id, document.counts.done
    _title(document)
    words = [clips(document.counts), document.state, f"model version {document.model_version}"]
    st.caption(" · ".join([*words, f"job {number}"]))
    if not rows:
        return
    _counts(document.counts)
    rejected = [(row.confidence or 0, row.threshold or 0) for row in rows if row.outcome == Outcome.REJECTED]
    digits = digits_below(rejected)  # none of them looks as if it had reached its threshold
    st.dataframe(
        [{column: getattr(row, column) for column in COLUMNS} for row in rows],
        placeholder="",
        column_config={"confidence": st.column_config.NumberColumn(format=f"%.{digits}f")},
    )
    if len(rows) < done:
        st.caption(f"The first {len(rows):,} rows; the download has all of them.")
    command = f"voxmood results {number} --output results.csv"
    if done > DOWNLOADED_ROWS:
        st.info(f"These are too many rows to download here: `{command}`")
        return
    st.download_button(
        "Download all rows (CSV)",
        lambda: BOM_UTF8 + b"".join(client.export(number, "csv")),  # for Excel, by a double-click
        file_name=f"voxmood-job-{number}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )
