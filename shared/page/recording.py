"""One recording on the page: hear it, see what the model heard."""

from __future__ import annotations

import io

import altair as alt
import soundfile
import streamlit as st
from soundfile import LibsndfileError, SoundFile

from shared.page.words import plain
from voxmood.client import Client
from voxmood.documents import JobDocument, ResultRow
from voxmood.states import Outcome
from voxmood.words import below

HEARD_BYTES = 50_000_000  # of a larger file the beginning is heard: it is held in memory
HEARD_S = 600  # of what has to be converted
# What browsers play as it is; all else is converted. Not here: A-law, AIFF, 64-bit samples, …
PLAYED = {"FLAC": "audio/flac", "OGG": "audio/ogg", "MP3": "audio/mpeg", "WAV": "audio/wav"}
PLAYED_WAVS = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}


def is_one(document: JobDocument, rows: list[ResultRow]) -> bool:
    """Whether the job is one recording that was sent as it is."""
    uploads = document.uploads
    return len(uploads) == len(rows) == 1 and rows[0].path == uploads[0].name


def show(client: Client, document: JobDocument, row: ResultRow) -> None:
    """The recording, to be heard, and its result row."""
    st.subheader(plain(row.path), anchor=False)
    if row.outcome == Outcome.FAILED:
        st.error(plain(row.message))
        return
    if sound := playable(client.audio(row.clip_id, HEARD_BYTES)):
        st.audio(*sound)
    if row.outcome == Outcome.NO_VOICE:
        st.info(row.message)
        return
    if row.outcome == Outcome.REJECTED:
        st.warning(row.message)
    emotion, confidence, threshold = st.columns(3)
    emotion.metric("Emotion", row.emotion or "rejected")
    heard, needed = row.confidence or 0, row.threshold or 0
    confidence_shown, threshold_shown = f"{heard:.2f}", f"{needed:.2f}"
    if row.outcome == Outcome.REJECTED:  # with as many digits as it takes to see why
        confidence_shown, threshold_shown = below(heard, needed).split(" < ")
    confidence.metric("Confidence", confidence_shown)
    threshold.metric("Threshold", threshold_shown)
    st.altair_chart(_chart(row))
    st.caption(f"{row.duration_s or 0:.1f} s · model version {row.model_version} · job {document.id}")


def _chart(row: ResultRow) -> alt.LayerChart:
    """All probabilities, the highest first, and the threshold as a line."""
    emotions = [
        {"emotion": emotion, "probability": probability, "threshold": row.threshold}
        for emotion, probability in row.probabilities.items()
    ]
    chart = alt.Chart(alt.InlineData(values=emotions))
    bars = chart.mark_bar(cornerRadiusEnd=3).encode(
        x=alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), title=None),
        y=alt.Y("emotion:N", sort="-x", title=None),
        tooltip=["emotion:N", alt.Tooltip("probability:Q", format=".3f")],
    )
    threshold = chart.mark_rule(strokeDash=[4, 4]).encode(
        x=alt.X("threshold:Q", title=None), tooltip=[alt.Tooltip("threshold:Q", format=".2f")]
    )
    return alt.LayerChart(layer=[bars, threshold], height=alt.Step(28))


def playable(content: bytes) -> tuple[bytes, str] | None:
    """The bytes that a browser can play, and their type; None where there are none."""
    try:
        with SoundFile(io.BytesIO(content)) as sound:
            if sound.format in PLAYED and (sound.format != "WAV" or sound.subtype in PLAYED_WAVS):
                return content, PLAYED[sound.format]
            samples = sound.read(HEARD_S * sound.samplerate, dtype="float32")
            wav = io.BytesIO()
            soundfile.write(wav, samples, sound.samplerate, format="WAV", subtype="PCM_16")
            return wav.getvalue(), PLAYED["WAV"]
    except LibsndfileError:
        return (content, "audio/mp4") if content[4:8] == b"ftyp" else None
