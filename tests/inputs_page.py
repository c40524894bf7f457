"""Writes the tables of `tests.inputs` into docs/inputs.md: `python -m tests.inputs_page`."""

from __future__ import annotations

from collections.abc import Iterator

from shared.core.settings import REPOSITORY, Settings
from tests.inputs.recordings import LINKS, MEMBERS, RECORDINGS
from tests.inputs.uploads import UPLOADS

PAGE = REPOSITORY / "docs" / "inputs.md"
BEGIN, END = "<!-- table: {name} -->", "<!-- end of table -->"
LIMITS = [
    f"max_{what}"
    for what in ("upload_bytes", "members", "directory_bytes", "unpacked_bytes", "unpack_ratio", "unpack_s",
                 "window_bytes", "clip_bytes", "sampling_rate", "channels", "windows")
]  # fmt: skip


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\u202e", "<U+202E>")


def recordings_table() -> Iterator[str]:
    yield "| recording | outcome | code | sentence |"
    yield "|---|---|---|---|"
    for path, row in {**RECORDINGS, **MEMBERS, **LINKS}.items():
        outcome = row.outcome or "an emotion, or `rejected`"
        yield f"| {path} | {outcome} | {_cell(row.code)} | {_cell(row.sentence)} |"


def uploads_table() -> Iterator[str]:
    yield "| upload | state | code | sentence | its rows |"
    yield "|---|---|---|---|---|"
    for name, row in UPLOADS.items():
        rows = ", ".join(_cell(path) + (f": `{code}`" if code else "") for path, code in row.rows.items())
        yield f"| {name} | {row.state} | {_cell(row.code)} | {_cell(row.sentence)} | {rows} |"


def limits_table() -> Iterator[str]:
    yield "| setting | unless set | what it is |"
    yield "|---|---|---|"
    for name in LIMITS:
        field = Settings.model_fields[name]
        yield f"| `VOXMOOD_{name.upper()}` | {field.default:,} | {field.description} |"


def page(text: str) -> str:
    """The page with its tables as they are here."""
    tables = {"recordings": recordings_table, "uploads": uploads_table, "limits": limits_table}
    for name, table in tables.items():
        before, _, rest = text.partition(BEGIN.format(name=name))
        _, _, after = rest.partition(END)
        lines = "\n".join(table())
        text = f"{before}{BEGIN.format(name=name)}\n{lines}\n{END}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
