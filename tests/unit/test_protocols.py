"""The tables of all protocols: made from reports, and in docs/figures.md and README.md as they are made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.protocols import REPORTS, Reports, read_reports, short, tables
from shared.core.settings import REPOSITORY


@pytest.fixture(scope="module")
def reports() -> Reports:
    return read_reports()


def test_the_docs_show_what_the_reports_say(reports: Reports) -> None:
    for file, shown in (("docs/figures.md", tables(reports)), ("README.md", short(reports))):
        text = (REPOSITORY / file).read_text()
        assert [line for line in shown if line not in text] == []


def test_another_figure_in_a_report_is_another_figure_in_the_tables(tmp_path: Path) -> None:
    for file in REPORTS.glob("*/report.json"):
        copy = tmp_path / file.parent.name
        copy.mkdir()
        shutil.copy(file, copy)
    before = tables(read_reports(tmp_path))
    one = tmp_path / "speaker-v7" / "report.json"
    document = json.loads(one.read_text())
    document["results"]["chosen inside training"]["all"]["pooled"]["accuracy"] = 0.1234
    one.write_text(json.dumps(document))
    after = tables(read_reports(tmp_path))
    (changed,) = [line for line, old in zip(after, before, strict=True) if line != old]
    assert "0.123" in changed
