"""The Celery application of the workers, and where a worker process is wired.

Start: `celery -A workers.app worker -Q classify,classify.small`. Tasks are thin: the work is in
`workers.unpack`, `workers.classify`, `workers.retrain` and `workers.sweep`. TensorFlow is imported only in
the children of a worker that trains, or classifies by it (VOXMOOD_RUNTIME): a parent that has run it leaves
children that hang for ever. The one that trains has the lowest priority: nobody waits for it.
"""

from __future__ import annotations

import gc
import logging
import os
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import Task, signals
from celery.exceptions import WorkerLostError
from celery.worker.request import Request

from shared.core import logs
from shared.core.processes import bound_memory, die_with_parent
from shared.core.settings import Settings
from shared.database.sessions import Database
from shared.database.tables import unit, upload
from shared.jobs import leases, retraining
from shared.jobs.doorbell import (
    CLASSIFY,
    MAINTENANCE,
    NOTIFY,
    PROBE,
    PURGE,
    REMOVE_UNREFERENCED,
    RETRAIN,
    RING_RETRAINING,
    SWEEP,
    TRAIN,
    UNPACK,
    celery_app,
)
from workers import ending, watchdog
from workers.services import services, wait_for_services

log = logging.getLogger(__name__)
# By the environment a child knows its parent's number even if that died before the child could ask.
MAIN_PROCESS = "VOXMOOD_MAIN_PROCESS"
settings = Settings()
app = celery_app(settings)
app.conf.update(
    beat_schedule={
        SWEEP: {
            "task": SWEEP,
            "schedule": settings.sweep_every_s,
            # A tick that waited longer than the next one's turn is not worth doing.
            "options": {"queue": MAINTENANCE, "expires": settings.sweep_every_s},
        },
        NOTIFY: {"task": NOTIFY, "schedule": 5.0, "options": {"queue": MAINTENANCE, "expires": 5.0}},
        # A deletion waits for leases that are still held: a minute more would be long to wait for it.
        PURGE: {"task": PURGE, "schedule": 10.0, "options": {"queue": MAINTENANCE, "expires": 10.0}},
        REMOVE_UNREFERENCED: {
            "task": REMOVE_UNREFERENCED,
            "schedule": 3600.0,
            "options": {"queue": MAINTENANCE, "expires": 600.0},
        },
        RING_RETRAINING: {
            "task": RING_RETRAINING,
            "schedule": 60.0,
            "options": {"queue": MAINTENANCE, "expires": 60.0},
        },
    },
    worker_max_memory_per_child=settings.worker_memory_bytes // 1024,
)


class WorkRequest(Request):
    """Tells the database when a child died or hung on a unit or upload; runs in the worker's parent."""

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        """Count a crash where the child was lost."""
        # The exception itself is wrapped (billiard.einfo.ExceptionWithTraceback) where the pool made it.
        if exc_info.type is WorkerLostError:
            self._record_crash()
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Count a crash where the child is ended by the time limit."""
        if not soft:
            self._record_crash()
        super().on_timeout(soft, timeout)

    def _record_crash(self) -> None:
        # A connection of its own, closed at once: children that are forked later must not inherit it.
        database = Database(settings.database_url)
        try:
            table = {CLASSIFY: unit, UNPACK: upload}[self.name]
            leases.record_crash(database, table, int(self.args[0]))
        except Exception:
            log.exception("a crash on %s %s could not be recorded", self.name, self.args)
        finally:
            database.close()


@app.task(name=UNPACK, Request=WorkRequest)
def unpack(upload_id: int) -> str:
    """An upload becomes shards and clip rows."""
    from workers.unpack import unpack

    return unpack(services(), upload_id)


@app.task(name=CLASSIFY, time_limit=settings.classify_time_limit_s, Request=WorkRequest)
def classify(unit_id: int) -> str:
    """A unit's clips become predictions."""
    from workers.classify import classify

    return classify(services(), unit_id)


@app.task(name=RETRAIN)
def retrain(_row: int) -> str:
    """Labels become a candidate."""
    from workers.retrain import retrain

    return retrain(services())


@app.task(name=RING_RETRAINING, send_events=False)
def ring_retraining() -> None:
    """Rings where a retraining is due, or was asked for and not heard."""
    retraining.ring_if_due(services().database, services().doorbell, settings.retrain_every_s)


@app.task(name=SWEEP, send_events=False)
def sweep() -> str:
    """Lost work is found again."""
    from workers.sweep import sweep

    return sweep(services())


@app.task(name=NOTIFY, send_events=False)
def notify() -> str:
    """Job ends are told to those who asked for it."""
    from workers.notify import notify

    return notify(services())


@app.task(name=PURGE, send_events=False)
def purge() -> str:
    """What deletion and retention say is removed."""
    from workers.purge import purge

    return purge(services())


@app.task(name=REMOVE_UNREFERENCED, send_events=False)
def remove_unreferenced() -> str:
    """Objects that no row names are removed."""
    from workers.purge import remove_unreferenced

    return remove_unreferenced(services())


@app.task(name=PROBE, send_events=False)
def probe(queue: str) -> None:
    """Shows that this queue is consumed."""
    services().seen(queue)


@signals.task_prerun.connect
def _note_consumption(task: Any, **_: object) -> None:
    """Work is a sign too: a queue in which bells wait is not probed, and `/health/ready` asks for signs."""
    if task.name in (UNPACK, CLASSIFY):
        services().seen(task.request.delivery_info["routing_key"])


@signals.setup_logging.connect
def _set_up_logs(**_: object) -> None:
    logs.set_up(settings.log_level, settings.log_format)


@signals.task_prerun.connect
def _name_subject(task: Task[..., Any], args: tuple[int, ...], **_: object) -> None:
    subject = {UNPACK: "upload", CLASSIFY: "unit"}.get(task.name)
    logs.begin(**{subject: args[0]} if subject else {})


@signals.worker_init.connect
def _start_main(**_: object) -> None:
    os.environ[MAIN_PROCESS] = str(os.getpid())
    ending.prepare()
    if TRAIN in app.amqp.queues.consume_from:
        os.nice(19)
    _set_up_logs()  # before Celery asks for it, since the parts may be waited for
    wait_for_services(classifies=CLASSIFY in app.amqp.queues.consume_from).database.close()
    services.cache_clear()


@signals.worker_process_init.connect
def _start_child(**_: object) -> None:
    # A full collection writes to all that the parent made, and so would copy it: 36 MB a child.
    gc.freeze()
    die_with_parent(int(os.environ[MAIN_PROCESS]))
    services.cache_clear()
    if CLASSIFY in app.amqp.queues.consume_from:
        from workers.classify import classifier

        classifier(settings.model_folders, services().champion())
    if TRAIN not in app.amqp.queues.consume_from:  # which bounds its own by VOXMOOD_RETRAIN_MAX_LABELS
        bound_memory(settings.task_memory_bytes)


@signals.worker_ready.connect
def _show_consumption(**_: object) -> None:
    queues = list(app.amqp.queues.consume_from)
    services().doorbell.probe(queues, expires_s=60.0)
    watchdog.watch(services().doorbell, queues, settings.watchdog_s)


@signals.worker_shutting_down.connect
def _end_softly(**_: object) -> None:
    ending.announce()
