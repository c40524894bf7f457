"""The recipe of v8-small: v8's without its encoder, taught by the labels and by what v8 says.

The teacher is fitted on the pupil's own clips, no others, so what holds of the labels holds of it: nothing of
those who judge or choose reaches the pupil (distillation: Hinton et al. 2015, arXiv:1503.02531).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import softmax

from shared.audio.features import Floats
from shared.audio.spec import VOICE_V7
from shared.emotion.calibration import Logits
from shared.emotion.committee import Advance, epochs_of, fit_committee, learn_crosswise
from shared.emotion.folds import Indices
from shared.emotion.learning import Fits, Learnt, Lesson
from shared.emotion.masked import masked
from shared.emotion.training import Recipe, Report


def learn_pupil(lesson: Lesson, recipe: Recipe, report: Report, fits: Fits | None = None) -> Learnt:
    """As `learn_committee`, of a lesson with what the teacher is fed: each network is fitted after a teacher
    of its own. The pupil's are fed the beginning of each row."""
    return learn_crosswise(fit_pupil, 2 * epochs_of(recipe), lesson, recipe, report, fits)


def fit_pupil(
    lesson: Lesson, train: Indices, recipe: Recipe, advance: Advance
) -> tuple[Any, dict[str, list[float]]]:
    """As `fit_committee`, first of the teacher, then of the pupil."""
    teacher, _ = fit_committee(lesson, train, recipe, advance)
    return fit_committee(_without_encoder(lesson), train, recipe, advance, _said(teacher, lesson, train))


def _said(teacher: Any, lesson: Lesson, train: Indices) -> Floats:
    """(versions, n, labels), the teacher's probabilities, of a corpus' clips over its own emotions alone."""
    logits, asked = Logits(teacher), lesson.asked[train]
    versions = lesson.features, *lesson.copies
    found = [softmax(masked(logits(rows[train]), asked), axis=1) for rows in versions]
    return np.asarray(np.stack(found), np.float32)


def _without_encoder(lesson: Lesson) -> Lesson:
    (width,) = VOICE_V7.shape
    return replace(
        lesson, spec=VOICE_V7, features=lesson.features[:, :width], copies=lesson.copies[..., :width]
    )
