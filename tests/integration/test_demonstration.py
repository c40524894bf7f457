"""The demonstration archive under the version that ships: each outcome, each kind of failure."""

import zipfile
from io import BytesIO

from shared.audio.synthesis import LITTER, demonstration_archive
from shared.emotion.classifier import Classifier
from shared.settings import REPOSITORY


def test_the_demonstration_archive_shows_each_outcome_and_each_kind_of_failure():
    file = BytesIO()
    demonstration_archive(file)
    archive = zipfile.ZipFile(file)
    clips = [(name, archive.read(name)) for name in archive.namelist() if name not in LITTER]
    verdicts = Classifier.load(REPOSITORY / "saved_models", "seed-v6").classify(clips)
    assert {verdict.outcome for verdict in verdicts} == {"classified", "rejected", "no_voice", "failed"}
    assert {verdict.error_code for verdict in verdicts} == {
        None, "not_audio", "empty", "too_short", "not_finite",
    }  # fmt: skip
    assert all(verdict.path.startswith("odd/") for verdict in verdicts if verdict.outcome == "failed")
