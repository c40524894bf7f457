"""One recording on the page: hear it, see what the model heard."""

from __future__ import annotations

import io
from typing import Any

import altair as alt
import soundfile
import streamlit as st
from soundfile import LibsndfileError, SoundFile

from shared.client import Client
from shared.core.states import Outcome
from shared.models.serving.rejection import below
from shared.page.words import plain

HEARD_BYTES = 50_000_000  # of a larger file the beginning is heard: it is held in memory
HEARD_S = 600  # of what has to be converted
# What browsers play as it is; all else is converted. Not here: A-law, AIFF, 64-bit samples, …
PLAYED = {"FLAC": "audio/flac", "OGG": "audio/ogg", "MP3": "audio/mpeg", "WAV": "audio/wav"}
PLAYED_WAVS = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}


def is_one(document: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the job is one recording that was sent as it is."""
    uploads = document["uploads"]
    return len(uploads) == len(rows) == 1 and rows[0]["path"] == uploads[0]["name"]


def show(client: Client, document: dict[str, Any], row: dict[str, Any]) -> None:
    """The recording, to be heard, and its result row."""
    st.subheader(plain(row["path"]), anchor=False)
    if row["outcome"] == Outcome.FAILED:
        st.error(plain(row["message"]))
        return
    if sound := playable(client.audio(row["clip_id"], HEARD_BYTES)):
        st.audio(*sound)
    if row["outcome"] == Outcome.NO_VOICE:
        st.info(row["message"])
        return
    if row["outcome"] == Outcome.REJECTED:
        st.warning(row["message"])
    emotion, confidence, threshold = st.columns(3)
    emotion.metric("Emotion", row["emotion"] or "rejected")
    confidence_shown, threshold_shown = f"{row['confidence']:.2f}", f"{row['threshold']:.2f}"
    if row["outcome"] == Outcome.REJECTED:  # with as many digits as it takes to see why
        confidence_shown, threshold_shown = below(row["confidence"], row["threshold"]).split(" < ")
    confidence.metric("Confidence", confidence_shown)
    threshold.metric("Threshold", threshold_shown)
    st.altair_chart(_chart(row))
    st.caption(f"{row['duration_s']:.1f} s · model version {row['model_version']} · job {document['id']}")


def _chart(row: dict[str, Any]) -> alt.LayerChart:
    """All probabilities, the highest first, and the threshold as a line."""
    emotions = [
        {"emotion": key.removeprefix("p_"), "probability": value, "threshold": row["threshold"]}
        for key, value in row.items()
        if key.startswith("p_")
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
