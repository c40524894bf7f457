"""One recording on the page: hear it, see what the model heard."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import altair as alt
import streamlit as st
from soundfile import LibsndfileError, SoundFile

from shared.page.words import plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

HEARD_BYTES = 50_000_000  # a larger file is not kept for listening: each visitor's last one stays in memory
HEARD_S = 600  # of what has to be converted
# What browsers play as it is; all else is converted. Not here: A-law, AIFF, 64-bit samples, …
PLAYED = {"FLAC": "audio/flac", "OGG": "audio/ogg", "MPEG": "audio/mpeg", "WAV": "audio/wav"}
PLAYED_WAVS = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}


def remember(number: int, file: UploadedFile) -> None:
    """Keep what job `number` was made of, so that it can be heard."""
    heard = file.getvalue() if file.size <= HEARD_BYTES else None
    st.session_state.heard = (number, heard)


def is_one(document: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the job is one recording that was sent as it is."""
    uploads = document["uploads"]
    return len(uploads) == len(rows) == 1 and rows[0]["path"] == uploads[0]["name"]


def show(number: int, row: dict[str, Any]) -> None:
    """The recording and its result row."""
    st.subheader(plain(row["path"]), anchor=False)
    dropped, heard = st.session_state.get("heard", (None, None))
    if dropped == number and heard and (playable := _playable(heard)):
        st.audio(*playable)
    if row["outcome"] == "failed":
        st.error(plain(row["message"]))
        return
    if row["outcome"] == "no_voice":
        st.info(row["message"])
        return
    if row["outcome"] == "rejected":
        st.warning(row["message"])
    emotion, confidence, threshold = st.columns(3)
    emotion.metric("Emotion", row["emotion"] or "rejected")
    confidence.metric("Confidence", f"{row['confidence']:.2f}")
    threshold.metric("Threshold", f"{row['threshold']:.2f}")
    st.altair_chart(_chart(row))
    st.caption(f"{row['duration_s']:.1f} s · model version {row['model_version']} · job {number}")


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


def _playable(content: bytes) -> tuple[bytes, str] | None:
    """The bytes that a browser can play, and their type; None for what is no audio that libsndfile reads."""
    try:
        with SoundFile(io.BytesIO(content)) as sound:
            if sound.format in PLAYED and (sound.format != "WAV" or sound.subtype in PLAYED_WAVS):
                return content, PLAYED[sound.format]
            wav = io.BytesIO()
            samples = sound.read(HEARD_S * sound.samplerate, dtype="float32", always_2d=True)
            with SoundFile(
                wav, "w", sound.samplerate, sound.channels, subtype="PCM_16", format="WAV"
            ) as converted:
                converted.write(samples)
            return wav.getvalue(), PLAYED["WAV"]
    except LibsndfileError:
        return None
