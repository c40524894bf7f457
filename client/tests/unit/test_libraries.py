"""What takes a library that is not installed says which, before anything is asked of a server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from voxmood import frames
from voxmood.cli import worksheet
from voxmood.client import Client
from voxmood.errors import LibraryMissing

NOWHERE = "http://127.0.0.1:9"
# What a program that only imports the package's documents, as a server does, should not wait for.
UNUSED = {"httpx", "typer", "rich", "pandas", "polars", "pyarrow", "numpy", "matplotlib", "xlsxwriter"}


@pytest.mark.parametrize(
    ("format", "library"),
    [("pandas", "pandas"), ("pandas", "pyarrow"), ("polars", "polars"), ("pyarrow", "pyarrow")],
)
def test_a_frame_names_the_library_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, format: frames.FrameFormat, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with Client(NOWHERE) as client, pytest.raises(LibraryMissing, match=f"takes {library}, which is not"):
        client.results_frame(1, format)


def test_a_workbook_names_the_library_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(LibraryMissing, match="A workbook takes xlsxwriter.*pip install xlsxwriter"):
        worksheet.check()


def test_a_report_names_the_library_that_it_takes() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None; sys.argv = ['voxmood', 'report', '1'];"
        f"sys.argv += ['--server', '{NOWHERE}']; from voxmood.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "A report takes matplotlib, which is not installed." in done.stderr


@pytest.mark.parametrize(
    ("modules", "unused"),
    [
        ("voxmood.documents, voxmood.states, voxmood.errors, voxmood.webhooks", UNUSED),
        (
            "voxmood.client",
            UNUSED - {"httpx", "rich"},
        ),  # httpx brings rich where it is there, for its own command
        ("voxmood.cli.main", {"httpx", "pandas", "numpy", "matplotlib", "xlsxwriter"}),
    ],
)
def test_what_is_not_used_is_not_imported(modules: str, unused: set[str]) -> None:
    program = f"import sys, {modules}; print(sorted({sorted(unused)} & sys.modules.keys()))"
    program = program.replace(f"{sorted(unused)}", f"set({sorted(unused)})")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
