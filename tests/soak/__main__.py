"""`make soak MINUTES=30`: kills under load, and what they cost. Exit status 1 if anything was lost.

Six tenths of the time are kills: a random one every few seconds, and one of the whole stack for each
minute asked for, spread evenly, while a large job runs. The rest is calm under the same load: only
processes that live for minutes show whether their memory grows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from shared.core.settings import REPOSITORY
from tests.postgres import Postgres, own_postgres
from tests.soak.killing import Killer
from tests.soak.load import Load
from tests.soak.memory import MemoryWatch
from tests.soak.report import Soak
from tests.stacks import Stack, running_stack

STORM = 0.6
WARM_UP = 0.3  # of the calm; the slope is that of the rest
LEASE_S = 10.0
BETWEEN_KILLS_S = (1.5, 5.0)
END_LIMIT_S = 900.0
OTHER_VERSION = "seed-v6-again"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "docs" / "reports")
    given = parser.parse_args()
    seed = int(os.environ.get("VOXMOOD_SOAK_SEED") or random.SystemRandom().randrange(2**32))
    print(f"VOXMOOD_SOAK_SEED={seed}", flush=True)
    # A job of 5,000 clips takes longer than two minutes have room for.
    soak = Soak(seed, given.minutes, given.database, large_clips=min(5_000, round(500 * given.minutes)))
    folder = Path(tempfile.mkdtemp(prefix="voxmood-soak-"))
    with contextlib.ExitStack() as servers:
        settings = {"VOXMOOD_LEASE_S": str(LEASE_S), "VOXMOOD_SHARD_CLIPS": "32"}
        postgres = servers.enter_context(own_postgres()) if given.database == "postgresql" else None
        if postgres is not None:
            settings["VOXMOOD_DATABASE_URL"] = postgres.url
        _add_version(folder / "state" / "models")
        stack = servers.enter_context(running_stack(folder / "state", "--workers", "2", **settings))
        _soak(soak, stack, postgres)
    print("\n".join(soak.lines()), flush=True)
    soak.write(given.output)
    if soak.sound:
        shutil.rmtree(folder)
        return 0
    print("\n".join(soak.account.wrong), f"The stack's folder is kept: {folder}", sep="\n", file=sys.stderr)
    return 1


def _add_version(models: Path) -> None:
    """The version that ships under a second name, for jobs that are classified again."""
    copy = models / OTHER_VERSION
    shutil.copytree(REPOSITORY / "saved_models" / "seed-v6", copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"version": OTHER_VERSION}))


def _soak(soak: Soak, stack: Stack, postgres: Postgres | None) -> None:
    chance = random.Random(soak.seed)
    load = Load(stack, random.Random(chance.random()), soak.large_clips, OTHER_VERSION)
    killer = Killer(stack, random.Random(chance.random()), LEASE_S, postgres)
    memory = MemoryWatch(stack)
    soak.kills, soak.samples = killer.kills, memory.samples
    load.start()
    memory.start()
    _storm(soak, load, killer, memory, chance)
    soak.calm_from_s = memory.now_s  # later than planned where starts of the stack took long
    calm_s = (1 - STORM) * soak.minutes * 60
    large_jobs = load.large_jobs_over
    while memory.now_s < soak.calm_from_s + calm_s:
        # What a part takes once for the largest job that it meets is no growth: 39 MB in the unpacker. The
        # first that ends in the calm began before it, so the second is the first whole one.
        if memory.now_s < soak.calm_from_s + WARM_UP * calm_s or load.large_jobs_over < large_jobs + 2:
            soak.warm_from_s = memory.now_s
        killer.tend(all_of_them=True)
        _fail_with(load)
        time.sleep(1)
    memory.ended.set()
    load.finish(END_LIMIT_S)
    _fail_with(load)
    soak.not_ended = sum(not job.over for job in load.jobs)
    soak.account = load.check(stack)


def _storm(soak: Soak, load: Load, killer: Killer, memory: MemoryWatch, chance: random.Random) -> None:
    end_s = STORM * soak.minutes * 60
    times = max(1, round(soak.minutes))
    due = [end_s * (number + 0.5) / times for number in range(times)]
    while memory.now_s < end_s or due:
        _fail_with(load)
        if due and memory.now_s > due[0] and load.large_runs:
            due.pop(0)
            soak.whole_kills_at_s.append(memory.now_s)
            killer.kill_the_whole_stack()
            print(f"{memory.now_s:.0f} s: {killer.kills.total()} kills, {len(load.jobs)} jobs", flush=True)
        else:
            killer.strike()
        pause_until = time.monotonic() + chance.uniform(*BETWEEN_KILLS_S)
        while time.monotonic() < pause_until:
            killer.tend()
            time.sleep(0.2)


def _fail_with(load: Load) -> None:
    """The sender's own end is not to be overlooked."""
    if load.failure is not None:
        raise SystemExit(f"The load ended:\n{load.failure}")


if __name__ == "__main__":
    sys.exit(main())
