"""What a clip costs: ours against wav2vec2-base in a `transformers` pipeline (`make bench-peer`).

Both classify the same 16 kHz clips on one core, one after the other, each in an interpreter of its own. The
peer's weights are random: only its speed is compared.
"""

from __future__ import annotations

import json as json_module
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.clip import RAVDESS, Clips, our_way, recordings
from benchmarks.command import run
from shared.core.settings import REPOSITORY, Settings
from shared.stack.programs import ONE_THREAD

PEER = REPOSITORY / "build" / "peer" / "bin" / "python"
PROGRAM = REPOSITORY / "benchmarks" / "wav2vec2.py"


def peers_way(interpreter: Path, clips: Clips) -> dict[str, Any]:
    """What the program of the peer prints; it runs on the cores of this process."""
    with TemporaryDirectory() as folder:
        for number, (_, content) in enumerate(clips):
            (Path(folder) / f"{number:04}.flac").write_bytes(content)
        environment = {**os.environ, **ONE_THREAD}
        command = [str(interpreter), str(PROGRAM), folder]
        done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("The peer failed; it has said why above.")
    found: dict[str, Any] = json_module.loads(done.stdout.splitlines()[-1])
    return found


def main(
    data: Annotated[Path, typer.Option(help="Folder of 16 kHz FLAC files.")] = RAVDESS,
    clips: Annotated[int, typer.Option(min=8, help="How many.")] = 16,
    interpreter: Annotated[Path, typer.Option(help="Python that has torch and transformers.")] = PEER,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    if not interpreter.exists():
        sys.exit(f"There is no {interpreter}. `make bench-peer` makes an environment for the peer.")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    settings = Settings()
    chosen = recordings(data, clips)
    before = our_way(settings, settings.champion, chosen)
    peer = peers_way(interpreter, chosen)
    # Where other work comes and goes, the peer shall not be the one who met it.
    ours = max(before, our_way(settings, settings.champion, chosen))
    batch, best = min(peer["ms_a_clip"].items(), key=lambda item: item[1])
    if json:
        found = {"clips": len(chosen), "champion": settings.champion, "ours_ms_a_clip": ours, "peer": peer}
        print(json_module.dumps({**found, "peer_best_ms_a_clip": best, "peer_to_ours": best / ours}))
        return
    table = Table(title=f"{len(chosen)} clips, such as {chosen[0][0]}, on one core", box=None)
    table.add_column("", no_wrap=True)
    for heading in ("ms a clip", "clips a second", "times ours"):
        table.add_column(heading, justify="right")
    rows = {f"ours, {settings.champion}": ours}
    rows |= {f"wav2vec2-base, batches of {size}": cost for size, cost in peer["ms_a_clip"].items()}
    for name, cost in rows.items():
        table.add_row(name, f"{cost:,.1f}", f"{1000 / cost:,.1f}", f"{cost / ours:,.1f}")
    versions = ", ".join(f"{name} {version}" for name, version in peer["versions"].items())
    table.caption = (
        f"wav2vec2-base has {peer['weights'] / 1e6:.0f} M weights, drawn at random: only the speed is "
        f"compared ({versions}). It hears whole clips, the faster in batches of {batch}; ours is the slower "
        "of two runs, before and after it."
    )
    Console().print(table)


if __name__ == "__main__":
    run(main)
