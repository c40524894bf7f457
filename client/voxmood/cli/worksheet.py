"""Result rows as an Excel workbook, written as they come: one row is held in memory.

Made here and not by the API, since a workbook is a zip that is written at its end: a server could send none
of it before it had all, and would have to keep it on its disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voxmood.errors import CannotWrite, LibraryMissing, TooManyRows

MOST_ROWS = 2**20 - 1  # of a worksheet, below its header
MOST_CHARACTERS = 2**15 - 1  # of a cell, as UTF-16 counts them
PATH_WIDTH, USUAL_WIDTH = 48, 12  # of columns, in digits
OPTIONS = {
    "constant_memory": True,
    # A path may be anything; here it is a text, whatever it begins with.
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def check() -> None:
    """LibraryMissing where XlsxWriter is not installed: to be asked before the work."""
    if find_spec("xlsxwriter") is None:
        raise LibraryMissing(what="A workbook", library="xlsxwriter")


def write_rows(file: Path, sheet: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a workbook of one sheet; how many texts were too long for a cell, and are cut.

    Raises:
        LibraryMissing: XlsxWriter is not installed.
        TooManyRows: there were more than a worksheet holds.
        CannotWrite: the disk for temporary files, or that of the file, does not take it.
    """
    check()
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import XlsxWriterException

    book = Workbook(str(file), OPTIONS)
    book.use_zip64()  # only where it has to be
    page = book.add_worksheet(sheet)
    page.freeze_panes(1, 0)
    page.set_column(0, 0, PATH_WIDTH)
    page.set_column(1, len(columns) - 1, USUAL_WIDTH)
    for place, name in enumerate(columns):
        page.write_string(0, place, name, book.add_format({"bold": True}))
    cut = 0
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise TooManyRows(most=MOST_ROWS)
        for place, name in enumerate(columns):
            value = row[name]
            if isinstance(value, str):
                text = _fitting(value)
                cut += text != value
                page.write_string(number, place, text)
            elif value is not None:
                page.write_number(number, place, value)
    try:
        book.close()
    except XlsxWriterException as error:
        reason = error.args[0] if error.args else error
        raise CannotWrite(path=file, reason=getattr(reason, "strerror", None) or reason) from error
    return cut


def _fitting(text: str) -> str:
    """As much as a cell holds, with … where it breaks off."""
    if len(text) * 2 <= MOST_CHARACTERS or len(text.encode("utf-16-le")) // 2 <= MOST_CHARACTERS:
        return text
    units = text.encode("utf-16-le")[: 2 * (MOST_CHARACTERS - 1)]
    return units.decode("utf-16-le", errors="ignore") + "…"
