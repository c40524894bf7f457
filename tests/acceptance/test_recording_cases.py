"""Recordings as people have them, of two people, through the real stack: each is heard, and to its end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of
from tests.recordings import CASES

FOLDER = CASES / "recordings"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the recordings of cases are not beside the clone"
)
# Seconds, from and to; the emotion, where the file keeps it; where nothing was lost, a file of the same
# sound, of which a version is as sure.
ANGRY, SURE = "angry", "83_wavpack.wv"
RIGHT: dict[str, tuple[float, float, str | None, str | None]] = {
    "20d_g722.wav": (4.0, 4.2, ANGRY, None),
    "20h_g726_32.wav": (4.0, 4.2, None, None),
    "21d_alac.caf": (4.09, 4.11, ANGRY, SURE),
    "22g_two_wavs_joined.wav": (4.09, 4.11, ANGRY, SURE),
    "22h_two_data_chunks.wav": (4.09, 4.11, ANGRY, SURE),
    "40c_mp3_vbr_no_xing.mp3": (4.1, 4.2, ANGRY, None),
    "42_mp3_concatenated.mp3": (7.8, 7.95, None, None),
    "43_mp3_nul_4096_before.mp3": (4.1, 4.25, ANGRY, None),
    "43b_mp3_id3_then_nul_pad.mp3": (4.1, 4.25, ANGRY, None),
    "50_chained_vorbis.ogg": (7.79, 7.82, None, None),
    "51_chained_opus.opus": (7.79, 7.82, None, None),
    "60_webm_opus_mediarecorder_pipe.webm": (4.1, 4.2, ANGRY, None),
    "60d_webm_video.webm": (4.1, 4.2, ANGRY, None),
    "71k_qt_no_ftyp_free_first.mov": (4.09, 4.11, ANGRY, SURE),
    "80b_loas.aac": (4.1, 4.3, ANGRY, None),
    "80c_ts.ts": (4.1, 4.3, ANGRY, None),
    "81_wma.wma": (4.05, 4.2, ANGRY, None),
    "82b_cremad.flv": (4.1, 4.2, ANGRY, None),
    "83_wavpack.wv": (4.09, 4.11, ANGRY, SURE),
    "84_amrnb.amr": (4.05, 4.15, None, None),
    "talk_dtx.amr": (12.8, 12.9, None, None),
}


@pytest.fixture(scope="module")
def rows(api: Api) -> dict[str, dict[str, Any]]:
    document = api.run({"cases.zip": zip_of({name: (FOLDER / name).read_bytes() for name in RIGHT})})
    assert document["state"] == "done"
    return {row["path"]: row for row in api.rows(document["id"])}


@pytest.mark.parametrize("name", RIGHT)
def test_a_recording_of_a_kind_that_people_have_is_heard_to_its_end(rows, name: str) -> None:
    row, (least_s, most_s, emotion, same) = rows[name], RIGHT[name]
    assert (row["error_code"], row["error"]) == (None, None)
    assert least_s <= row["duration_s"] <= most_s
    assert row["outcome"] in ("classified", "rejected")
    if emotion is not None:
        assert (row["outcome"], row["emotion"]) == ("classified", emotion)
    if same is not None:
        assert row["confidence"] == pytest.approx(rows[same]["confidence"], abs=1e-3)
