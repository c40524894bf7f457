"""The shipped version classifies: each clip for itself, whatever stands beside it."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import soxr

from shared.audio.synthesis import COLOURS, speech_like, wav_bytes
from shared.audio.windows import Windows
from shared.core.errors.models import DamagedModel, UnsafeModel
from shared.core.errors.recordings import ClipError, NotAudio
from shared.core.errors.requests import UnknownModel
from shared.core.settings import REPOSITORY
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult
from tests.unit.serving import table, voices

SHIPPED = REPOSITORY / "saved_models"
EMOTIONS = tuple(COLOURS)
TOLERANCE = 1e-5  # promise 2


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    loaded = Classifier.load(SHIPPED, "seed-v6")
    loaded.warm()
    return loaded


def test_a_clips_probabilities_do_not_depend_on_batch_order_or_neighbours(classifier: Classifier) -> None:
    clips = voices(70)
    expected = table(classifier.classify(clips))
    for batch_clips in (1, 7, 32, 256):
        assert np.abs(table(classifier.classify(clips, batch_clips=batch_clips)) - expected).max() < TOLERANCE
    order = random.Random(0).sample(range(70), 70)
    shuffled = table(classifier.classify([clips[place] for place in order]))
    assert np.abs(shuffled - expected[order]).max() < TOLERANCE
    with_others = [clip for pair in zip(clips, [("x.wav", b"no audio")] * 70, strict=True) for clip in pair]
    assert np.abs(table(classifier.classify(with_others)[::2]) - expected).max() < TOLERANCE


def test_a_verdict_is_as_sure_as_its_highest_probability(classifier: Classifier) -> None:
    verdicts = classifier.classify(voices(24))
    assert {verdict.outcome for verdict in verdicts} == {"classified", "rejected"}
    for verdict in verdicts:
        assert verdict.probabilities is not None
        assert list(verdict.probabilities) == classifier.manifest.labels
        assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert verdict.confidence == max(verdict.probabilities.values())
        assert verdict.threshold == classifier.manifest.threshold
        if verdict.outcome == "classified":
            assert verdict.confidence >= verdict.threshold
            assert verdict.emotion is not None
            assert verdict.probabilities[verdict.emotion] == verdict.confidence
        else:
            assert verdict.confidence < verdict.threshold
            assert verdict.emotion is None
            assert verdict.message.startswith("Low confidence (0.")
            assert verdict.message.endswith(" < 0.85). May be sad or surprised.")


def test_the_threshold_can_be_chosen(classifier: Classifier) -> None:
    clips = voices(8)
    assert {verdict.outcome for verdict in classifier.classify(clips, threshold=0.0)} == {"classified"}
    strict = classifier.classify(clips, threshold=1.0)
    assert {verdict.outcome for verdict in strict if verdict.confidence != 1.0} == {"rejected"}
    assert {verdict.threshold for verdict in strict} == {1.0}


def test_every_clip_gets_an_outcome_in_its_place(classifier: Classifier) -> None:
    good = voices(3)
    silent = wav_bytes(np.full(48000, 9e-5, np.float32), 16000, "FLOAT")
    quiet = wav_bytes(speech_like("angry") * np.float32(0.006), 16000, "FLOAT")
    clips = [
        ("text.wav", b"These are the minutes."),
        good[0],
        ("silent.wav", silent),
        ("empty.wav", wav_bytes(np.zeros(0), 16000)),
        ("file.wav", io.BytesIO(good[1][1])),
        ("quiet.wav", quiet),
    ]
    verdicts = classifier.classify(clips)
    assert [verdict.path for verdict in verdicts] == [path for path, _ in clips]
    text, first, no_voice, empty, file, soft = verdicts
    assert (text.outcome, text.error_code, text.probabilities) == ("failed", "not_a_recording", None)
    assert text.error == text.message
    assert str(text.error).startswith("text.wav is a text file")
    assert (no_voice.outcome, no_voice.duration_s, no_voice.confidence) == ("no_voice", 3.0, None)
    assert (empty.outcome, empty.error_code) == ("failed", "empty")
    assert {first.outcome, file.outcome, soft.outcome} <= {"classified", "rejected"}
    assert first.duration_s == 1.0
    assert text.quality is None and no_voice.quality is None
    assert first.quality is not None and 0.2 < first.quality.voiced_s <= 1.0
    assert classifier.classify([]) == []


def test_a_failure_of_the_source_is_raised_not_recorded(classifier: Classifier) -> None:
    class LeaseLost(Exception):
        pass

    class Source(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        classifier.classify([*voices(2), ("c.wav", Source())])


def test_a_failed_verdict_carries_the_errors_code_and_sentence() -> None:
    error: ClipError = NotAudio(path="a.wav", reason="it is a poem")
    verdict = ClipResult.failed("a.wav", error)
    assert (verdict.outcome, verdict.error_code, verdict.error) == ("failed", "not_audio", str(error))


def test_a_version_is_verified_before_it_is_loaded(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "seed-v6", tmp_path / "seed-v6")
    with (tmp_path / "seed-v6" / "labels.json").open("a") as file:
        file.write(" ")
    with pytest.raises(DamagedModel, match="labels.json has changed"):
        Classifier.load(tmp_path, "seed-v6")
    with pytest.raises(UnknownModel, match="no model version seed-v9"):
        Classifier.load(tmp_path, "seed-v9")


def test_a_network_with_code_inside_is_not_loaded(tmp_path: Path) -> None:
    """A Lambda layer would run what the file holds."""
    from shared.models.serving.backend import load_keras
    from shared.models.serving.checksums import sha256

    keras = load_keras()
    folder = tmp_path / "seed-v6"
    shutil.copytree(SHIPPED / "seed-v6", folder)
    network = keras.Sequential([keras.Input((32, 94, 2)), keras.layers.Lambda(lambda x: x[:, :6, 0, 0])])
    network.save(folder / "model.keras")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.keras"] = sha256(folder / "model.keras")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UnsafeModel, match="Lambda"):
        Classifier.load(tmp_path, "seed-v6", runtime="tensorflow")


def test_a_recording_by_telephone_says_so_and_windows_are_measured_once(classifier: Classifier) -> None:
    whole = speech_like("angry", 16_000, 4.0, seed=1)
    narrow = soxr.resample(soxr.resample(whole, 16_000, 8_000, "VHQ"), 8_000, 16_000, "VHQ")
    clips = [("wide.wav", wav_bytes(whole, 16_000)), ("narrow.wav", wav_bytes(narrow, 16_000))]
    sliding = Windows("sliding", 2.0, 0.5)
    wide, telephone = classifier.classify(clips, threshold=1.0, windows=sliding)
    assert wide.quality is not None and telephone.quality is not None
    assert telephone.quality.bandwidth_hz <= 4250 < wide.quality.bandwidth_hz
    assert telephone.message.partition("): ")[2].startswith("telephone bandwidth")
    (once,) = classifier.classify(clips[:1], windows=Windows("sliding", 2.0, 2.0))
    assert once.quality is not None
    assert wide.quality.voiced_s == pytest.approx(once.quality.voiced_s, abs=0.1)
