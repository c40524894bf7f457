"""Each kind of odd input gets its own row, code and sentence, and harms nothing beside it."""

from __future__ import annotations

import numpy as np
import pytest

from shared.audio.synthesis import flac_bytes, speech_like, wav_bytes
from tests.acceptance.jobs import Api
from tests.archive_builders import encrypted_zip, tar_of, zip_of

RATE = 16_000
VOICE = speech_like("happy", RATE, 2.0, seed=1)
STEREO = np.stack([VOICE, VOICE], axis=1)
NOT_FINITE = np.where(np.arange(RATE) == 8_000, np.nan, 0.1).astype(np.float32)

# path: content, outcome (None: depends on the model), code, what the sentence says besides the path
CLIPS: dict[str, tuple[bytes, str | None, str | None, str]] = {
    "good/16k.wav": (wav_bytes(VOICE, RATE), None, None, ""),
    "good/stereo 24 bit.wav": (wav_bytes(STEREO, RATE, "PCM_24"), None, None, ""),
    "good/float.wav": (wav_bytes(VOICE, RATE, "FLOAT"), None, None, ""),
    "good/flac named wav.wav": (flac_bytes(VOICE, RATE), None, None, ""),
    "good/8k.wav": (wav_bytes(speech_like("sad", 8_000, 1.5, seed=2), 8_000), None, None, ""),
    "good/quiet.wav": (wav_bytes(VOICE / np.abs(VOICE).max() * 0.006, RATE), None, None, ""),
    "odd/silent.wav": (wav_bytes(np.zeros(RATE), RATE), "no_voice", None, "no voice"),
    "odd/almost silent.wav": (wav_bytes(VOICE * 1e-5, RATE, "FLOAT"), "no_voice", None, "no voice"),
    "odd/empty.wav": (wav_bytes(np.zeros(0), RATE), "failed", "empty", "holds no samples"),
    "odd/no bytes.wav": (b"", "failed", "not_audio", ""),
    "odd/short.wav": (wav_bytes(VOICE[:1_000], RATE), "failed", "too_short", "lasts 0.06"),
    "odd/nan.wav": (wav_bytes(NOT_FINITE, RATE, "FLOAT"), "failed", "not_finite", "at 0.500 s"),
    "odd/text.wav": (b"These are words, not samples.", "failed", "not_audio", "is not readable audio"),
    "odd/notes.txt": (b"Recorded on a Tuesday.", "failed", "not_audio", "is not readable audio"),
    "odd/in.zip": (zip_of({"a.wav": b"a"}), "failed", "nested_archive", "is itself an archive"),
    "odd/half.wav": (wav_bytes(VOICE, RATE)[:20], "failed", "not_audio", "is not readable audio"),
}  # fmt: skip


@pytest.fixture(scope="module", params=["zip", "tar", "tar.gz"])
def rows(request: pytest.FixtureRequest, api: Api) -> dict[str, dict[str, object]]:
    """The rows of one job with all these clips, by path."""
    members = {path: content for path, (content, *_) in CLIPS.items()}
    pack = {"zip": zip_of, "tar": tar_of, "tar.gz": lambda these: tar_of(these, "w:gz")}[request.param]
    document = api.run({f"odd.{request.param}": pack(members)})
    assert document["state"] == "done"
    found = api.rows(document["id"])
    assert [row["path"] for row in found] == list(CLIPS)
    assert document["counts"]["done"] == document["counts"]["clips"] == len(CLIPS)
    return {row["path"]: row for row in found}


def test_every_clip_has_the_outcome_code_and_sentence_of_its_kind(rows) -> None:
    for path, (_, outcome, code, words) in CLIPS.items():
        row = rows[path]
        if outcome is None:
            assert row["outcome"] in ("classified", "rejected"), row
            assert 0 < row["confidence"] <= 1
            assert (row["emotion"] is not None) == (row["outcome"] == "classified")
            continue
        assert (row["outcome"], row["error_code"]) == (outcome, code), row
        assert words in row["message"]
        assert outcome != "failed" or row["error"].startswith(path), row


def test_an_encrypted_member_fails_alone(api: Api) -> None:
    archive = encrypted_zip(
        {"secret.wav": wav_bytes(VOICE, RATE), "open.wav": wav_bytes(VOICE, RATE)}, "secret.wav"
    )
    document = api.run({"mixed.zip": archive})
    assert [(row["path"], row["error_code"]) for row in api.rows(document["id"])] == [
        ("secret.wav", "encrypted"), ("open.wav", None),
    ]  # fmt: skip


def test_of_a_truncated_zip_what_can_be_read_is_kept_and_the_rest_reported(api: Api) -> None:
    voices = {f"{n}.wav": wav_bytes(speech_like("angry", RATE, 1.0, seed=n), RATE) for n in range(4)}
    archive = zip_of(voices, 0)
    document = api.run({"cut.zip": archive[: len(archive) * 5 // 8]})
    assert document["state"] == "done"
    assert document["uploads"][0]["error_code"] == "damaged_archive"
    assert "cut.zip is damaged" in document["uploads"][0]["error"]
    rows = api.rows(document["id"])
    assert [row["outcome"] == "failed" for row in rows] == [False, False, True]
    assert rows[2]["error_code"] == "damaged_member"


def test_an_empty_archive_ends_its_job_as_failed_and_says_why(api: Api) -> None:
    document = api.run({"empty.zip": zip_of({})})
    assert document["state"] == "failed"
    assert document["uploads"][0]["error"].startswith("empty.zip holds no recordings")
    assert api.rows(document["id"]) == []


def test_litter_of_macos_and_windows_is_no_clip(api: Api) -> None:
    members = {
        "__MACOSX/._a.wav": b"x",
        ".DS_Store": b"x",
        "Thumbs.db": b"x",
        "a.wav": wav_bytes(VOICE, RATE),
    }
    document = api.run({"mac.zip": zip_of(members)})
    assert [row["path"] for row in api.rows(document["id"])] == ["a.wav"]


def test_loose_recordings_are_uploads_of_one_clip(api: Api) -> None:
    document = api.run(
        {"a.wav": wav_bytes(VOICE, RATE), "b.flac": flac_bytes(VOICE, RATE), "c.txt": b"words"}
    )
    rows = api.rows(document["id"])
    assert [(row["path"], row["upload"]) for row in rows] == [
        (name, name) for name in ("a.wav", "b.flac", "c.txt")
    ]
    assert [row["outcome"] == "failed" for row in rows] == [False, False, True]


def test_duplicates_are_computed_once_and_reported_for_every_path(api: Api) -> None:
    voice, broken = wav_bytes(VOICE, RATE), b"no audio at all"
    members = {"a.wav": voice, "b.wav": voice, "c.txt": broken, "d.txt": broken}
    document = api.run({"twins.zip": zip_of(members)})
    rows = {row["path"]: row for row in api.rows(document["id"])}
    assert rows["a.wav"]["confidence"] == rows["b.wav"]["confidence"]
    assert rows["d.txt"]["error"].startswith("d.txt is not readable audio")
    assert document["counts"]["duplicates"] == 2
    assert document["counts"]["done"] == 4
