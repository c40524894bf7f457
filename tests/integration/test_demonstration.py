"""The demonstration archive under versions that ship: each outcome, each kind of failure."""

import zipfile
from io import BytesIO

import pytest

from shared.audio.synthesis import LITTER, demonstration_archive
from shared.emotion.classifier import Classifier
from shared.settings import REPOSITORY


@pytest.mark.parametrize(
    ("version", "outcomes"),
    # Synthesised voices are of no emotion: v7 has learnt that, the seed's network has not.
    [
        ("seed-v6", {"classified", "rejected", "no_voice", "failed"}),
        ("v7", {"rejected", "no_voice", "failed"}),
    ],
)
def test_the_demonstration_archive_shows_outcomes_and_each_kind_of_failure(
    version: str, outcomes: set[str]
) -> None:
    file = BytesIO()
    demonstration_archive(file)
    archive = zipfile.ZipFile(file)
    clips = [(name, archive.read(name)) for name in archive.namelist() if name not in LITTER]
    verdicts = Classifier.load(REPOSITORY / "saved_models", version).classify(clips)
    assert {verdict.outcome for verdict in verdicts} == outcomes
    assert {verdict.error_code for verdict in verdicts} == {
        None, "not_audio", "not_a_recording", "empty", "too_short", "not_finite",
    }  # fmt: skip
    assert all(verdict.path.startswith("odd/") for verdict in verdicts if verdict.outcome == "failed")
