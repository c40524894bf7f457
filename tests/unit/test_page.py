"""What the page shows of a name, and what it gives a browser to play."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import soundfile
import streamlit as st
from streamlit.testing.v1 import AppTest

from shared.core.settings import REPOSITORY
from shared.page import password
from shared.page.recording import playable
from shared.page.words import plain

PASSWORD = "correct horse battery"


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


def is_open(shown: AppTest) -> bool:
    """Whether recordings can be dropped."""
    return any("Archives:" in caption.value for caption in shown.caption)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page on an address that others reach."""
    before = st.get_option
    address = {"server.address": "0.0.0.0"}
    monkeypatch.setattr(st, "get_option", lambda name: address.get(name) or before(name))
    monkeypatch.setenv("VOXMOOD_PAGE_PASSWORD", PASSWORD)
    monkeypatch.setenv("VOXMOOD_URL", "http://127.0.0.1:9")
    st.cache_resource.clear()
    return AppTest.from_file(REPOSITORY / "shared" / "page" / "app.py", default_timeout=30)


def test_off_loopback_the_page_shows_nothing_without_a_password(
    elsewhere: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOXMOOD_PAGE_PASSWORD")
    shown = elsewhere.run()
    assert not is_open(shown)
    assert [error.value for error in shown.error if "VOXMOOD_PAGE_PASSWORD" in error.value]


@pytest.mark.slow
def test_the_page_opens_with_its_password_alone(elsewhere: AppTest) -> None:
    shown = elsewhere.run()
    assert not is_open(shown)
    shown.text_input[0].set_value("wrong").run()
    assert shown.error[0].value == "This is not the password."
    assert not is_open(shown)
    shown.text_input[0].set_value(PASSWORD).run()
    assert is_open(shown)


@pytest.mark.slow
def test_guessing_the_page_s_password_is_slow(elsewhere: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert password.MOST_TRIES <= 10
    monkeypatch.setattr(password, "MOST_TRIES", 3)  # each draws the page, which takes a second
    monkeypatch.setattr(password, "PER_S", 3600.0)  # a busy machine guesses slowly
    shown = elsewhere.run()
    for guess in range(3):
        shown.text_input[0].set_value(f"guess {guess}").run()
    shown.text_input[0].set_value(PASSWORD).run()
    assert shown.error[0].value == "Too many wrong passwords; wait a minute."
    assert not is_open(shown)


def test_m4a_is_left_to_the_browser_and_words_are_not_played() -> None:
    assert playable(b"\0\0\0\x1cftypM4A " + bytes(100))[1] == "audio/mp4"
    assert playable(b"words, not audio") is None
