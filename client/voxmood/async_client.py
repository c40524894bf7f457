"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from os import PathLike
from typing import Unpack

from voxmood import endpoints, flows
from voxmood.documents import (
    CHAMPION,
    AgreementDocument,
    ChampionDocument,
    DriftDocument,
    JobDocument,
    Label,
    LabelDocument,
    ModelDocument,
    Models,
    Readiness,
    RetrainingDocument,
    ReviewQueue,
    Stored,
    UploadDocument,
    UploadForm,
)
from voxmood.endpoints import JobOptions, LabelChoice
from voxmood.packing import Content
from voxmood.results import AsyncResults, ignore
from voxmood.submission import Listener, Sent, Submission


class AsyncClient(AsyncResults):
    """As `voxmood.client.Client`, with the same arguments and methods.

    `await` those that give a document, `async for` those that give many. `http` is an `httpx.AsyncClient`.

    >>> import asyncio
    >>> async def newest_job() -> JobState:
    ...     async with AsyncClient() as client:
    ...         job = await anext(client.jobs())
    ...         return (await client.wait(job.id)).state
    >>> asyncio.run(newest_job())
    <JobState.DONE: 'done'>
    """

    # --- sending -------------------------------------------------------------------------------

    async def submit(
        self,
        *paths: str | PathLike[str],
        name: str | None = None,
        on_sent: Callable[[Sent], object] = ignore,
        on_note: Callable[[str], object] = ignore,
        **options: Unpack[JobOptions],
    ) -> JobDocument:
        listener = Listener(on_sent, on_note)
        submission = await asyncio.to_thread(Submission, self.url, paths, name, options, listener)
        return await self._run(submission.flow())

    async def create_job(
        self, name: str | None = None, *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> JobDocument:
        return await self._ask(endpoints.create_job(name, options, idempotency_key))

    async def put_upload(
        self,
        job: int,
        name: str,
        content: Content,
        start: int = 0,
        on_sent: Callable[[int], object] = ignore,
    ) -> UploadDocument:
        return await self._ask(endpoints.put_upload(job, name, content, start, on_sent))

    async def upload(self, job: int, name: str) -> UploadDocument:
        return await self._ask(endpoints.show_upload(job, name))

    async def upload_form(self, job: int, name: str, size: int | None = None) -> UploadForm:
        return await self._ask(endpoints.create_form(job, name, size))

    async def add_source(self, job: int, url: str) -> JobDocument:
        return await self._ask(endpoints.add_source(job, url))

    async def start(self, job: int) -> JobDocument:
        return await self._ask(endpoints.start_job(job))

    # --- jobs ----------------------------------------------------------------------------------

    async def wait(
        self,
        job: int,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] = ignore,
        poll_s: float = flows.POLL_S,
        patience_s: float = 60.0,
    ) -> JobDocument:
        return await self._run(flows.wait(job, timeout_s, poll_s, patience_s, on_progress))

    async def job(self, job: int) -> JobDocument:
        return await self._ask(endpoints.show_job(job))

    def jobs(self, page_rows: int = 100) -> AsyncIterator[JobDocument]:
        return self._list(endpoints.list_jobs(page_rows))

    async def cancel(self, job: int) -> JobDocument:
        return await self._ask(endpoints.cancel_job(job))

    async def retry(self, job: int) -> JobDocument:
        return await self._ask(endpoints.retry_job(job))

    async def reclassify(self, job: int, model: str) -> JobDocument:
        return await self._ask(endpoints.reclassify_job(job, model))

    async def delete(self, job: int) -> JobDocument:
        return await self._ask(endpoints.delete_job(job))

    # --- labels and models ---------------------------------------------------------------------

    def labels(self, **choice: Unpack[LabelChoice]) -> AsyncIterator[LabelDocument]:
        return self._list(endpoints.list_labels(choice))

    async def store_labels(self, labels: Sequence[Label]) -> Stored:
        return await self._ask(endpoints.store_labels(labels))

    async def delete_labels(self, **choice: Unpack[LabelChoice]) -> int:
        return (await self._ask(endpoints.delete_labels(choice))).deleted

    async def agreement(self, **choice: Unpack[LabelChoice]) -> AgreementDocument:
        return await self._ask(endpoints.agreement(choice))

    async def review(self, job: int, limit: int = 50, model: str | None = None) -> ReviewQueue:
        return await self._ask(endpoints.review_queue(job, limit, model))

    async def models(self) -> Models:
        return await self._ask(endpoints.list_models())

    async def model(self, version: str) -> ModelDocument:
        return endpoints.named_model(await self.models(), version)

    async def drift(self, version: str = CHAMPION, days: float = 7.0) -> DriftDocument:
        return await self._ask(endpoints.model_drift(version, days))

    async def promote(self, version: str) -> ChampionDocument:
        return await self._ask(endpoints.promote_model(version))

    async def roll_back(self) -> ChampionDocument:
        return await self._ask(endpoints.roll_back_champion())

    async def freeze(self, *, frozen: bool = True) -> ChampionDocument:
        return await self._ask(endpoints.freeze_champion(frozen=frozen))

    async def retrain(self) -> RetrainingDocument:
        return await self._ask(endpoints.retrain())

    async def ready(self) -> Readiness:
        return await self._ask(endpoints.ready())
