"""The report of `make bench`: docs/reports/bench, and README's table (`python -m benchmarks.report`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.targets import PROCESSOR_MS, TARGETS, rows
from shared.core.settings import REPOSITORY
from shared.models.evaluation.reports import table
from shared.models.metrics.plots import INK, SOFT, WARM

FOLDER = REPOSITORY / "docs" / "reports" / "bench"
JSON, MARKDOWN, PICTURE = "bench.json", "bench.md", "bench.png"
STAGES = ("decode", "features", "network", "store put", "store get", "database", "queue")

Report = dict[str, Any]  # date, machine, cores, champion, clips, rows, found, stages


def markdown(report: Report) -> Iterator[str]:
    """The table of all targets, as README has it."""
    yield from table(["", "measured", "must", "goal", ""], list(rows(report["found"], TARGETS)))
    yield ""
    yield (
        f"{report['machine']}, {report['cores']} cores; the champion was `{report['champion']}`, "
        f"{report['clips']:,} clips of 16 kHz for the floor; the large job has {report['rows']:,} rows."
    )


def stages(report: Report) -> Iterator[str]:
    """The cost of a clip, stage by stage."""
    yield "Milliseconds a clip, one thread; store, queue and database in shards as in use:"
    yield ""
    costs: dict[str, float] = report["stages"]
    yield from table(["stage", "ms a clip"], [[name, f"{costs[name]:.2f}"] for name in costs])


def processor(report: Report) -> Iterator[str]:
    """The processor time of a clip in each program of the stack."""
    found: dict[str, float] = report["found"]
    costs = {key.removeprefix(PROCESSOR_MS): found[key] for key in found if key.startswith(PROCESSOR_MS)}
    yield f"Milliseconds of processor time a clip in the stack, two workers, jobs of {report['clips']:,}:"
    yield ""
    ordered = sorted(costs.items(), key=lambda item: -item[1])
    yield from table(["part", "ms a clip"], [[name, f"{cost:.2f}"] for name, cost in ordered])


def rates(report: Report) -> Iterator[str]:
    """Everything else that was measured."""
    named = {target.key for target in TARGETS}
    others = {
        key: value
        for key, value in report["found"].items()
        if key not in named and not key.startswith(PROCESSOR_MS)
    }
    yield from table(["", ""], [[key.replace("_", " "), f"{others[key]:,.2f}"] for key in sorted(others)])


def draw(report: Report, file: Path) -> None:
    """Plot a clip by the baseline's way and by ours, our stages, and the rates of floor and stack."""
    found, costs = report["found"], report["stages"]
    picture = Figure(figsize=(11, 3.6), layout="constrained")
    ways, stacked, speeds = picture.subplots(1, 3)
    clip = {key.removeprefix("ms_a_clip_"): found[key] for key in found if key.startswith("ms_a_clip_")}
    names = [name.replace("_", " ") for name in clip]
    bars = ways.barh(names[::-1], list(clip.values())[::-1], color=INK)
    ways.bar_label(bars, fmt="%.1f", padding=3)
    ways.set_xscale("log")
    ways.margins(x=0.3)
    ways.set_title("ms a clip, one core")
    left = 0.0
    for name, colour in zip(STAGES, (INK, "#4f81b5", "#9dbad8", WARM, "#e2a394", SOFT, "black"), strict=True):
        stacked.barh([report["champion"]], [costs[name]], left=left, color=colour, label=name)
        left += costs[name]
    stacked.set_ylim(-0.4, 2)
    stacked.legend(frameon=False, ncols=2, loc="upper left")
    stacked.set_title("ms a clip by stage")
    of_floor = {key: found[key] for key in found if key.startswith("floor_")}
    of_stack = {
        key: found[key] for key in found if key.startswith(("end_to_end_1", "end_to_end_2", "job_of_"))
    }
    for values, colour in ((of_floor, SOFT), (of_stack, INK)):
        words = [key.removesuffix("_clips_s").replace("_", " ") for key in values]
        speeds.bar_label(speeds.barh(words, list(values.values()), color=colour), fmt="%.0f", padding=3)
    speeds.invert_yaxis()
    speeds.margins(x=0.15)
    speeds.set_title("clips a second")
    for axes in (ways, stacked, speeds):
        axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(file, dpi=110)


def write(report: Report, folder: Path = FOLDER) -> None:
    """Write JSON, Markdown and picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(report, folder / PICTURE)
    parts = [
        [f"# `make bench`, {report['date']}"],
        markdown(report),
        [f"![Clips]({PICTURE})"],
        stages(report),
        processor(report),
        rates(report),
    ]
    (folder / MARKDOWN).write_text("\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8")


def read(folder: Path = FOLDER) -> Report:
    """The report that was written last."""
    report: Report = json.loads((folder / JSON).read_text(encoding="utf-8"))
    return report


if __name__ == "__main__":
    print("\n".join(markdown(read())))
