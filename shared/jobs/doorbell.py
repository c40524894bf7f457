"""The doorbell: Celery messages that carry one id each, and the names by which tasks are known.

The database is the truth. A lost message costs a wait for the next sweep, a doubled one costs a
lease that is refused. The API rings by task name, so it never imports a worker's code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from celery import Celery

from shared.core.settings import Settings

CLASSIFY, UNPACK, MAINTENANCE = "classify", "unpack", "maintenance"
WORK_QUEUES = (UNPACK, f"{UNPACK}.small", CLASSIFY, f"{CLASSIFY}.small")
QUEUES = (*WORK_QUEUES, MAINTENANCE)
RETRAIN, RING_RETRAINING = "retrain", "ring_retraining"
# Nobody waits for a training: the stack is ready without it, and its queue is not probed.
TRAIN = "train"
SWEEP, PROBE, PURGE, REMOVE_UNREFERENCED = "sweep", "probe", "purge", "remove_unreferenced"
NOTIFY = "notify"
MOST_PROBES = 10


@dataclass(frozen=True, slots=True)
class Bell:
    """One ring: `task` for row `id`; `text` is what Flower shows as its arguments."""

    task: str
    id: int
    small: bool
    text: str

    @property
    def queue(self) -> str:
        """The queue that it is rung in."""
        return queue_of(self.task, self.small)


def queue_of(task: str, small: bool) -> str:
    """Small jobs have queues of their own, so that a job of a million clips never starves them."""
    if task == RETRAIN:
        return TRAIN
    return f"{task}.small" if small else task


def celery_app(settings: Settings) -> Celery:
    """Celery as all of voxmood's processes use it: the API to ring, the workers to listen."""
    app = Celery("voxmood", broker=settings.broker_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        # Acknowledged early, no results kept: recovery is by leases alone (shared/jobs/leases.py).
        task_acks_late=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        # Flower would keep each sweep and probe, whose other events are off, as pending for ever.
        task_send_sent_event=False,
        worker_send_task_events=True,
        task_create_missing_queues=True,
        task_default_queue=MAINTENANCE,
        # A bell waits in the queue, not in a worker: a free child takes the next one.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # A child that loads a version by TensorFlow (VOXMOOD_RUNTIME=tensorflow) takes 10 s, longer on a
        # busy machine; by the default of 4 s it would be killed again and again.
        worker_proc_alive_timeout=120,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A message that a killed worker had reserved comes back after 60 s; a second copy is harmless.
        broker_transport_options={
            "visibility_timeout": 60,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "round_robin",
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": True,
        },
        timezone="UTC",
    )
    return app


class Doorbell:
    """Rings bells through one producer, and looks how many are waiting."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, bells: Iterable[Bell]) -> None:
        """Send each bell; call it after the commit that made its row pending."""
        bells = list(bells)
        if not bells:
            return
        with self._app.producer_pool.acquire(block=True) as producer:
            for bell in bells:
                self._app.send_task(
                    bell.task, args=(bell.id,), argsrepr=bell.text, queue=bell.queue, producer=producer
                )

    def probe(self, queues: Iterable[str], expires_s: float) -> None:
        """Ask the workers of these queues to show that they consume.

        Where bells wait already, one more tells nothing: without workers they would pile up for ever.
        """
        for queue in queues:
            if self.waiting(queue) < MOST_PROBES:
                self._app.send_task(PROBE, args=(queue,), queue=queue, expires=expires_s)

    def call(self, task: str) -> None:
        """Have a maintenance task run now."""
        self._app.send_task(task, queue=MAINTENANCE, expires=60.0)

    def waiting(self, queue: str) -> int:
        """Messages in the queue that no worker has taken."""
        with self._app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            return int(channel.client.llen(queue))

    def answers(self) -> bool:
        """Whether the broker can be reached."""
        try:
            self.waiting(MAINTENANCE)
        except Exception:
            return False
        return True
