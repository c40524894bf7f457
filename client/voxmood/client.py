"""The client for programs that wait for each answer; `voxmood.async_client` has the same for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import Unpack

from voxmood import endpoints, flows
from voxmood.async_client import AsyncClient
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
from voxmood.results import Results, ignore
from voxmood.submission import Listener, Sent, Submission

__all__ = ["AsyncClient", "Client"]


class Client(Results):
    """One server of voxmood.

    Its refusals are raised as `voxmood.errors.RequestRefused`, with the server's own sentence.

    >>> with Client() as client:
    ...     job = client.submit("recordings.zip", name="Tapes of 1987")
    ...     job = client.wait(job.id)
    ...     rows = list(client.results(job.id))
    >>> job.state, len(rows) == job.counts.done
    (<JobState.DONE: 'done'>, True)

    Args:
        server: its address; else VOXMOOD_URL, else that of the stack that runs on this machine.
        api_key: a key of `voxmood keys create`; else VOXMOOD_API_KEY. On the server's own machine none is
            needed.
        http: sends the requests, for proxies and certificates of one's own; it is not closed. Its base_url
            is the server's.

    Raises:
        MalformedKey: the key has not the form of one; it is not sent.
        NotRunning: no server is named, and no stack runs here.
    """

    # --- sending -------------------------------------------------------------------------------

    def submit(
        self,
        *paths: str | PathLike[str],
        name: str | None = None,
        on_sent: Callable[[Sent], object] = ignore,
        on_note: Callable[[str], object] = ignore,
        **options: Unpack[JobOptions],
    ) -> JobDocument:
        """Send archives, recordings and folders as one job, and start it.

        Broken connections are made anew, and an upload goes on where it broke off. A submit that was killed
        goes on when it is repeated.

        Args:
            paths: files, folders (they become a tar as they are sent), or `s3://bucket/prefix`.
            name: of the job; else that of the first upload.
            on_sent: hears how far each upload is.
            on_note: hears a sentence where something unusual happens.
            options: what else one may say of a job (`voxmood.documents.JobRequest`).

        Returns:
            The job's document, of a job that runs: `wait` follows it.

        Raises:
            FileMissing, NotSendable: of a path, before anything is sent.
            RequestRefused, ServerUnreachable: what the server said, or that it is away for two minutes.
        """
        listener = Listener(on_sent, on_note)
        return self._run(Submission(self.url, paths, name, options, listener).flow())

    def create_job(
        self, name: str | None = None, *, idempotency_key: str | None = None, **options: Unpack[JobOptions]
    ) -> JobDocument:
        """A new open job, for uploads that are sent one by one.

        With the same idempotency_key and options it is the job that the first call made.
        """
        return self._ask(endpoints.create_job(name, options, idempotency_key))

    def put_upload(
        self,
        job: int,
        name: str,
        content: Content,
        start: int = 0,
        on_sent: Callable[[int], object] = ignore,
    ) -> UploadDocument:
        """Send an upload from byte `start` on; `on_sent` hears of each block how many bytes it had."""
        return self._ask(endpoints.put_upload(job, name, content, start, on_sent))

    def upload(self, job: int, name: str) -> UploadDocument:
        """An upload as the server knows it; while it is `receiving`, `bytes` says where to go on."""
        return self._ask(endpoints.show_upload(job, name))

    def upload_form(self, job: int, name: str, size: int | None = None) -> UploadForm:
        """A form by which others send an upload straight to the store."""
        return self._ask(endpoints.create_form(job, name, size))

    def add_source(self, job: int, url: str) -> JobDocument:
        """Have the server take what lies under an s3:// prefix."""
        return self._ask(endpoints.add_source(job, url))

    def start(self, job: int) -> JobDocument:
        """Seal the uploads and start the work."""
        return self._ask(endpoints.start_job(job))

    # --- jobs ----------------------------------------------------------------------------------

    def wait(
        self,
        job: int,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] = ignore,
        poll_s: float = flows.POLL_S,
        patience_s: float = 60.0,
    ) -> JobDocument:
        """Wait until a job has ended; its document then.

        Args:
            job: its id.
            timeout_s: seconds to wait at most; None: as long as it takes.
            on_progress: hears the job's document at each look.
            poll_s: seconds between two looks.
            patience_s: seconds for which a server may be away meanwhile.

        Raises:
            WaitTimedOut: it has not ended by then; it goes on.
        """
        return self._run(flows.wait(job, timeout_s, poll_s, patience_s, on_progress))

    def job(self, job: int) -> JobDocument:
        """One job."""
        return self._ask(endpoints.show_job(job))

    def jobs(self, page_rows: int = 100) -> Iterator[JobDocument]:
        """All jobs, the newest first, fetched by pages as they are used."""
        return self._list(endpoints.list_jobs(page_rows))

    def cancel(self, job: int) -> JobDocument:
        """Stop a job. What has an outcome keeps it; `retry` goes on with the rest."""
        return self._ask(endpoints.cancel_job(job))

    def retry(self, job: int) -> JobDocument:
        """Run the failed and the interrupted clips of an ended job again."""
        return self._ask(endpoints.retry_job(job))

    def reclassify(self, job: int, model: str) -> JobDocument:
        """Classify an ended job's clips under another version too: `results(job, model=…)` has them."""
        return self._ask(endpoints.reclassify_job(job, model))

    def delete(self, job: int) -> JobDocument:
        """Remove a job with its recordings and results, for good."""
        return self._ask(endpoints.delete_job(job))

    # --- labels and models ---------------------------------------------------------------------

    def labels(self, **choice: Unpack[LabelChoice]) -> Iterator[LabelDocument]:
        """The labels of a job or of a clip, or all, fetched by pages as they are used."""
        return self._list(endpoints.list_labels(choice))

    def store_labels(self, labels: Sequence[Label]) -> Stored:
        """Store what people say of clips; each label is checked for itself.

        Raises:
            RequestRefused: none of them could be stored; `facts["refused"]` says why, of each.
        """
        return self._ask(endpoints.store_labels(labels))

    def delete_labels(self, **choice: Unpack[LabelChoice]) -> int:
        """Remove labels of a job or of a clip; what is given is joined by *and*. How many went."""
        return self._ask(endpoints.delete_labels(choice)).deleted

    def agreement(self, **choice: Unpack[LabelChoice]) -> AgreementDocument:
        """How far labellers agree on the clips that several of them have labelled, of a job or of all."""
        return self._ask(endpoints.agreement(choice))

    def review(self, job: int, limit: int = 50, model: str | None = None) -> ReviewQueue:
        """The clips of an ended job that are most worth a label, and its accuracy by the labels so far.

        Args:
            job: its number.
            limit: how many clips, up to 1,000.
            model: a version, or an alias; None: the job's.
        """
        return self._ask(endpoints.review_queue(job, limit, model))

    def models(self) -> Models:
        """The model versions, and how far the next retraining is."""
        return self._ask(endpoints.list_models())

    def model(self, version: str) -> ModelDocument:
        """One version, by its name or by an alias as `champion`.

        Raises:
            UnknownModel: there is none.
        """
        return endpoints.named_model(self.models(), version)

    def drift(self, version: str = CHAMPION, days: float = 7.0) -> DriftDocument:
        """Whether what a version hears lately is like what its threshold was set on.

        Args:
            version: a version, or an alias.
            days: jobs that were started in them count.
        """
        return self._ask(endpoints.model_drift(version, days))

    def promote(self, version: str) -> ChampionDocument:
        """Make a version the champion, by its name or by an alias as `candidate`; jobs keep theirs.

        Raises:
            RequestRefused: there is no such version, it is damaged, or the champion is frozen.
        """
        return self._ask(endpoints.promote_model(version))

    def roll_back(self) -> ChampionDocument:
        """Make the champion before the last promotion the champion again, and freeze it.

        Raises:
            RequestRefused: no promotion stands.
        """
        return self._ask(endpoints.roll_back_champion())

    def freeze(self, *, frozen: bool = True) -> ChampionDocument:
        """Have the champion stay what it is, whatever is trained, or let it move again."""
        return self._ask(endpoints.freeze_champion(frozen=frozen))

    def retrain(self) -> RetrainingDocument:
        """Have a candidate trained from the labels that there are."""
        return self._ask(endpoints.retrain())

    def ready(self) -> Readiness:
        """Whether a job sent now would be worked on, and what is missing else."""
        return self._ask(endpoints.ready())
