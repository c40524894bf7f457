"""`make fuzz N=100000`: mutations of recordings and archives, through the code that reads uploads.

`python -m tests.fuzz --replay FILE` reads one that was kept. Exit status 1 with findings.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from shared.core.settings import MEBIBYTE, REPOSITORY
from tests.fuzz.campaign import Campaign, Child, Report, found, reader_command
from tests.fuzz.corpus import corpus


def written_corpus(folder: Path) -> Path:
    """The corpus as files, which all children read."""
    for name, body in corpus().items():
        (folder / name.replace("/", "_")).write_bytes(body)
    return folder


def lines(report: Report, seconds: float, seed: int) -> list[str]:
    """The report, as it is printed and kept in docs/reports/fuzz.md."""
    return [
        f"seed {seed}: {report.inputs:,} inputs with {report.outcomes.total():,} outcomes in {seconds:,.0f} s"
        f" ({report.inputs / seconds:,.0f} inputs/s)",
        "outcomes:",
        *(f"  {count:>9,}  {code}" for code, count in report.outcomes.most_common()),
        f"slowest input: {report.slowest_s:.2f} s of processor time",
        f"most memory: {report.grown_bytes / MEBIBYTE:,.0f} MiB over the process at rest",
        f"most printed by libraries for one input: {report.loudest_bytes:,} bytes",
        f"processes lost: {report.restarts}",
        f"findings: {report.findings.total():,}",
        *(f"  {count:>9,}  {words}" for words, count in report.findings.most_common()),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=REPOSITORY / "build" / "fuzz")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read this input instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="voxmood-fuzz-") as folder:
        seeds = written_corpus(Path(folder))
        if given.replay:
            child = Child(reader_command(seeds, given.seed), Path(folder) / "said")
            answer = child.ask(str(given.replay.absolute()))
            child.close()
            print(json.dumps(answer, indent=2))
            return int(bool(found(answer, child.rest_bytes)))
        began = time.monotonic()

        def progress(report: Report) -> None:
            seconds = time.monotonic() - began
            print(
                f"{report.inputs:,} inputs, {report.inputs / seconds:,.0f}/s, "
                f"{report.findings.total()} findings, {report.restarts} processes lost",
                file=sys.stderr,
                flush=True,
            )

        campaign = Campaign(seeds, given.seed, given.findings)
        report = campaign.run(range(given.inputs), given.processes, progress)
        print("\n".join(lines(report, time.monotonic() - began, given.seed)))
    return int(bool(report.findings))


if __name__ == "__main__":
    sys.exit(main())
