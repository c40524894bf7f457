"""Windows and filter banks that are kept are those of the libraries that made them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
from librosa.filters import mel

from shared.audio import filters
from shared.audio.spec import VOICE_V7


@pytest.mark.parametrize("n", [512, 1024, 2048, 7])
def test_hann_is_scipys_to_the_last_bit(n: int) -> None:
    assert np.array_equal(filters.hann(n), scipy.signal.get_window("hann", n))


def test_the_kept_bank_is_librosas() -> None:
    spec = VOICE_V7
    given = spec.sampling_rate, spec.n_fft, spec.n_mels, spec.fmin, spec.fmax
    made = mel(sr=given[0], n_fft=given[1], n_mels=given[2], fmin=given[3], fmax=given[4])
    assert np.array_equal(filters.mel(*given), made)
    with np.load(filters.KEPT) as kept:
        assert len(kept.files) == 1


def test_a_bank_that_is_not_kept_is_librosas_too() -> None:
    made = mel(sr=8000, n_fft=512, n_mels=20, fmin=0.0, fmax=4000.0)
    assert np.array_equal(filters.mel(8000, 512, 20, 0.0, 4000.0), made)


def test_who_classifies_by_the_champion_imports_neither_numba_nor_tensorflow() -> None:
    program = (
        "import sys; from shared.models.serving.classifier import Classifier;"
        "from shared.core.settings import Settings;"
        "from shared.audio.synthesis import speech_like, wav_bytes; wav = wav_bytes(speech_like(), 16000);"
        "settings = Settings(); heard = Classifier.load(settings.model_folders, settings.champion);"
        "assert heard.classify([('a.wav', wav)])[0].outcome in ('rejected', 'classified');"
        "print(sorted({'numba', 'llvmlite', 'tensorflow', 'sqlalchemy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
