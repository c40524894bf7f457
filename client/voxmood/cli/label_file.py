"""The files of `voxmood label import`: their lines, the clips that these mean, what is refused, by kinds."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxmood.cells import unguarded
from voxmood.documents import ResultRow
from voxmood.errors import UnjudgedExport, WrongLabels
from voxmood.label_tables import read_label_table

OPTIONAL = ("upload", "speaker", "labeller", "clip_id")
# What the exports have and a list of labels has not: beside them `emotion` is a model's guess.
_OF_EXPORTS = ("outcome", "confidence", "model_version")
# Of line numbers, and of what they name, in one sentence.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file; columns that it has not are empty."""

    number: int
    path: str
    emotion: str
    upload: str
    speaker: str
    labeller: str
    clip_id: str


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that is not stored. `about`: what of it is wrong, `code`: the kind of fault."""

    line: int
    code: str
    about: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fault:
    """All lines that are refused for the same kind of reason, which is told of the first."""

    code: str
    lines: list[int]
    reason: str

    @property
    def place(self) -> str:
        """`line 3`, or `lines 3, 7, 9 and 91 more`."""
        return ("line " if len(self.lines) == 1 else "lines ") + enumerated(map(str, self.lines))


def read_lines(file: Path) -> Iterator[Line]:
    """The lines of a file, those without a label too.

    Raises:
        FileMissing: there is none.
        WrongLabels: it is no CSV file in UTF-8, or lacks a column.
        UnjudgedExport: it is an export of results to which nobody has added a label.
    """
    if zipfile.is_zipfile(file):
        reason = "this is a workbook; save it as CSV (in Excel: CSV UTF-8) and import that"
        raise WrongLabels(file=file, line=1, reason=reason)
    table = read_label_table(file)
    judged = _judged_column(file, table.columns)
    for number, cells in table.lines:
        # A path is taken as it is, but for the other columns nobody means the blanks.
        words = {name: cells.get(name, "").strip() for name in OPTIONAL}
        yield Line(number=number, path=cells["path"], emotion=cells[judged].strip(), **words)


def _judged_column(file: Path, names: Sequence[str]) -> str:
    """The column with what people say: `label`, or `emotion` in a file that is no export."""
    if "path" not in names:
        raise WrongLabels(file=file, line=1, reason="the column path is missing")
    if "label" in names:
        return "label"
    guessed = [name for name in names if name in _OF_EXPORTS or name.startswith("p_")]
    if guessed:
        raise UnjudgedExport(file=file, columns=enumerated(guessed))
    if "emotion" not in names:
        raise WrongLabels(file=file, line=1, reason="the column label is missing")
    return "emotion"


def clips_meant(
    lines: Iterable[Line], rows: Mapping[str, Sequence[ResultRow]], job: int
) -> tuple[list[tuple[Line, int]], list[RefusedLine]]:
    """Each line with its clip's id, and those that name none, or more than one; `rows`: by path."""
    meant: list[tuple[Line, int]] = []
    refused: list[RefusedLine] = []
    for line in lines:
        of_path = rows.get(line.path) or rows.get(unguarded(line.path)) or ()
        of_upload = [row for row in of_path if line.upload in ("", row.upload)]
        found = [row for row in of_upload if line.clip_id in ("", str(row.clip_id))]
        if len(found) == 1:
            meant.append((line, found[0].clip_id))
            continue
        uploads = sorted({row.upload for row in found})
        if not found:
            code = "unknown_path"
            where = f"upload {line.upload} of job {job}" if line.upload else f"job {job}"
            reason = f"{line.path} is no path with a result in {where}"
            if of_upload:
                reason = f"{line.path} in {where} is not clip {line.clip_id}"
        elif len(uploads) > 1:
            code = "in_several_uploads"
            reason = f"{line.path} is in {' and in '.join(uploads)}; say which in a column named upload"
        else:
            code = "several_times"
            reason = f"{line.path} is {len(found)} times in {uploads[0]}; say which in a column named clip_id"
        refused.append(RefusedLine(line.number, code, line.path, reason))
    return meant, refused


def faults(refused: Iterable[RefusedLine]) -> list[Fault]:
    """One fault a kind, in the order of their first lines.

    >>> [one] = faults(RefusedLine(n, "unknown_path", f"{n}.wav", f"{n}.wav is no path") for n in range(2, 9))
    >>> f"{one.place}: {one.reason}"
    'lines 2, 3, 4 and 4 more: 2.wav is no path; the same of 3.wav, 4.wav, 5.wav and 3 more'
    """
    kinds: dict[str, list[RefusedLine]] = {}
    for one in sorted(refused, key=lambda one: one.line):
        kinds.setdefault(one.code, []).append(one)
    found = []
    for code, ones in kinds.items():
        others = list(dict.fromkeys(one.about for one in ones if one.about != ones[0].about))
        also = f"; the same of {enumerated(others)}" if others else ""
        found.append(Fault(code, [one.line for one in ones], ones[0].reason + also))
    return found


def enumerated(words: Iterable[str]) -> str:
    """The words as a list in a sentence.

    >>> enumerated("3"), enumerated("37"), enumerated("3795")
    ('3', '3 and 7', '3, 7, 9 and 1 more')
    """
    every = list(words)
    shown = every[:NAMED] + ([f"{len(every) - NAMED:,} more"] if len(every) > NAMED else [])
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)
