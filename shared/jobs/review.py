"""The clips of a job that are most worth a label, and what its labels say of its accuracy."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from shared.core.states import Outcome
from shared.database import review
from shared.database.review import ReviewedClip, ReviewRow
from shared.database.sessions import Connection, Database
from shared.jobs.agreement import majority
from voxmood.documents import AccuracyDocument, ShareDocument

RANDOM_SHARE = 0.4  # of what is asked for, while the sample lasts
DISAGREEING_SHARE = 0.2  # of each kind
Z = 1.959964  # of the normal distribution: 95 % lie within it on both sides


def worth_a_label(database: Database, job_id: int, model_version: str, limit: int) -> list[ReviewRow]:
    """The clips without a label that are most worth one.

    Some are of the random sample, some those that windows or versions disagree on, the others next to the
    threshold.

    Args:
        database: where the job is.
        job_id: of a job that has ended.
        model_version: whose answers are reviewed.
        limit: how many, at most.

    Returns:
        Each clip once, those of the sample first.
    """
    asked = job_id, model_version
    with database.read() as connection:
        drawn = [] if review.has_sample(connection, job_id) else review.drawn_clips(connection, *asked)
    if drawn:
        with database.write() as connection:
            review.insert_sample(connection, database, job_id, drawn)
    of_kind = math.ceil(DISAGREEING_SHARE * limit)
    with database.read() as connection:
        found = [
            *review.sampled(connection, *asked, math.ceil(RANDOM_SHARE * limit)),
            *review.versions_disagree(connection, *asked, of_kind),
            *review.windows_disagree(connection, *asked, of_kind),
            *review.near_threshold(connection, *asked, limit),
        ]
    once: dict[int, ReviewRow] = {}
    for row in found:
        once.setdefault(row.clip_id, row)
    return list(once.values())[:limit]


def accuracies(connection: Connection, versions: dict[int, str]) -> dict[int, AccuracyDocument]:
    """The estimated accuracy of those of some jobs whose samples have labels.

    Args:
        connection: to read.
        versions: the version whose answers are meant, by job.
    """
    by_job: dict[int, list[ReviewedClip]] = defaultdict(list)
    for row in review.reviewed(connection, versions):
        by_job[row.job_id].append(row)
    estimated = ((job_id, accuracy_of(rows)) for job_id, rows in by_job.items())
    return {job_id: accuracy for job_id, accuracy in estimated if accuracy is not None}


def accuracy_of(rows: Iterable[ReviewedClip]) -> AccuracyDocument | None:
    """The accuracy by the labels of a random sample; None where no clip has an agreed label.

    What most labellers say of a clip counts; a clip on which as many say something else is left out.
    """
    by_clip: dict[int, list[ReviewedClip]] = defaultdict(list)
    for row in rows:
        by_clip[row.clip_id].append(row)
    right: dict[Outcome, list[bool]] = {Outcome.CLASSIFIED: [], Outcome.REJECTED: []}
    for of_clip in by_clip.values():
        agreed = majority(row.emotion for row in of_clip)
        if agreed is not None:
            first = of_clip[0]
            right[first.outcome].append(first.best_guess == agreed)
    every = [*right[Outcome.CLASSIFIED], *right[Outcome.REJECTED]]
    if not every:
        return None
    return AccuracyDocument(
        reviewed=len(every), all=_share(every), accepted=_share(right[Outcome.CLASSIFIED])
    )


def _share(right: Sequence[bool]) -> ShareDocument | None:
    if not right:
        return None
    low, high = wilson(sum(right), len(right))
    return ShareDocument(clips=len(right), share=sum(right) / len(right), low=low, high=high)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share.

    Args:
        count: how many of them are.
        total: how many there are, above 0.

    Source: Wilson 1927, JASA 22, 209-212.

    >>> [round(bound, 3) for bound in wilson(80, 100)]
    [0.711, 0.867]
    """
    share, z = count / total, Z * Z / total
    middle = share + z / 2
    half = Z * math.sqrt(share * (1 - share) / total + z / (4 * total))
    return max(0.0, (middle - half) / (1 + z)), min(1.0, (middle + half) / (1 + z))
