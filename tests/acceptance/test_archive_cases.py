"""Archives as public bug reports describe them, whole, through the real stack: ../shared/cases/archives."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.settings import REPOSITORY
from tests.acceptance.jobs import Api

CASES = REPOSITORY.parent / "shared" / "cases" / "archives"
SPLIT = "is part of a split archive: join the parts and send the whole"
# Rows by path with what their error says, and what the upload's says; None: nothing.
EXPECTED: dict[str, tuple[dict[str, str | None], str | None]] = {
    "infozip_utf8.zip": ({"a.flac": None, "ü b.flac": None}, None),
    "z03_finder_utf8_nfd_no_flag.zip": ({"Gespra\u0308che/Mu\u0308ller e\u0301.flac": None}, None),
    "z01_powershell_backslash.zip": (
        {"interviews\\day one\\a.flac": None, "interviews\\day one\\b.flac": None}, None
    ),
    "z06_symlink.zip": ({"real.flac": None, "link.flac": "as a symbolic link to real.flac"}, None),
    "z10_Deflate64.zip": ({"noise.wav": None, "real.flac": None}, None),
    "z12_zstd_93.zip": ({"a.wav": None}, None),
    "z12b_xz_95.zip": ({"a.wav": None}, None),
    "z08_sfx_offsets_adjusted.exe": ({"a.flac": None, "b.flac": None}, None),
    "z08c_http_junk_before.zip": ({"a.flac": None, "b.flac": None}, None),
    "z09_parts.z01": ({}, SPLIT),
    "z09_parts.zip": ({}, SPLIT),
    "c03_nested.zip": (
        {"inner/Audio_Speech_Actors_01-24.zip": "send it as an upload of its own",
         "inner/x.7z": "a 7z archive, which is not accepted; unpack it",
         "single.wav.gz": "a gzip file without a tar archive in it, which is not accepted; unpack it",
         "a.flac": None, "lib.jar": "is itself an archive", "doc.docx": "is itself an archive",
         "empty.flac": "empty.flac"}, None,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ended(api: Api) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Document and rows of a job for each archive."""
    if not CASES.is_dir():
        pytest.skip(f"no archives in {CASES}")
    found = {}
    for name in EXPECTED:
        document = api.run({name: (CASES / name).read_bytes()})
        found[name] = (document["uploads"][0], api.rows(document["id"]))
    return found


@pytest.mark.parametrize("name", EXPECTED)
def test_each_archive_gives_what_is_right(ended: Any, name: str) -> None:
    rows, sentence = EXPECTED[name]
    upload, found = ended[name]
    assert [row["path"] for row in found] == list(rows)
    for row in found:
        expected = rows[row["path"]]
        assert (row["error"] is None) if expected is None else (expected in row["error"]), row
    assert (upload["error"] is None) if sentence is None else (sentence in upload["error"])


def test_a_windows_zip_from_japan_is_read_with_its_encoding_and_says_so_without(api: Api) -> None:
    archive = CASES / "z02_shift_jis.zip"
    if not archive.is_file():
        pytest.skip(f"no archives in {CASES}")
    unsaid = api.run({archive.name: archive.read_bytes()})
    assert "voxmood submit --encoding cp932" in unsaid["uploads"][0]["error"]
    assert unsaid["state"] == "done"
    said = api.run({archive.name: archive.read_bytes()}, encoding="cp932")
    assert said["uploads"][0]["error"] is None
    assert [row["path"] for row in api.rows(said["id"])] == ["録音/怒り ソ.flac", "録音/喜び.flac"]


def test_lzma_alone_is_read(api: Api) -> None:
    archive = CASES / "t_lzma_alone.tar.lzma"
    if not archive.is_file():
        pytest.skip(f"no archives in {CASES}")
    document = api.run({archive.name: archive.read_bytes()})
    assert (document["uploads"][0]["error"], document["counts"]["clips"]) == (None, 3)
