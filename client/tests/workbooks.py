"""Workbooks read back as Excel reads them: cells by their references, texts with their escapes undone."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_NAMES = {"x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def cells_of(file: Path) -> list[dict[str, Any]]:
    """The rows of the first sheet: letters of a column to what is in the cell, numbers as float."""
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        sheet = ElementTree.fromstring(packed.read("xl/worksheets/sheet1.xml"))
    assert sheet.find(".//x:f", _NAMES) is None, "a formula"
    assert sheet.find(".//x:hyperlink", _NAMES) is None, "a link"
    return [
        {re.sub(r"\d", "", cell.attrib["r"]): _value(cell) for cell in row.iterfind("x:c", _NAMES)}
        for row in sheet.iterfind(".//x:row", _NAMES)
    ]


def _value(cell: ElementTree.Element) -> Any:
    if cell.attrib.get("t") == "inlineStr":
        text = "".join(cell.itertext())
        return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
    number = cell.findtext("x:v", namespaces=_NAMES)
    return None if number is None else float(number)


def rows_of_workbook(file: Path) -> list[dict[str, Any]]:
    """The rows by the names in the first of them; an empty cell is None."""
    header, *rows = cells_of(file)
    return [{name: row.get(column) for column, name in header.items()} for row in rows]
