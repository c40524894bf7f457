"""Workbooks: a text stays one, whatever it begins with; as many rows as Excel takes; little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from voxmood.cli import worksheet
from voxmood.errors import CannotWrite, TooManyRows
from workbooks import cells_of, rows_of_workbook

NAMES = [
    '=HYPERLINK("http://elsewhere")', "+49 30.wav", "-1.wav", "@sum.wav", "http://elsewhere/a.wav", "{=1+1}",
    "süd/ост/東.wav", "12", " two  blanks ", "tab\tline\nend", "\x01", "_x0041_.wav", "<&>", "😀.wav", "",
]  # fmt: skip


def row(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "outcome": "rejected", "confidence": 0.1, "emotion": None, "clip_id": 2**31} | more


COLUMNS = list(row(""))


def test_every_name_stays_a_text_and_numbers_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "out.xlsx"
    assert worksheet.write_rows(file, "results", COLUMNS, map(row, NAMES)) == 0
    rows = rows_of_workbook(file)
    assert [one["path"] or "" for one in rows] == NAMES
    assert {(one["confidence"], one["clip_id"], one["emotion"]) for one in rows} == {(0.1, 2.0**31, None)}
    assert list(rows[0]) == COLUMNS


def test_a_workbook_without_rows_has_its_header(tmp_path: Path) -> None:
    worksheet.write_rows(tmp_path / "out.xlsx", "results", COLUMNS, ())
    assert [list(one.values()) for one in cells_of(tmp_path / "out.xlsx")] == [COLUMNS]


@pytest.mark.parametrize("letter", ["a", "😀"])
def test_a_text_that_no_cell_holds_is_cut_and_counted(tmp_path: Path, letter: str) -> None:
    file = tmp_path / "out.xlsx"
    assert worksheet.write_rows(file, "results", COLUMNS, [row(letter * 40_000), row("b")]) == 1
    long, short = rows_of_workbook(file)
    assert long["path"].endswith(f"{letter}…")
    assert 32_765 <= len(long["path"].encode("utf-16-le")) // 2 <= 32_767
    assert short["path"] == "b"


def test_more_rows_than_a_worksheet_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worksheet, "MOST_ROWS", 3)
    worksheet.write_rows(tmp_path / "three.xlsx", "results", COLUMNS, map(row, "abc"))
    assert len(rows_of_workbook(tmp_path / "three.xlsx")) == 3
    with pytest.raises(TooManyRows, match=r"more rows than a worksheet of Excel holds \(3\)"):
        worksheet.write_rows(tmp_path / "four.xlsx", "results", COLUMNS, map(row, "abcd"))


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="cannot be written"):
        worksheet.write_rows(tmp_path / "none" / "out.xlsx", "results", COLUMNS, [row("a")])


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        worksheet.write_rows(
            tmp_path / "out.xlsx", "results", COLUMNS, (row(f"{n}.wav") for n in range(count))
        )
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    few, many = peak(500), peak(20_000)
    assert many < few + 2**20
