"""Tables of labels as people make them, in an editor or a spreadsheet: CSV in UTF-8 with a line of names."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from voxmood.errors import FileMissing, WrongLabels


@dataclass(frozen=True, slots=True)
class LabelTable:
    """What a file of labels holds.

    Attributes:
        columns: their names.
        lines: the number of each line in the file, for sentences about it, and its cells by the names of the
            columns. A cell that the line lacks is empty; blanks around one are kept.
    """

    columns: tuple[str, ...]
    lines: list[tuple[int, dict[str, str]]]


def read_label_table(file: Path) -> LabelTable:
    """Read a file of labels, whatever its columns.

    Raises:
        FileMissing: there is none.
        WrongLabels: it is no CSV file in UTF-8.
    """
    try:
        # utf-8-sig, since Excel writes a mark first.
        with file.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            # Where the comma is the decimal sign, spreadsheets write this.
            reader = csv.DictReader(text, delimiter=";" if ";" in first and "," not in first else ",")
            columns = tuple(reader.fieldnames or ())
            lines = [(reader.line_num, {name: row[name] or "" for name in columns}) for row in reader]
    except FileNotFoundError as error:
        raise FileMissing(path=file) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongLabels(file=file, line=1, reason=f"not a CSV file in UTF-8 ({error})") from error
    return LabelTable(columns, lines)
