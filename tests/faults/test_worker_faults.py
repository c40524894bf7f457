"""Workers and the queue, killed in the middle of a job: every clip still has exactly one outcome."""

from __future__ import annotations

import random
import time

import psutil
import redis

from infra.stack.state import StateFolder
from shared.audio.synthesis import unique_clip
from tests.acceptance.jobs import Api
from tests.archive_builders import zip_of
from tests.servers import Stack

CLIPS = 600


def children_of(stack: Stack, part: str) -> list[psutil.Process]:
    """The pool children of a worker."""
    return psutil.Process(stack.record.children[part].pid).children()


def test_lost_children_and_an_emptied_queue_lose_no_clip(own_stack: Stack) -> None:
    if not StateFolder(own_stack.state).held():  # another test has ended it
        own_stack.up("--workers", "2")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    archive = zip_of({f"{n:03d}.wav": unique_clip(n) for n in range(CLIPS)}, 0)
    api = Api(own_stack.api_url)
    job = api.create()
    assert api.http.put(f"/v1/jobs/{job}/uploads/in.zip", content=archive).status_code == 201
    queue = redis.Redis.from_url(broker_url(own_stack))
    api.start(job)
    kills = 0
    while api.http.get(f"/v1/jobs/{job}").json()["state"] == "running" and kills < 6:
        time.sleep(chance.uniform(0.2, 0.6))
        part = chance.choice(["classify", "unpack", "unpack-small"])
        for child in chance.sample(children_of(own_stack, part), k=1):
            child.kill()
            kills += 1
        queue.flushall()
    assert kills >= 3, "the job ended before anything could be killed"
    document = api.wait(job, 120)
    assert document["state"] == "done"
    rows = api.rows(job)
    assert [row["path"] for row in rows] == [f"{n:03d}.wav" for n in range(CLIPS)]
    assert {row["outcome"] for row in rows} <= {"classified", "rejected"}
    assert document["counts"]["done"] == document["counts"]["clips"] == CLIPS


def broker_url(stack: Stack) -> str:
    """The queue's address with its password, which stack.json masks."""
    password = StateFolder(stack.state).credentials().queue_password
    return f"redis://:{password}@127.0.0.1:{stack.record.ports['queue']}/0"
