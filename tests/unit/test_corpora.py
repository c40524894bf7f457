"""Corpora that are read together: their names, their speakers, and what may teach which of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.core.errors.models import ForeignNames, WrongCorpus
from shared.models.data.corpora import JoinedCorpora, read_corpora
from shared.models.data.datasets import Example


def test_corpora_are_read_by_their_names_and_keep_speakers_apart(tmp_path: Path) -> None:
    for name in ("ravdess", "banglaser"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "03-01-03-01-01-01-02.wav").write_bytes(name.encode())
    read = read_corpora([f"{name}={tmp_path / name}" for name in ("ravdess", "banglaser")])
    joined = JoinedCorpora(read)
    assert joined.examples == (
        Example("ravdess/03-01-03-01-01-01-02.wav", "happy", "ravdess/02", "ravdess"),
        Example("banglaser/03-01-03-01-01-01-02.wav", "angry", "banglaser/02", "banglaser"),
    )
    assert [example.corpus for example in joined.examples] == ["ravdess", "banglaser"]
    with joined.open(joined.examples[1]) as file:
        assert file.read() == b"banglaser"
    assert joined.sha256(joined.examples[0]) != joined.sha256(joined.examples[1])
    assert joined.licence == "CC BY-NC-SA 4.0; CC BY 4.0"
    assert "BanglaSER" in joined.credit
    for wrong in (["ravdess"], ["=x"], ["a/b=x"], [f"ravdess={tmp_path / 'ravdess'}"] * 2):
        with pytest.raises(WrongCorpus):
            read_corpora(wrong)
    (tmp_path / "banglaser" / "03-01-06-01-01-01-02.wav").write_bytes(b"")
    with pytest.raises(ForeignNames, match="BanglaSER has no emotion 06"):
        read_corpora([f"banglaser={tmp_path / 'banglaser'}"])
