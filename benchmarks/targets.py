"""The targets of speed and memory, and how a measurement compares with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Found = Mapping[str, float]
PIPED_COLUMNS = 130  # of what is no terminal, for which rich would take 80 and cut names


@dataclass(frozen=True, slots=True)
class Target:
    """A target for one measurement.

    A goal above what must be says that more is better. A measurement without a unit is a ratio, which holds
    on any machine.

    Attributes:
        key: of the measurement.
        name: for people.
        must: what it must reach.
        goal: what it should reach.
        unit: of the measurement.
    """

    key: str
    name: str
    must: float
    goal: float
    unit: str = ""

    def misses(self, value: float, slack: float = 1.0) -> str:
        """The first of `must` and `goal` that a value does not reach; empty if it reaches both.

        Args:
            value: the measurement.
            slack: the share of what must be that is enough, for a noisy machine.
        """
        if self.goal > self.must:
            return "must" if value < slack * self.must else "goal" if value < self.goal else ""
        return "must" if value > self.must / slack else "goal" if value > self.goal else ""

    def text(self, value: float) -> str:
        """The value with three digits and the unit."""
        number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        return f"{number} {self.unit}".rstrip()


CLIP = (
    Target("seed_against_ours", "the seed's way against ours, its model loaded once", 20, 30),
    Target("seed_script_against_ours", "the seed's script as it was against ours", 80, 120),
    Target("ms_a_clip_ours_v8", "a clip by v8, one core", 40, 25, "ms"),
    Target("ms_a_clip_ours_v8-small", "a clip by v8-small, one core", 6, 4, "ms"),
)
FLOW = (
    Target("end_to_end_against_floor", "end to end against the floor", 0.75, 0.9),
    Target("speed_up_against_floor", "1 → 2 workers against the floor's own", 0.85, 0.95),
    Target("largest_against_smallest", "a job of 100,000 clips against one of 1,000", 0.95, 1.0),
    Target("one_clip_beside_large_s", "one clip while the largest job runs: its row", 10, 3, "s"),
    Target("one_clip_alone_ms", "one clip on the idle stack: its row", 300, 100, "ms"),
    Target("classify_cold_start_s", "`voxmood classify` of one file, cold", 3, 1.5, "s"),
    Target("worker_mb", "memory of a serving worker", 500, 300, "MB"),
    Target("api_mb", "memory of the API", 200, 150, "MB"),
)
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
ROWS = tuple(
    target
    for key, name in DATABASES.items()
    for target in (
        Target(f"{key}_status_ms", f"a large job on {name}: status", 50, 20, "ms"),
        Target(f"{key}_page_ms", f"a large job on {name}: the slowest page", 100, 50, "ms"),
        Target(f"{key}_export_rows_s", f"a large job on {name}: export", 50_000, 200_000, "rows/s"),
    )
)
PROCESSOR_MS = "processor_ms_"  # and a part's name: what a clip costs it, in a job by two workers
TARGETS = (*CLIP, *FLOW, *ROWS)


def short(found: Found, targets: Sequence[Target] = TARGETS, slack: float = 1.0) -> Iterator[str]:
    """A sentence for each ratio that does not reach what it must."""
    for target in targets:
        if target.key in found and not target.unit:
            value = found[target.key]
            if target.misses(value, slack) == "must":
                yield f"{target.name}: {target.text(value)}, where {slack * target.must:.3g} must be"


def rows(found: Found, targets: Sequence[Target]) -> Iterator[list[str]]:
    """Name, value, must, goal, and what is missed, of each target that was measured."""
    for target in targets:
        if target.key in found:
            value = found[target.key]
            missed = target.misses(value)
            texts = map(target.text, (value, target.must, target.goal))
            yield [target.name, *texts, f"misses {missed}" if missed else ""]


def show(found: Found, targets: Sequence[Target], title: str) -> None:
    """Print these targets, then everything else that was measured."""
    table = Table(title=title, box=None)
    table.add_column("", no_wrap=True)
    for heading in ("measured", "must", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows(found, targets):
        table.add_row(*row)
    table.add_section()
    for key in sorted(found.keys() - {target.key for target in targets}):
        table.add_row(f"  {key.replace('_', ' ')}", f"{found[key]:,.2f}")
    Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS).print(table)
