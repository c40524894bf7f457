"""All benchmarks in one run (`make bench`): a table, docs/reports/bench, and with `--short` a test for CI.

Each benchmark runs in a process of its own, one after another, so that none has what another has loaded.
"""

from __future__ import annotations

import json as json_module
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.command import ending_softly, run, say
from benchmarks.report import FOLDER, Report, write
from benchmarks.targets import TARGETS, short, show
from shared.core.settings import REPOSITORY, Settings
from voxmood.files import written_whole

KEPT = REPOSITORY / "build" / "bench"
CLIPS, SHORT_CLIPS = 4000, 1000
ROWS = 1_000_000
# CI's machines do other things beside: a ratio fails there that is a third worse than it must be.
SHORT_SLACK = 2 / 3


def part(module: str, *arguments: str, champion: str, goes_on: bool) -> dict[str, Any]:
    """Run a benchmark and return what it prints as JSON, which is kept too.

    Args:
        module: its name.
        *arguments: of its command line.
        champion: the version that it measures.
        goes_on: take what an earlier run has kept of the same benchmark, if it has.
    """
    words = (word.removeprefix("--") for word in (champion, module, *arguments))
    kept = KEPT / f"{'-'.join(words)}.json"
    found: dict[str, Any]
    if goes_on and kept.exists():
        say(f"benchmarks.{module} as {kept.relative_to(REPOSITORY)} has it")
        found = json_module.loads(kept.read_text(encoding="utf-8"))
        return found
    say(f"benchmarks.{module} {' '.join(arguments)}")
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"benchmarks.{module} failed; it has said why above.")
    found = json_module.loads(done.stdout.splitlines()[-1])
    KEPT.mkdir(parents=True, exist_ok=True)
    with written_whole(kept) as file:
        file.write_text(json_module.dumps(found), encoding="utf-8")
    return found


def machine() -> str:
    """The name of the processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def measure(is_short: bool, goes_on: bool) -> Report:
    """Run the benchmarks.

    Args:
        is_short: leave out rows, infrastructure and large jobs.
        goes_on: take over what an interrupted run has measured.

    Returns:
        The report.
    """
    champion = Settings().champion
    run_part = partial(part, champion=champion, goes_on=goes_on)
    clip = run_part("clip")
    ways, costs = clip["ms_a_clip"], clip["stages_ms_a_clip"][champion]
    ours = ways["ours, seed-v6"]
    found = {f"ms_a_clip_{name.replace(', ', '_')}": cost for name, cost in ways.items()}
    found |= {
        "seed_against_ours": ways["seed"] / ours,
        "seed_script_against_ours": ways["seed_with_model_load"] / ours,
    }
    stages = {
        "decode": costs["decode_flac_16_khz"],
        "decode of WAV at 48 kHz, resampled": costs["decode_wav_48_khz"] + costs["resample_48_to_16_khz"],
        "features": costs["features"],
        "network": costs["network"],
    }
    clips = SHORT_CLIPS if is_short else CLIPS
    flow = run_part("flow", "--clips", str(clips), *([] if is_short else ["--large"]))
    found |= {key: value for key, value in flow.items() if key != "clips"}
    if not is_short:
        stages |= {name.replace("_", " "): cost for name, cost in run_part("infrastructure").items()}
        rows = run_part("rows", "--rows", str(ROWS))
        found |= {key: value for key, value in rows.items() if key != "rows"}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "cores": len(os.sched_getaffinity(0)),
        "champion": champion,
        "clips": clips,
        "rows": ROWS,
        "found": found,
        "stages": stages,
    }


def main(
    is_short: Annotated[
        bool, typer.Option("--short", help="Ratios alone, in minutes; fails by them.")
    ] = False,
    goes_on: Annotated[
        bool, typer.Option("--go-on", help="Take over what an interrupted run has measured (build/bench).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    output: Annotated[Path, typer.Option(help="Folder of the report; --short writes none.")] = FOLDER,
) -> None:
    """Measure all, and print the table."""
    ending_softly()
    report = measure(is_short, goes_on)
    if json:
        print(json_module.dumps(report))
    else:
        show(report["found"], TARGETS, f"{report['machine']}, {report['cores']} cores")
    if not is_short:
        write(report, output)
        say(f"Written: {output}")
    elif missed := list(short(report["found"], slack=SHORT_SLACK)):
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    run(main)
