"""Sentences and figures for people, as commands and page say them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from voxmood.states import Outcome

if TYPE_CHECKING:
    from voxmood.documents import AccuracyDocument, AgreementDocument, Counts, JobDocument

MOST_DIGITS = 17  # two different doubles differ in them


def pace(clips_per_s: float) -> str:
    """A rate that is never rounded to nothing.

    >>> pace(350.4), pace(0.25)
    ('350 clips/s', '0.25 clips/s')
    """
    return f"{clips_per_s:,.0f} clips/s" if clips_per_s >= 10 else f"{clips_per_s:.2g} clips/s"


def clips(counts: Counts) -> str:
    """How many clips have an outcome, and of how many that were found, where that is not all.

    >>> from voxmood.documents import Counts
    >>> none = dict.fromkeys(Counts.model_fields, 0)
    >>> clips(Counts(**none | {"done": 4, "clips": 4})), clips(Counts(**none | {"done": 4, "clips": 1200}))
    ('4 clips', '4 of 1,200 clips')
    """
    done, found = counts.done, counts.clips
    return f"{done:,} clips" if done == found else f"{done:,} of {found:,} clips"


def job_sentence(job: JobDocument) -> str:
    """What has become of a job, in a line, a line for each upload in trouble, and how often it is right."""
    counts = job.counts
    numbers = {outcome: int(getattr(counts, outcome)) for outcome in Outcome}
    of_them = ", ".join(f"{number:,} {key.replace('_', ' ')}" for key, number in numbers.items() if number)
    if counts.duplicates:
        of_them += f"; {counts.duplicates:,} of them duplicates"
    rate = job.progress.clips_per_s
    speed = f" at {pace(rate)}" if rate else ""
    lines = [
        f"Job {job.id} is {job.state}: {clips(counts)}" + (f" ({of_them})" if of_them else "") + speed + "."
    ]
    lines += [f"  {upload.error}" for upload in job.uploads if upload.error]
    if job.accuracy is not None:
        lines.append(accuracy_sentence(job.accuracy))
    return "\n".join(lines)


def accuracy_sentence(accuracy: AccuracyDocument) -> str:
    """How often answers are right, as a sample says, with its interval.

    >>> from voxmood.documents import AccuracyDocument, ShareDocument
    >>> share = ShareDocument(clips=40, share=0.9, low=0.77, high=0.96)
    >>> accuracy_sentence(AccuracyDocument(reviewed=60, all=None, accepted=share))
    'Of 60 clips reviewed at random, right of what is classified: 90% (77 to 96%, of 40).'
    """
    shares = ((accuracy.all, "right of all best guesses"), (accuracy.accepted, "right of what is classified"))
    told = [
        f"{words}: {one.share:.0%} ({100 * one.low:.0f} to {one.high:.0%}, of {one.clips:,})"
        for one, words in shares
        if one is not None
    ]
    return f"Of {accuracy.reviewed:,} clips reviewed at random, {'; '.join(told)}."


def agreement_sentence(agreement: AgreementDocument) -> str:
    """How far labellers agree.

    >>> from voxmood.documents import AgreementDocument
    >>> agreement_sentence(AgreementDocument(labellers=2, clips=40, disputed=6, kappa=0.812))
    '2 labellers have 40 clips in common and disagree on 6: kappa 0.81.'
    """
    told = "not defined" if agreement.kappa is None else f"{agreement.kappa:.2f}"
    return (
        f"{agreement.labellers} labellers have {agreement.clips:,} clips in common and disagree on "
        f"{agreement.disputed:,}: kappa {told}."
    )


def below(confidence: float, threshold: float) -> str:
    """That a confidence is below a threshold, with as many digits as it takes to be true.

    >>> below(0.57, 0.85), below(0.79996, 0.8)
    ('0.57 < 0.85', '0.79996 < 0.80000')
    """
    digits = next((one for one in range(2, MOST_DIGITS) if _differ(confidence, threshold, one)), MOST_DIGITS)
    return f"{confidence:.{digits}f} < {threshold:.{digits}f}"


def _differ(confidence: float, threshold: float, digits: int) -> bool:
    return f"{confidence:.{digits}f}" != f"{threshold:.{digits}f}"


def digits_below(pairs: Iterable[tuple[float, float]]) -> int:
    """How many digits a column of confidences needs, so that each pair (confidence, threshold) differs.

    >>> digits_below([(0.5, 0.8), (0.7996, 0.8)])
    4
    """
    return max((len(below(*pair).split(" < ")[0]) - 2 for pair in pairs), default=2)
