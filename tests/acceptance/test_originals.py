"""Untouched source files of several corpora: every one gets an outcome, at its own rate and container."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.core.settings import REPOSITORY
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult
from tests.acceptance.jobs import Api
from tests.recordings import ORIGINAL, RAVDESS, zip_files
from tests.waiting import ANSWERED

CLEAR = 0.05  # by which the two most likely emotions differ

IS_THERE = ORIGINAL.is_dir() and RAVDESS.is_dir()
pytestmark = pytest.mark.skipif(not IS_THERE, reason="shared/data is not beside the clone")


@pytest.fixture(scope="module", params=["seed-v6", "v8-small"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return Classifier.load(REPOSITORY / "saved_models", request.param)


def classified(classifier: Classifier, files: list[Path]) -> list[ClipResult]:
    return classifier.classify([(file.name, file.read_bytes()) for file in files])


def ranked(verdict: ClipResult) -> list[tuple[float, str]]:
    assert verdict.probabilities is not None, verdict.error
    return sorted(((share, label) for label, share in verdict.probabilities.items()), reverse=True)


def test_every_original_file_gets_an_outcome(classifier: Classifier) -> None:
    files = sorted(file for file in ORIGINAL.rglob("*") if file.is_file())
    verdicts = classified(classifier, files)
    assert len(files) == len(verdicts) == 40
    assert [verdict.path for verdict in verdicts] == [file.name for file in files]
    assert {verdict.outcome for verdict in verdicts} <= {"classified", "rejected"}
    assert all(verdict.duration_s and verdict.duration_s > 1 for verdict in verdicts)


def test_a_48_khz_original_is_heard_as_its_16_khz_copy(classifier: Classifier) -> None:
    pairs = [
        (original, copy)  # the corpora use the same names
        for corpus in ("ravdess", "banglaser")
        for original in sorted((ORIGINAL / corpus).glob("*.wav"))
        for copy in (ORIGINAL.parent / corpus).glob(f"*/{original.stem}.flac")
    ]
    assert len(pairs) == 37
    originals = classified(classifier, [original for original, _ in pairs])
    verdicts = classified(classifier, [copy for _, copy in pairs])
    for original, copy in zip(originals, verdicts, strict=True):
        (first, label), (second, _) = ranked(copy)[:2]
        if ranked(original)[0][1] == label:
            continue
        print(f"{copy.path}: {label} ({first:.3f}, next {second:.3f}) but from 48 kHz {ranked(original)[0]}")
        assert first - second <= CLEAR


def test_a_stack_gives_every_original_file_an_outcome(api: Api) -> None:
    """48 kHz WAVs with a 4 kB chunk before the data, stereo, 24,414 Hz, 96 kHz, AIFF named .wav."""
    files = sorted(path for path in ORIGINAL.rglob("*") if path.is_file() and path.suffix != ".md")
    document = api.run({"original.zip": zip_files(files)})
    rows = api.rows(document["id"])
    assert len(rows) == len(files)
    assert {row["outcome"] for row in rows} <= ANSWERED, rows
