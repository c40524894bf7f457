"""What `voxmood evaluate` is asked, as a value; apart from the answer, which takes long to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Protocol(StrEnum):
    """The questions that `voxmood evaluate` can ask; docs/evaluation.md explains each."""

    SEED = "seed"
    SPEAKER = "speaker"
    OPEN_SET = "open-set"
    CONDITIONS = "conditions"
    CORPUS = "corpus"


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """What to evaluate. drop: emotions left out of learning, the unknowns of open-set; folds: a file for
    `read_folds`, of the protocols that hold speakers out; select_on_test: the seed's habit too, beside the
    honest choice; seeds: how many, from 42 on, each with splits and weights of its own; epochs: of each
    training, at most (None: as the network's method has it).
    """

    protocol: Protocol
    network: str = "seed"
    drop: Sequence[str] = ()
    folds: Path | None = None
    select_on_test: bool = False
    seeds: int = 1
    epochs: int | None = None
