"""Speech-like clips made in code, for the demonstration archive, the tests and the benchmarks.

A source-filter voice: a train of glottal pulses with jitter and some breath noise goes syllable by syllable
through the formants of a vowel. An emotion changes pitch, range, rate, loudness and brightness in the
directions of Banse & Scherer (1996). Nobody would take it for a person, but loudness, pitch and spectrum move
as they do in speech. Everything follows from the seed, bit by bit.

Source: Fant 1960; Klatt 1980, doi 10.1121/1.383940.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal
from scipy.io import wavfile

from shared.core.errors.models import UnknownEmotion

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Colour:
    """How an emotion sounds.

    Attributes:
        pitch: a factor on the speaker's own pitch.
        range_st: semitones between low and high.
        rate: syllables a second.
        peak: relative to full scale.
        brightness_hz: where the glottal spectrum begins to fall.
        breath: noise in the source, relative to the pulses.
    """

    pitch: float
    range_st: float
    rate: float
    peak: float
    brightness_hz: float
    breath: float


COLOURS = {
    "neutral": Colour(pitch=1.0, range_st=2, rate=3.6, peak=0.10, brightness_hz=300, breath=0.02),
    "calm": Colour(pitch=0.95, range_st=2, rate=2.8, peak=0.06, brightness_hz=200, breath=0.05),
    "happy": Colour(pitch=1.4, range_st=8, rate=4.6, peak=0.35, brightness_hz=700, breath=0.02),
    "sad": Colour(pitch=1.05, range_st=3, rate=2.6, peak=0.06, brightness_hz=200, breath=0.08),
    "angry": Colour(pitch=1.5, range_st=6, rate=4.4, peak=0.80, brightness_hz=1500, breath=0.04),
    "fearful": Colour(pitch=1.7, range_st=4, rate=5.2, peak=0.40, brightness_hz=600, breath=0.10),
    "disgust": Colour(pitch=1.0, range_st=5, rate=2.9, peak=0.20, brightness_hz=500, breath=0.06),
    "surprised": Colour(pitch=1.6, range_st=11, rate=3.8, peak=0.30, brightness_hz=700, breath=0.03),
}
# Formants in Hz of a, e, i, o, u (Peterson & Barney 1952, means of men), with a common fourth one.
VOWELS = (
    (730, 1090, 2440, 3400),
    (530, 1840, 2480, 3400),
    (270, 2290, 3010, 3400),
    (570, 840, 2410, 3400),
    (300, 870, 2240, 3400),
)
BANDWIDTHS = (80, 90, 120, 180)  # Hz, of the four formants


def _resonators(vowel: tuple[int, ...], scale: float, sampling_rate: int) -> NDArray[np.float64]:
    """One second-order resonator with gain 1 at 0 Hz for each formant below the Nyquist frequency."""
    sections = []
    for formant, bandwidth in zip(vowel, BANDWIDTHS, strict=True):
        if formant * scale >= 0.49 * sampling_rate:
            continue
        radius = np.exp(-np.pi * bandwidth / sampling_rate)
        a1 = -2 * radius * np.cos(2 * np.pi * formant * scale / sampling_rate)
        a2 = radius**2
        sections.append([1 + a1 + a2, 0, 0, 1, a1, a2])
    return np.array(sections)


def _source(
    colour: Colour, base_hz: float, sampling_rate: int, n: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Glottal pulses along a wandering pitch with 1 % jitter and breath noise, shape (n,)."""
    knots = max(4, round(n / sampling_rate * 2 * colour.rate))
    contour = np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.uniform(-0.5, 0.5, knots))
    declination = np.linspace(1.0, -1.0, n)  # statements end lower than they begin
    semitones = colour.range_st * contour + declination
    jitter = np.interp(
        np.linspace(0, 40 * knots, n), np.arange(40 * knots + 1), rng.normal(0, 0.01, 40 * knots + 1)
    )
    f0 = base_hz * colour.pitch * 2 ** (semitones / 12) * (1 + jitter)
    pulses = np.diff(np.floor(np.cumsum(f0 / sampling_rate)), prepend=0.0)
    pulses *= sampling_rate / base_hz  # the same energy a period at every rate
    noise = colour.breath * np.sqrt(sampling_rate) * rng.normal(0, 1, n)
    pole = np.exp(-2 * np.pi * colour.brightness_hz / sampling_rate)
    return np.asarray(signal.lfilter([1 - pole], [1, -pole], pulses + noise))


def speech_like(
    emotion: str = "neutral", sampling_rate: int = 16000, duration_s: float = 3.0, seed: int = 0
) -> Samples:
    """A speech-like clip.

    Args:
        emotion: a key of `COLOURS`.
        sampling_rate: in Hz.
        duration_s: in seconds.
        seed: decides speaker, vowels and melody.

    Returns:
        Float32 in [-1, 1], shape (round(duration_s * sampling_rate),).

    Raises:
        UnknownEmotion: the emotion is none of `COLOURS`.
    """
    if emotion not in COLOURS:
        raise UnknownEmotion(emotion=emotion, known=", ".join(COLOURS))
    colour = COLOURS[emotion]
    rng = np.random.default_rng(seed)
    n = round(duration_s * sampling_rate)
    is_female = rng.random() < 0.5
    base_hz = rng.uniform(170, 220) if is_female else rng.uniform(90, 130)
    formant_scale = 1.15 if is_female else 1.0
    source = _source(colour, base_hz, sampling_rate, n, rng)

    voice = np.zeros(n)
    margin = n // 8  # recordings begin and end with a breath of room
    syllables = max(1, round((n - 2 * margin) / sampling_rate * colour.rate))
    bounds = np.unique(np.linspace(margin, n - margin, syllables + 1).astype(int))
    for start, stop in itertools.pairwise(bounds):
        vowel = VOWELS[rng.integers(len(VOWELS))]
        envelope = signal.windows.tukey(stop - start, alpha=0.6) * rng.uniform(0.5, 1.0)
        voice[start:stop] = signal.sosfilt(
            _resonators(vowel, formant_scale, sampling_rate), source[start:stop] * envelope
        )
    voice *= colour.peak / max(float(np.abs(voice).max(initial=0.0)), 1e-9)
    room = rng.normal(0, 3e-4, n)
    return np.clip(voice + room, -1, 1).astype(np.float32)


NON_SPEECH = "silence", "noise", "tones"


def non_speech(kind: str, sampling_rate: int = 16000, duration_s: float = 3.0, seed: int = 0) -> Samples:
    """A sound without a voice, for training.

    Args:
        kind: `silence`, a room at -60 to -50 dB of full scale, just above what counts as silent; `noise`,
            steady, with a spectrum falling as 1/f^0 to 1/f^2; or `tones`, one to four held tones of 80 to
            2000 Hz with overtones.
        sampling_rate: in Hz.
        duration_s: in seconds.
        seed: of the random numbers; the same seed gives the same sound.

    Returns:
        Float32 in [-1, 1], shape (round(duration_s * sampling_rate),).
    """
    rng = np.random.default_rng(seed)
    n = round(duration_s * sampling_rate)
    time = np.arange(n) / sampling_rate
    if kind == "tones":
        sound = np.zeros(n)
        for hz in np.exp(rng.uniform(np.log(80), np.log(2000), rng.integers(1, 5))):
            for overtone in range(1, int(rng.integers(2, 6))):
                sound += np.sin(2 * np.pi * hz * overtone * time + rng.uniform(0, 2 * np.pi)) / overtone
    else:
        spectrum = np.fft.rfft(rng.normal(0, 1, n))
        slope = rng.uniform(0, 1)  # of the amplitude: half that of the power
        spectrum /= np.maximum(np.fft.rfftfreq(n, 1 / sampling_rate), 20) ** slope  # flat below hearing
        sound = np.fft.irfft(spectrum, n)
    decibels = rng.uniform(-60, -50) if kind == "silence" else rng.uniform(-30, 0)
    return np.asarray(sound / np.abs(sound).max() * 10 ** (decibels / 20), np.float32)


def wav_bytes(samples: NDArray[np.floating], sampling_rate: int, subtype: str = "PCM_16") -> bytes:
    """A WAV file.

    Args:
        samples: shape (n,) or (n, channels).
        sampling_rate: in Hz.
        subtype: of the samples, as soundfile names it.
    """
    if subtype == "FLOAT":  # libsndfile would write the time of day into a PEAK chunk
        file = BytesIO()
        wavfile.write(file, sampling_rate, samples.astype(np.float32))
        return file.getvalue()
    return _file_bytes(samples, sampling_rate, "WAV", subtype)


def flac_bytes(samples: NDArray[np.floating], sampling_rate: int, subtype: str = "PCM_16") -> bytes:
    """A FLAC file.

    Args:
        samples: shape (n,) or (n, channels).
        sampling_rate: in Hz.
        subtype: PCM_16 or PCM_24.
    """
    return _file_bytes(samples, sampling_rate, "FLAC", subtype)


def _file_bytes(samples: NDArray[np.floating], sampling_rate: int, kind: str, subtype: str) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, sampling_rate, format=kind, subtype=subtype)
    return file.getvalue()


def unique_clip(seed: int, duration_s: float = 1.0, sampling_rate: int = 16000) -> bytes:
    """A small mono WAV file; each seed gives another file, and the emotions take turns."""
    emotion = tuple(COLOURS)[seed % len(COLOURS)]
    return wav_bytes(speech_like(emotion, sampling_rate, duration_s, seed), sampling_rate)
