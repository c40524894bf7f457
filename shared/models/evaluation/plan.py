"""What `voxmood evaluate` is asked for, as a value, apart from the code that does it (slow to import)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Protocol(StrEnum):
    """The protocols of `voxmood evaluate`; docs/evaluation.md explains each."""

    BASELINE = "seed"
    SPEAKER = "speaker"
    OPEN_SET = "open-set"
    CONDITIONS = "conditions"
    CORPUS = "corpus"


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What to evaluate.

    Attributes:
        protocol: how clips are split.
        network: a key of `RECIPES`.
        drop: emotions that are left out of training, the unknown ones of open-set.
        folds: a file for `read_folds`, for protocols that hold speakers out.
        select_on_test: also evaluate the baseline's habit of selecting the epoch on the test part.
        seeds: how many, from 42 on, each with splits and weights of its own.
        epochs: of each training at most; None: the network's own number.
    """

    protocol: Protocol
    network: str = "seed"
    drop: Sequence[str] = ()
    folds: Path | None = None
    select_on_test: bool = False
    seeds: int = 1
    epochs: int | None = None
