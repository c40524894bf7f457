"""How far labellers agree, against a library's figure and published ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from shared.database.labels import Opinion
from shared.jobs.agreement import agreement_of, cohens_kappa, fleiss_kappa


def test_cohen_s_kappa_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    first = rng.choice(["angry", "calm", "sad"], 200)
    second = np.where(rng.random(200) < 0.6, first, rng.choice(["angry", "calm", "happy"], 200))
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert cohens_kappa(pairs) == pytest.approx(cohen_kappa_score(first, second))


def test_fleiss_kappa_is_that_of_the_example_that_is_often_printed() -> None:
    # Ten subjects, fourteen raters, five categories: kappa is 0.210 (Wikipedia, Fleiss' kappa).
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    clips = [{str(word): count for word, count in enumerate(row) if count} for row in table]
    assert fleiss_kappa(clips) == pytest.approx(0.210, abs=0.0005)


def test_only_clips_that_several_have_labelled_count() -> None:
    said = [(1, "ann", "sad"), (1, "ben", "sad"), (2, "ann", "calm"), (2, "ben", "sad"), (3, "ann", "calm"),
            (4, "ann", "calm"), (4, "ben", "calm")]  # fmt: skip
    told = agreement_of([Opinion(*one) for one in said])
    assert (told.labellers, told.clips, told.disputed) == (2, 3, 1)
    assert told.kappa == pytest.approx(cohens_kappa([("sad", "sad"), ("calm", "sad"), ("calm", "calm")]))
    three = agreement_of([Opinion(*one) for one in [*said, (1, "cleo", "sad")]])
    assert (three.labellers, three.kappa) == (
        3, pytest.approx(fleiss_kappa([{"sad": 3}, {"calm": 1, "sad": 1}, {"calm": 2}]))
    )  # fmt: skip


def test_what_is_not_defined_is_none() -> None:
    assert agreement_of([]).kappa is None
    assert cohens_kappa([("sad", "sad")] * 3) is None
    assert fleiss_kappa([{"sad": 3}] * 3) is None
