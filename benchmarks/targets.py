"""What is promised of speed and memory, and how a measurement stands to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Found = Mapping[str, float]
PIPED_COLUMNS = 130  # of what is no terminal, for which rich would take 80 and cut names


@dataclass(frozen=True, slots=True)
class Figure:
    """One promise: its key in what was measured, what it must be, and what it should be; a goal above what
    must be says that more is better. Without a unit it is a ratio, which holds on any machine.
    """

    key: str
    name: str
    must: float
    goal: float
    unit: str = ""

    def misses(self, value: float, slack: float = 1.0) -> str:
        """`must` or `goal`, whichever is the first that the value falls short of; empty when of neither.

        slack: of what must be, the part that is enough; for a noisy machine.
        """
        if self.goal > self.must:
            return "must" if value < slack * self.must else "goal" if value < self.goal else ""
        return "must" if value > self.must / slack else "goal" if value > self.goal else ""

    def text(self, value: float) -> str:
        """Three digits and the unit."""
        number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


CLIP = (
    Figure("seed_against_ours", "the seed's way against ours, its model loaded once", 20, 30),
    Figure("seed_script_against_ours", "the seed's script as it was against ours", 80, 120),
    Figure("ms_a_clip_ours_v8", "a clip by v8, one core", 40, 25, "ms"),
    Figure("ms_a_clip_ours_v8-small", "a clip by v8-small, one core", 6, 4, "ms"),
)
FLOW = (
    Figure("end_to_end_against_floor", "end to end against the floor", 0.75, 0.9),
    Figure("speed_up_against_floor", "1 → 2 workers against the floor's own", 0.85, 0.95),
    Figure("largest_against_smallest", "a job of 100,000 clips against one of 1,000", 0.95, 1.0),
    Figure("one_clip_beside_large_s", "one clip while the largest job runs: its row", 10, 3, "s"),
    Figure("one_clip_alone_ms", "one clip on the idle stack: its row", 300, 100, "ms"),
    Figure("classify_cold_start_s", "`voxmood classify` of one file, cold", 3, 1.5, "s"),
    Figure("worker_mb", "memory of a serving worker", 500, 300, "MB"),
    Figure("api_mb", "memory of the API", 200, 150, "MB"),
)
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
ROWS = tuple(
    figure
    for key, name in DATABASES.items()
    for figure in (
        Figure(f"{key}_status_ms", f"a large job on {name}: status", 50, 20, "ms"),
        Figure(f"{key}_page_ms", f"a large job on {name}: the slowest page", 100, 50, "ms"),
        Figure(f"{key}_export_rows_s", f"a large job on {name}: export", 50_000, 200_000, "rows/s"),
    )
)
PROCESSOR_MS = "processor_ms_"  # and a part's name: what a clip costs it, in a job by two workers
FIGURES = (*CLIP, *FLOW, *ROWS)


def short(found: Found, figures: Sequence[Figure] = FIGURES, slack: float = 1.0) -> Iterator[str]:
    """A sentence for each ratio that falls short of what it must be."""
    for figure in figures:
        if figure.key in found and not figure.unit:
            value = found[figure.key]
            if figure.misses(value, slack) == "must":
                yield f"{figure.name}: {figure.text(value)}, where {slack * figure.must:.3g} must be"


def rows(found: Found, figures: Sequence[Figure]) -> Iterator[list[str]]:
    """Name, value, what must be, what should be, and what is missed, of each figure that was measured."""
    for figure in figures:
        if figure.key in found:
            value = found[figure.key]
            missed = figure.misses(value)
            texts = map(figure.text, (value, figure.must, figure.goal))
            yield [figure.name, *texts, f"misses {missed}" if missed else ""]


def show(found: Found, figures: Sequence[Figure], title: str) -> None:
    """Print these figures, then all else that was measured."""
    table = Table(title=title, box=None)
    table.add_column("", no_wrap=True)
    for heading in ("measured", "must", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows(found, figures):
        table.add_row(*row)
    table.add_section()
    for key in sorted(found.keys() - {figure.key for figure in figures}):
        table.add_row(f"  {key.replace('_', ' ')}", f"{found[key]:,.2f}")
    Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS).print(table)
