"""Files of labels: what is taken for a person's word, and how faults are told."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

import pytest

from builders import row
from voxmood.cli.label_file import Line, clips_meant, faults, read_lines
from voxmood.cli.worksheet import write_rows
from voxmood.errors import NoLabelInFile, UnjudgedExport, VoxmoodError, WrongLabels

EXPORT = "path,outcome,emotion,confidence,threshold,model_version,upload,clip_id,p_calm\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def line(number: int, path: str, upload: str = "", clip_id: str = "") -> Line:
    return Line(number, path, "sad", upload, "", "", clip_id)


@pytest.mark.parametrize("column", ["outcome", "confidence", "model_version", "p_calm"])
def test_an_export_that_nobody_has_edited_is_no_list_of_labels(table: Path, column: str) -> None:
    table.write_text(f"path,emotion,{column}\na.wav,happy,x\n")
    with pytest.raises(UnjudgedExport, match=f"an export of results .{column}.*column named label"):
        list(read_lines(table))


def test_of_an_export_with_a_column_label_that_column_alone_counts(table: Path) -> None:
    table.write_text(EXPORT.replace("p_calm", "p_calm,label")
                     + "a.wav,classified,happy,0.9,0.8,v7,t.zip,17,0.1, sad \n"
                       "b.wav,classified,happy,0.9,0.8,v7,t.zip,18,0.1,\n")  # fmt: skip
    found = [(one.path, one.emotion, one.upload, one.clip_id) for one in read_lines(table)]
    assert found == [("a.wav", "sad", "t.zip", "17"), ("b.wav", "", "t.zip", "18")]


@pytest.mark.parametrize(
    ("text", "words"),
    [("file,label\n", "the column path is missing"), ("path,mood\n", "the column label is missing")],
)
def test_a_missing_column_is_named(table: Path, text: str, words: str) -> None:
    table.write_text(text)
    with pytest.raises(WrongLabels, match=words):
        list(read_lines(table))


def test_spreadsheets_marks_and_semicolons_are_understood(table: Path) -> None:
    table.write_text("path;label;labeller\nä b.wav;sad;anna\n", encoding="utf-8-sig")
    (one,) = read_lines(table)
    assert (one.path, one.emotion, one.labeller) == ("ä b.wav", "sad", "anna")


def test_lines_find_their_clip_by_path_upload_and_clip_id() -> None:
    rows = {
        "a.wav": [row(upload="1.zip", clip_id=1), row(upload="2.zip", clip_id=2)],
        "b.wav": [row(upload="1.zip", clip_id=3), row(upload="1.zip", clip_id=4)],
        "=c.wav": [row(upload="1.zip", clip_id=5)],
    }
    lines = [line(2, "a.wav", "2.zip"), line(3, "b.wav", "", "4"), line(4, "'=c.wav"), line(5, "a.wav"),
             line(6, "b.wav"), line(7, "d.wav"), line(8, "a.wav", "3.zip"),
             line(9, "a.wav", "1.zip", "2")]  # fmt: skip
    meant, refused = clips_meant(lines, rows, 12)
    assert [(one.number, clip_id) for one, clip_id in meant] == [(2, 2), (3, 4), (4, 5)]
    assert [(one.line, one.reason) for one in refused] == [
        (5, "a.wav is in 1.zip and in 2.zip; say which in a column named upload"),
        (6, "b.wav is 2 times in 1.zip; say which in a column named clip_id"),
        (7, "d.wav is no path with a result in job 12"),
        (8, "a.wav is no path with a result in upload 3.zip of job 12"),
        (9, "a.wav in upload 1.zip of job 12 is not clip 2"),
    ]


def test_a_hundred_faults_of_a_kind_are_one_sentence() -> None:
    lines = [line(number, f"{number}.wav") for number in (3, 7, 9, *range(20, 111))]
    _, refused = clips_meant(lines, {}, 12)
    (one,) = faults(reversed(refused))
    assert one.place == "lines 3, 7, 9 and 91 more"
    assert one.reason == (
        "3.wav is no path with a result in job 12; the same of 7.wav, 9.wav, 20.wav and 90 more"
    )
    assert one.lines == [one.number for one in lines]


def test_errors_of_files_are_sentences() -> None:
    assert all(issubclass(one, VoxmoodError) for one in (NoLabelInFile, UnjudgedExport, WrongLabels))
    assert "no label in any of its lines" in str(NoLabelInFile(file="x.csv"))


def test_a_workbook_is_named_and_what_excel_saves_as_csv_is_read(table: Path, tmp_path: Path) -> None:
    book = tmp_path / "labels.xlsx"
    write_rows(book, "results", ["path", "label"], [{"path": "a.wav", "label": "sad"}])
    with pytest.raises(WrongLabels, match="this is a workbook; save it as CSV"):
        list(read_lines(book))
    table.write_bytes(BOM_UTF8 + "path;label\r\nsüd/a.wav;sad\r\n".encode())
    assert [(one.path, one.emotion) for one in read_lines(table)] == [("süd/a.wav", "sad")]
