"""How many clips of a job have which outcome, in a few statements however many clips it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from shared.core.states import Outcome, WorkState
from shared.database.predictions import of_original
from shared.database.tables import clip, job, prediction, shard, unit


@dataclass(slots=True)
class Tally:
    """What stands of a job, counted as its result rows are.

    outcomes, copies: by upload, under the job's own version; copies are the duplicates among them, each with
    the outcome of the clip whose bytes it has. What unpack ended itself is on the upload's row, not here.
    others, others_ahead: under other versions, clips with an outcome of their own and clips still to come.
    """

    outcomes: dict[int, Counter[str]] = field(default_factory=dict)
    copies: Counter[int] = field(default_factory=Counter)
    others: int = 0
    others_ahead: int = 0

    def of(self, upload_id: int) -> Counter[str]:
        """The outcomes in one upload, to be read or added to."""
        return self.outcomes.setdefault(upload_id, Counter())


def tallies(connection: Connection, job_ids: Iterable[int], with_copies: Iterable[int]) -> dict[int, Tally]:
    """What stands of these jobs; with_copies: those of them whose uploads have duplicates at all.

    Units have their counts on their rows; duplicates are looked up one by one, along their index.
    """
    found = {job_id: Tally() for job_id in job_ids}
    sums = [func.sum(unit.c[outcome]).label(outcome) for outcome in Outcome]
    first, *others = (unit.c[outcome] for outcome in Outcome)
    answered = sum(others, start=first)
    ahead = func.sum(case((unit.c.state == WorkState.DONE, 0), else_=shard.c.clips - answered)).label("ahead")
    own = (unit.c.model_version == job.c.model_version).label("own")
    units = (
        select(unit.c.job_id, shard.c.upload_id, own, ahead, *sums)
        .join(job, job.c.id == unit.c.job_id)
        .join(shard, shard.c.id == unit.c.shard_id)
        .where(unit.c.job_id.in_(list(found)))
        .group_by(unit.c.job_id, shard.c.upload_id, own)
    )
    for row in connection.execute(units).mappings():
        tally = found[row["job_id"]]
        if row["own"]:
            tally.of(row["upload_id"]).update({outcome: int(row[outcome]) for outcome in Outcome})
        else:
            tally.others += sum(int(row[outcome]) for outcome in Outcome)
            tally.others_ahead += int(row["ahead"])
    for row in connection.execute(_copies(list(with_copies))).mappings():
        tally = found[row["job_id"]]
        tally.of(row["upload_id"])[row["outcome"]] += row["count"]
        tally.copies[row["upload_id"]] += row["count"]
    return found


def _copies(job_ids: Sequence[int]) -> Select[Any]:
    place = clip.c.job_id, clip.c.upload_id, prediction.c.outcome
    return (
        select(*place, func.count().label("count"))
        .select_from(clip)
        .join(job, job.c.id == clip.c.job_id)
        .join(prediction, of_original(job.c.model_version))
        .where(clip.c.job_id.in_(job_ids), clip.c.duplicate_of.is_not(None))
        .group_by(*place)
    )
