"""Messages are doorbells: lost or doubled, they change nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis

from shared.core.processes import die_with_parent
from shared.stack.state import StateFolder
from tests.faults.planting import Planted
from tests.faults.work import SHARD_CLIPS, clips, sent, settings_of
from tests.stacks import Stack
from tests.waiting import wait_for


def test_every_message_delivered_twice_and_two_beats_double_no_clip(
    standing: Stack, planted: Planted, tmp_path: Path
) -> None:
    logs = [StateFolder(standing.state).log(part) for part in ("classify", "unpack-small")]
    refused = sum(log.read_text().count("'nothing to do'") for log in logs)
    with planted.doubled_bells(), second_beat(standing, tmp_path):
        work = sent(standing, clips(12 * SHARD_CLIPS))
        work.start()
        work.is_classified()
    again = sum(log.read_text().count("'nothing to do'") for log in logs)
    assert again > refused, "no message came twice"


@contextmanager
def second_beat(stack: Stack, folder: Path) -> Iterator[None]:
    """Another clock beside the stack's own, once it has sent its first sweep."""
    broker = settings_of(stack).broker_url.get_secret_value()
    schedule = ("--schedule", str(folder / "schedule"), "--pidfile=")
    argv = (sys.executable, "-m", "celery", "--app=workers.app", "beat", *schedule, "--loglevel=INFO")
    parent = os.getpid()
    with (folder / "log").open("wb") as log:
        beat = subprocess.Popen(
            argv,
            env={**stack.env, "VOXMOOD_BROKER_URL": broker},
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=lambda: die_with_parent(parent),
        )
    try:
        wait_for(lambda: "Sending due task sweep" in (folder / "log").read_text(), 60)
        yield
        assert beat.poll() is None, (folder / "log").read_text()
    finally:
        beat.kill()
        beat.wait()


def test_lost_children_and_an_emptied_queue_lose_no_clip(standing: Stack, chance: random.Random) -> None:
    work = sent(standing, clips(30 * SHARD_CLIPS))
    queue = redis.Redis.from_url(settings_of(standing).broker_url.get_secret_value())
    work.start()
    kills = 0
    while work.state == "running" and kills < 6:
        time.sleep(chance.uniform(0.1, 0.4))
        part = chance.choice(["classify", "unpack", "unpack-small"])
        for child in psutil.Process(standing.record.children[part].pid).children()[:1]:
            child.kill()
            kills += 1
        queue.flushall()
    assert kills >= 3, "the job ended before anything could be killed"
    work.is_classified()
