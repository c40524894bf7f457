"""Review: which clips of a job are most worth a label."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from api.access import LabelReader, OwnJob
from api.jobs import find
from api.models import aliases
from api.services import Wired
from shared.core.errors.requests import WrongJobState
from shared.core.states import ENDED
from shared.jobs import review
from shared.models.serving import registry
from voxmood.documents import ReviewClip, ReviewQueue

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["labels"])


@router.get("/review")
def review_queue(
    job_id: OwnJob,
    services: Wired,
    _: LabelReader,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    model: Annotated[str | None, Query(description="a model version; else the job's")] = None,
) -> ReviewQueue:
    """The clips most worth a label, of a job that has ended. POST /v1/labels takes what people say of them.

    Up to four tenths are of a sample of the job, drawn at random once: label all of these, and the job says
    how often its answers are right. The others are those whose windows or versions disagree, and those next
    to the threshold.
    """
    with services.database.read() as connection:
        row = find(connection, job_id)
    if row.state not in ENDED:
        allowed = " or ".join(ENDED)
        raise WrongJobState(job=job_id, state=row.state, allowed=allowed, action="reviewed")
    version = row.model_version
    if model is not None:
        named = aliases(services).get(model, model)
        version = registry.read_manifest(services.settings.model_folders, named).version
    found = review.worth_a_label(services.database, job_id, version, limit)
    with services.database.read() as connection:
        accuracy = review.accuracies(connection, {job_id: version}).get(job_id)
    clips = [ReviewClip(**asdict(one), best_guess=one.best_guess) for one in found]
    return ReviewQueue(clips=clips, accuracy=accuracy)
