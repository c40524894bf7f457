"""A worker in this process: it survives what fails outside, until the job has ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from fastapi.testclient import TestClient

from api.app import create_app
from shared.core.errors.infrastructure import InfrastructureError
from shared.database.tables import job
from shared.jobs import leases
from shared.jobs.doorbell import UNPACK
from tests.acceptance.jobs import Api
from tests.faults.invariant import every_clip_has_one_outcome
from tests.integration.builders import row_of
from tests.waiting import ANSWERED
from workers.classify import classify
from workers.services import Services
from workers.unpack import unpack


class LocalApi(Api):
    """The API in this process."""

    def __init__(self, services: Services) -> None:
        url = services.database.url.render_as_string(hide_password=False)
        settings = services.settings.model_copy(update={"database_url": url})
        self.http = TestClient(create_app(settings), "http://localhost")


def work(services: Services, job_id: int, limit_s: float = 60) -> Counter[str]:
    """Do all that a job needs; the errors of store and database that were met, by their code."""
    met: Counter[str] = Counter()
    deadline = time.monotonic() + limit_s
    while True:
        try:
            for bell in leases.sweep(services.database, 0, frozenset()):
                try:
                    (unpack if bell.task == UNPACK else classify)(services, bell.id)
                except InfrastructureError as error:
                    met[error.code] += 1
            if row_of(services.database, job, job_id).state != "running":
                return met
        except InfrastructureError as error:
            met[error.code] += 1
        assert time.monotonic() < deadline, f"job {job_id} did not end in {limit_s} s; met {met}"
        time.sleep(0.1)


def is_classified(services: Services, job_id: int, manifest: Mapping[str, list[str]]) -> None:
    """The invariant of the fault ring, and that no clip failed."""
    api = LocalApi(services)
    url = services.database.url.render_as_string(hide_password=False)
    rows = every_clip_has_one_outcome(api, url, job_id, manifest, limit_s=5)
    assert {row["outcome"] for row in rows} <= ANSWERED
