"""What a clip costs in store, queue and database (`python -m benchmarks.infrastructure`).

One shard of recordings at a time, as unpack and classify have them, with servers of its own; in milliseconds
a clip by the clock, medians of five. SQLite syncs its file with each commit, as in use.
"""

from __future__ import annotations

import json as json_module
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from benchmarks.clip import RAVDESS, REPEATS, milliseconds, recordings
from benchmarks.command import run
from benchmarks.rows import SHARD_CLIPS, clip_rows
from shared.core.settings import Settings
from shared.database import upgrade
from shared.database.sessions import Database
from shared.database.tables import clip, job, prediction, shard, unit, upload
from shared.jobs.doorbell import MAINTENANCE, Bell, Doorbell, celery_app
from shared.store.names import StoredObject, shard_key
from shared.store.objects import Storage
from shared.store.shards import Shard
from tests.servers import running_store, running_valkey


def store_costs(body: bytes | bytearray) -> dict[str, float]:
    """One PUT and one GET of a shard."""
    with running_store() as server:
        secret = SecretStr(server.secret_key)
        settings = Settings(
            s3_endpoint=server.endpoint, s3_access_key=server.access_key, s3_secret_key=secret
        )
        storage = Storage(settings)
        key = shard_key("benchmark")
        return {
            "store_put": milliseconds(lambda: storage.put(key, body), SHARD_CLIPS),
            "store_get": milliseconds(lambda: storage.get(StoredObject(key)), SHARD_CLIPS),
        }


def queue_cost() -> float:
    """One bell through the queue: rung, and taken as a worker takes it."""
    with running_valkey() as address:
        app = celery_app(Settings(broker_url=SecretStr(address)))
        doorbell = Doorbell(app)
        with app.connection_for_read() as connection, connection.SimpleQueue(MAINTENANCE) as queue:

            def once() -> None:
                doorbell.ring([Bell(MAINTENANCE, 1, small=False, text="")])
                queue.get(timeout=5).ack()

            return milliseconds(once, SHARD_CLIPS)


def database_cost(folder: Path) -> float:
    """The rows of one shard and of its predictions, in two transactions."""
    database = Database(f"sqlite:///{folder / 'voxmood.db'}")
    with closing(database):
        upgrade.upgrade(database)
        waiting = {"job_id": 1, "state": "pending"}
        with database.write() as connection:
            a_job = {"id": 1, "key": "k", "created_at": 0, "state": "running", "model_version": "rows"}
            connection.execute(insert(job), [a_job])
            connection.execute(insert(upload), [waiting | {"id": 1, "name": "a.zip", "object_key": "o"}])
        starts = range(0, (1 + REPEATS) * SHARD_CLIPS, SHARD_CLIPS)
        shards = enumerate([list(clip_rows(range(start, start + SHARD_CLIPS), 10**6)) for start in starts])

        def once() -> None:
            number, rows = next(shards)
            own = {"job_id": 1, "id": number + 1}
            with database.write() as connection:
                a_shard = own | {"upload_id": 1, "number": number, "object_key": f"s{number}", "bytes": 1,
                                 "clips": SHARD_CLIPS}  # fmt: skip
                connection.execute(insert(shard), [a_shard])
                a_unit = own | {"shard_id": number + 1, "state": "pending", "model_version": "rows"}
                connection.execute(insert(unit), [a_unit])
                connection.execute(insert(clip), [row for row, _ in rows])
            with database.write() as connection:
                connection.execute(insert(prediction), [found for _, found in rows if found is not None])

        return milliseconds(once, SHARD_CLIPS)


def measure(data: Path = RAVDESS) -> dict[str, float]:
    """All costs, by stage."""
    gathered = Shard()
    files = recordings(data, SHARD_CLIPS)
    for number in range(SHARD_CLIPS):
        name, content = files[number % len(files)]
        gathered.add(name, content, "")
    with tempfile.TemporaryDirectory(prefix="voxmood-surroundings-") as folder:
        costs = store_costs(gathered.finished())
        return costs | {"queue": queue_cost(), "database": database_cost(Path(folder))}


def main(
    data: Annotated[Path, typer.Option(help="Folder of 16 kHz FLAC files.")] = RAVDESS,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    costs = measure(data)
    if json:
        print(json_module.dumps(costs))
        return
    table = Table(title=f"Shards of {SHARD_CLIPS} clips", box=None)
    table.add_column("", no_wrap=True)
    table.add_column("ms a clip", justify="right")
    for name, cost in costs.items():
        table.add_row(name.replace("_", " "), f"{cost:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
