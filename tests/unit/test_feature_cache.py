"""Features of a dataset are kept, taken over, and computed anew where anything of theirs is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.audio.spec import BASELINE_V6, ENCODED_V8, VOICE_V7
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.models import DamagedArtefact
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.data import feature_cache
from shared.models.data.audio_data import AudioData
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Dataset, read_dataset

LIMITS = decode_limits(Settings())
DRAWS = 1


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for code, emotion in (("02", "calm"), ("05", "angry")):
        file = folder / f"03-01-{code}-01-01-01-01.wav"
        file.write_bytes(wav_bytes(speech_like(emotion, duration_s=0.8, seed=1), 16000))
    (folder / "03-01-03-01-01-01-01.wav").write_bytes(b"no recording")
    return read_dataset(folder)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples were computed, each time that any were."""
    counts: list[int] = []
    compute = feature_cache.load_audio_data

    def counted(*given, **named) -> AudioData:
        counts.append(len(given[1]))
        return compute(*given, **named)

    monkeypatch.setattr(feature_cache, "load_audio_data", counted)
    return counts


def load(dataset: Dataset, cache: Path | None, spec=BASELINE_V6) -> AudioData:
    return feature_cache.load(dataset, dataset.examples, spec, LIMITS, lambda *_: None, DRAWS, cache)


def test_what_was_computed_once_is_taken_over_whole(
    dataset: Dataset, tmp_path: Path, computed: list[int]
) -> None:
    fresh = load(dataset, None)
    kept, again = (load(dataset, tmp_path / "cache") for _ in range(2))
    assert computed == [3, 3], "without a folder, and once with one"
    for one in (kept, again):
        assert np.array_equal(one.features, fresh.features)
        assert np.array_equal(one.copies, fresh.copies)
        assert (one.examples, one.left_out, one.spec) == (fresh.examples, fresh.left_out, BASELINE_V6)
    assert len(fresh.left_out) == 1


def test_corpora_side_by_side_take_over_what_each_has_alone(
    dataset: Dataset, tmp_path: Path, computed: list[int]
) -> None:
    cache = tmp_path / "cache"
    alone = load(dataset, cache)
    steps: list[tuple[int, int]] = []

    def report(_stage: str, done: int, total: int) -> None:
        steps.append((done, total))

    joined = JoinedCorpora({"one": dataset, "two": dataset})
    both = feature_cache.load_joined(joined, BASELINE_V6, LIMITS, report, DRAWS, cache)
    assert computed == [3], "once for all of them"
    assert steps == [(3, 6), (6, 6)]
    assert np.array_equal(both.features, np.concatenate([alone.features] * 2))
    assert np.array_equal(both.copies, np.concatenate([alone.copies] * 2, axis=1))
    assert [one.corpus for one in both.examples] == ["one", "one", "two", "two"]
    assert {one.path.split("/")[0] for one in both.examples[2:]} == {"two"}
    assert [sentence.split(": ")[0] for sentence in both.left_out] == ["one", "two"]


def test_other_bytes_labels_or_features_are_computed_anew(
    dataset: Dataset, tmp_path: Path, computed: list[int]
) -> None:
    cache = tmp_path / "cache"
    load(dataset, cache)
    load(dataset, cache, replace(BASELINE_V6, seconds=2.0))
    renamed = tuple(replace(example, speaker="99") for example in dataset.examples)
    assert {one.speaker for one in load(replace(dataset, examples=renamed), cache).examples} == {"99"}
    file = dataset.folder / dataset.examples[0].path
    file.write_bytes(wav_bytes(speech_like("calm", duration_s=0.8, seed=2), 16000))
    load(dataset, cache)
    assert len(computed) == 4


def test_another_encoder_or_other_layers_are_another_entry(
    dataset: Dataset, tmp_path: Path, computed: list[int]
) -> None:
    cache = tmp_path / "cache"
    first = load(dataset, cache, ENCODED_V8)
    assert first.features.shape == (2, *ENCODED_V8.shape)
    assert np.array_equal(load(dataset, cache, ENCODED_V8).features, first.features)
    (width,) = VOICE_V7.shape
    assert np.array_equal(load(dataset, cache, VOICE_V7).features, first.features[:, :width])
    last = load(dataset, cache, replace(ENCODED_V8, layers=(4,)))
    assert np.array_equal(last.features[:, width:], first.features[:, -ENCODED_V8.pooled :])
    assert len(computed) == 3
    with pytest.raises(DamagedArtefact, match="is another"):  # and not what the cache has of the first
        load(dataset, cache, replace(ENCODED_V8, encoder_sha256="0" * 64))


def test_an_entry_knows_the_code_that_computed_it_and_no_other() -> None:
    names = {file.name for file in feature_cache._code()}
    assert {
        "audio_data.py",
        "encoders.py",
        "random_conditions.py",
        "noises.py",
        "pitch.py",
        "mpeg.py",
    } <= names
    assert not {"voice_presence.py", "cutting.py", "quality.py"} & names, (
        "a change there is no change of features"
    )


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    for _ in range(2):
        assert len(load(dataset, tmp_path / "cache").examples) == 2


def test_a_write_that_was_cut_off_is_no_entry_and_old_entries_go(
    dataset: Dataset, tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(feature_cache.np, "save", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load(dataset, cache)
    monkeypatch.setattr(feature_cache, "KEPT", 2)
    for seconds in (1.0, 1.5, 2.0):
        load(dataset, cache, replace(BASELINE_V6, seconds=seconds))
    assert len(list(cache.iterdir())) == 2
    before = len(computed)
    load(dataset, cache, replace(BASELINE_V6, seconds=2.0))
    assert len(computed) == before
