"""Uploads: a raw body, resumable at its last acknowledged part; a form for the store; a prefix in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from api import limits, receiving
from api.access import Follower, OwnJob, Submitter
from api.jobs import document, find, jobs_path, lock_open_job
from api.receiving import Receiver
from api.services import Services, Wired
from shared.core.errors.access import FormWithoutSize
from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import StoreUnavailable
from shared.core.errors.requests import (
    NoPublicStore,
    SourceEmpty,
    SourceRefused,
    UnknownUpload,
    UploadExists,
    WrongRange,
)
from shared.database import uploads
from shared.jobs.status import upload_document
from shared.store.names import StoredObject
from voxmood.documents import FormRequest, JobDocument, SourceRequest, UploadDocument, UploadForm

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["uploads"])
PRESIGNED_S = 3600
UploadName = Annotated[str, Path(min_length=1, max_length=1000, description="as results will name it")]
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)", re.ASCII)
_SOURCE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{2,62})/(.*)", re.DOTALL)


@router.put(
    "/uploads/{name:path}",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "an archive or a recording; with Content-Range its rest, from the next byte on",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_upload(
    job_id: OwnJob,
    name: UploadName,
    request: Request,
    services: Wired,
    caller: Submitter,
    response: Response,
    # HTTP itself says it, and its parser refuses a wrong one before us: no part of the document.
    content_length: Annotated[int | None, Header(ge=0, include_in_schema=False)] = None,
    content_range: Annotated[str | None, Header()] = None,
) -> UploadDocument:
    """Send one archive or recording as the raw body.

    Broken off, it goes on at `bytes` of `GET …/uploads/{name}`: with `Content-Range: bytes N-M/TOTAL`.
    Without that header it begins anew.
    """
    if content_range is None:
        await run_in_threadpool(receiving.check_room, services, name, content_length)
    body = await limits.begun(request.stream())  # drippers shall take no row, and no place
    response.headers["Location"] = _location(job_id, name)
    with services.uploads.slot(caller.key_id):
        return await _receive(services, job_id, name, content_length, content_range, body)


async def _receive(
    services: Services,
    job_id: int,
    name: str,
    content_length: int | None,
    content_range: str | None,
    body: AsyncIterator[bytes],
) -> UploadDocument:
    if content_range is None:
        row = await run_in_threadpool(receiving.begin, services, job_id, name, content_length)
    elif given := _RANGE.fullmatch(content_range):
        row = await run_in_threadpool(receiving.go_on, services, job_id, name, int(given[1]))
    else:
        raise WrongRange(value=content_range)
    receiver = Receiver(services, row)
    try:
        return await receiver.receive(body)
    except BaseException as error:
        # A refused upload leaves nothing. One that broke off keeps its acknowledged parts.
        refused = isinstance(error, VoxmoodError) and not isinstance(error, StoreUnavailable)
        if refused or not receiver.acknowledged:
            await run_in_threadpool(receiver.forget)
        raise


@router.get("/uploads/{name:path}")
def show_upload(job_id: OwnJob, name: UploadName, services: Wired, _: Follower) -> UploadDocument:
    """One upload. While it is `receiving`, `bytes` says where to go on."""
    with services.database.read() as connection:
        find(connection, job_id)
        row = uploads.upload_named(connection, job_id, name)
    if row is None:
        raise UnknownUpload(job=job_id, name=name)
    return upload_document(row)


@router.post("/uploads", status_code=201)
def create_form(
    job_id: OwnJob, request: FormRequest, services: Wired, caller: Submitter, response: Response
) -> UploadForm:
    """A form with which a file goes straight to the store; the job's start looks whether it came."""
    settings = services.settings
    if settings.s3_public_url is None:
        raise NoPublicStore
    if request.bytes is None and caller.key_id is not None:
        raise FormWithoutSize
    receiving.check_room(services, request.name, request.bytes)
    row = receiving.begin(services, job_id, request.name, request.bytes)
    most = request.bytes or settings.max_upload_bytes
    form = services.storage.presigned_post(row.object_key, most, PRESIGNED_S, settings.s3_public_url)
    response.headers["Location"] = _location(job_id, request.name)
    return UploadForm.model_validate(form | {"expires_s": PRESIGNED_S})


@router.post("/sources", status_code=201)
def add_source(
    job_id: OwnJob, request: SourceRequest, services: Wired, _: Submitter, response: Response
) -> JobDocument:
    """Take the archives and recordings under a prefix of the store as uploads; they stay where they are."""
    allowed = services.settings.source_buckets
    given = _SOURCE.fullmatch(request.url)
    if not given or given[1] not in allowed:
        raise SourceRefused(url=request.url, allowed=", ".join(allowed) or "none")
    bucket, prefix = given[1], given[2]
    objects = services.storage.objects(bucket, prefix, services.settings.max_source_objects)
    if not objects:
        raise SourceEmpty(url=request.url)
    _insert_sources(services, job_id, objects)
    response.headers["Location"] = jobs_path(job_id)
    return document(services, job_id)


def _location(job_id: int, name: str) -> str:
    return f"{jobs_path(job_id)}/uploads/{quote(name)}"


def _insert_sources(services: Services, job_id: int, objects: list[tuple[StoredObject, int]]) -> None:
    with services.database.write() as connection:
        lock_open_job(connection, job_id)
        names = uploads.upload_names(connection, job_id)
        for stored, _ in objects:
            if stored.key in names:
                raise UploadExists(job=job_id, name=stored.key)
        uploads.insert_sources(connection, job_id, objects)
