"""What the page shows of a name, and what it gives a browser to play."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import soundfile

from shared.page.recording import playable
from shared.page.words import plain


def test_a_name_is_shown_as_it_is_and_never_as_markdown() -> None:
    name = r"![a](http://elsewhere/x.png) *b* :red[c] $d$ `e` _f_ \g <h> süd·ost"
    shown = plain(name)
    assert not re.search(r"(?<!\\)(?:\\\\)*[!\[\](*:$`_<]", shown)
    assert re.sub(r"\\(.)", r"\1", shown) == name


@pytest.mark.parametrize(
    ("format", "subtype", "kind", "as_it_is"),
    [
        ("WAV", "PCM_16", "audio/wav", True),
        ("FLAC", "PCM_16", "audio/flac", True),
        ("OGG", "VORBIS", "audio/ogg", True),
        ("MP3", "MPEG_LAYER_III", "audio/mpeg", True),
        ("WAV", "ALAW", "audio/wav", False),
        ("AIFF", "PCM_24", "audio/wav", False),
        ("RF64", "PCM_16", "audio/wav", False),
    ],
)
def test_what_a_browser_cannot_play_is_converted(
    format: str, subtype: str, kind: str, as_it_is: bool
) -> None:
    tone = 0.5 * np.sin(np.arange(16_000) / 20)
    file = io.BytesIO()
    soundfile.write(file, np.stack([tone, tone], axis=1), 16_000, format=format, subtype=subtype)
    content, given = playable(file.getvalue())
    assert (given, content == file.getvalue()) == (kind, as_it_is)
    samples, rate = soundfile.read(io.BytesIO(content))
    assert (samples.shape[1], rate) == (2, 16_000)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05), "as loud as it was"


def test_m4a_is_left_to_the_browser_and_words_are_not_played() -> None:
    assert playable(b"\0\0\0\x1cftypM4A " + bytes(100))[1] == "audio/mp4"
    assert playable(b"words, not audio") is None
