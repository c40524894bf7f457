"""Labelled recordings: by RAVDESS' names or by a table, with sentences that name the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.audio.features import features, fixed_length
from shared.audio.spec import BASELINE_V6
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.errors.models import ForeignNames, NoRecordings, UnknownEmotion, UnknownSpeaker, WrongLabels
from shared.core.settings import Settings
from shared.limits import decode_limits
from shared.models.data.audio_data import load_audio_data
from shared.models.data.datasets import Dataset, Example, fingerprint, read_dataset

LIMITS = decode_limits(Settings())


def place(folder: Path, *paths: str) -> Path:
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode())
    return folder


def test_ravdess_names_give_emotion_and_speaker(tmp_path: Path) -> None:
    folder = place(
        tmp_path,
        "Actor_02/03-02-06-01-01-01-02.wav",
        "Actor_01/03-01-01-01-01-01-01.flac",
        "Actor_01/._03-01-01-01-01-01-01.flac",
        "Actor_01/notes.txt",
        "Actor_01/03-01-08-01-01-01-01.txt",
    )
    dataset = read_dataset(folder)
    assert dataset.examples == (
        Example("Actor_01/03-01-01-01-01-01-01.flac", "neutral", "01"),
        Example("Actor_02/03-02-06-01-01-01-02.wav", "fearful", "02"),
    )
    assert dataset.licence == "CC BY-NC-SA 4.0"
    assert "10.1371/journal.pone.0196391" in dataset.credit


def test_a_recording_that_lies_there_twice_is_taken_once(tmp_path: Path) -> None:
    folder = place(tmp_path, "Actor_01/03-01-01-01-01-01-01.wav", "again/Actor_01/03-01-01-01-01-01-01.wav")
    assert [example.path for example in read_dataset(folder).examples] == [
        "Actor_01/03-01-01-01-01-01-01.wav"
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [("03-01-01-01-01-01-29.wav", "no actor 29"), ("03-01-09-01-01-01-02.wav", "no emotion 09")],
)
def test_names_that_only_look_like_ravdess_are_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ForeignNames, match=words):
        read_dataset(place(tmp_path, name))


def test_a_table_at_the_root_wins_over_the_names(tmp_path: Path) -> None:
    folder = place(tmp_path, "03-01-01-01-01-01-29.wav", "b/zwei.flac")
    (folder / "labels.csv").write_text(
        "\ufeffspeaker,path,emotion,note\nanna,03-01-01-01-01-01-29.wav,happy,x\nbert,b/zwei.flac, sad ,\n",
        encoding="utf-8",
    )
    assert read_dataset(folder).examples == (
        Example("03-01-01-01-01-01-29.wav", "happy", "anna"),
        Example("b/zwei.flac", "sad", "bert"),
    )


def test_a_table_of_a_spreadsheet_whose_decimal_sign_is_the_comma_is_read(tmp_path: Path) -> None:
    folder = place(tmp_path, "a.wav")
    (folder / "labels.csv").write_text("path;emotion;speaker\r\na.wav;sad;anna\r\n", encoding="utf-8-sig")
    assert read_dataset(folder).examples == (Example("a.wav", "sad", "anna"),)


def test_a_table_from_elsewhere_wins_over_the_one_at_the_root(tmp_path: Path) -> None:
    folder = place(tmp_path / "data", "a.wav")
    (folder / "labels.csv").write_text("path,emotion,speaker\na.wav,happy,anna\n")
    other = tmp_path / "other.csv"
    other.write_text("path,emotion,speaker\na.wav,calm,anna\n")
    assert read_dataset(folder, other).emotions() == ["calm"]


@pytest.mark.parametrize(
    ("table", "line", "words"),
    [
        ("path,emotion\na.wav,happy\n", 1, "the column speaker is missing"),
        ("", 1, "the column path is missing"),
        ("path,emotion,speaker\na.wav,happy,anna\nc.wav,sad,anna\n", 3, "there is no file c.wav"),
        ("path,emotion,speaker\na.wav,,anna\n", 2, "emotion is empty"),
        ("path,emotion,speaker\na.wav,happy\n", 2, "speaker is empty"),
        ("path,emotion,speaker\na.wav,happy,anna\na.wav,sad,anna\n", 3, "has a label already"),
        ("path,emotion,speaker\n../a.wav,happy,anna\n", 2, "leads out of"),
        ("path,emotion,speaker\n/etc/hostname,happy,anna\n", 2, "leads out of"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, table: str, line: int, words: str) -> None:
    folder = place(tmp_path, "a.wav")
    (folder / "labels.csv").write_text(table)
    with pytest.raises(WrongLabels, match=f"labels.csv, line {line}: .*{words}"):
        read_dataset(folder)


def test_a_table_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"path,emotion,speaker\n\xff\xfe\x00,a,b\n")
    with pytest.raises(WrongLabels, match="not a CSV file in UTF-8"):
        read_dataset(tmp_path)
    with pytest.raises(WrongLabels, match="does not exist"):
        read_dataset(tmp_path, tmp_path / "other.csv")


def test_a_folder_without_labelled_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoRecordings, match=str(tmp_path)):
        read_dataset(place(tmp_path, "song.wav"))
    with pytest.raises(NoRecordings, match="nowhere"):
        read_dataset(tmp_path / "nowhere")


def test_unknown_emotions_and_speakers_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    dataset = read_dataset(place(tmp_path, "03-01-01-01-01-01-01.wav", "03-01-03-01-01-01-02.wav"))
    dataset.check_emotions(["happy"])
    dataset.check_speakers(["01"])
    with pytest.raises(UnknownEmotion, match="bored is no emotion .* Available: happy, neutral"):
        dataset.check_emotions(["happy", "bored"])
    with pytest.raises(UnknownSpeaker, match="25 is no speaker .* Available: 01, 02"):
        dataset.check_speakers(["25"])


def test_the_fingerprint_follows_content_and_labels_and_nothing_else(tmp_path: Path) -> None:
    examples = [Example("a.wav", "happy", "anna"), Example("b.wav", "sad", "anna")]
    here, there = place(tmp_path / "here", "a.wav", "b.wav"), place(tmp_path / "there", "a.wav", "b.wav")
    first = fingerprint(Dataset(here, ()), examples)
    assert first == fingerprint(Dataset(there, ()), examples[::-1])
    assert first != fingerprint(Dataset(here, ()), examples[:1])
    assert first != fingerprint(Dataset(here, ()), [examples[0], Example("b.wav", "calm", "anna")])
    assert first != fingerprint(Dataset(here, ()), [examples[0], Example("b.wav", "sad", "bert")])
    (there / "b.wav").write_bytes(b"changed")
    assert first != fingerprint(Dataset(there, ()), examples)


def test_recordings_that_cannot_be_read_are_left_out_with_their_sentence(tmp_path: Path) -> None:
    voices = {f"{seed}.wav": speech_like("happy", duration_s=1.0, seed=seed) for seed in range(40)}
    for name, samples in voices.items():
        (tmp_path / name).write_bytes(wav_bytes(samples, 16000, "FLOAT"))
    (tmp_path / "silent.wav").write_bytes(wav_bytes(np.zeros(16000), 16000))
    (tmp_path / "text.wav").write_text("no recording")
    names = ["text.wav", *voices, "silent.wav"]
    course: list[tuple[str, int, int]] = []
    examples = [Example(name, "happy", "anna") for name in names]
    data = load_audio_data(
        Dataset(tmp_path, ()), examples, BASELINE_V6, LIMITS, lambda *where: course.append(where)
    )
    assert [example.path for example in data.examples] == list(voices)
    expected = features(
        np.stack([fixed_length(samples, BASELINE_V6) for samples in voices.values()]), BASELINE_V6
    )
    assert np.array_equal(data.features, expected)
    assert [sentence.split(" is ")[0] for sentence in data.left_out] == ["text.wav", "silent.wav"]
    assert "all but silent" in data.left_out[1]
    assert [done for _stage, done, _total in course] == sorted({done for _stage, done, _total in course})
    assert course[-1] == ("features", len(names), len(names))


def test_copies_are_as_life_makes_recordings_and_the_same_in_every_training(tmp_path: Path) -> None:
    voice = speech_like("happy", duration_s=1.0, seed=1)
    names = ["a.wav", "b.wav"]
    for name in names:
        (tmp_path / name).write_bytes(wav_bytes(voice, 16000, "FLOAT"))
    examples = [Example(name, "happy", "anna") for name in names]
    once, alone = (
        load_audio_data(Dataset(tmp_path, ()), some, BASELINE_V6, LIMITS, n_copies=3)
        for some in (examples, examples[1:])
    )
    assert once.copies.shape == (3, 2, *BASELINE_V6.shape)
    assert np.array_equal(once.copies[:, 1], alone.copies[:, 0]), "whoever is beside it"
    different = [once.features[0].astype(np.float16), *once.copies[:, 0], *once.copies[:, 1]]
    assert len({copy.tobytes() for copy in different}) == 7
