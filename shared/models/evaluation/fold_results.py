"""The result of one fold as values and as two files: logits of its clips (npz), and the rest (JSON)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from shared.models.data.folds import Indices, Words
from shared.models.metrics.calibration import SCORES, Threshold, Values
from voxmood.files import written_whole


class Part(StrEnum):
    """The clips of a fold that are tested: of known emotions, of unknown ones, and sounds without a voice."""

    TEST = "test"
    UNKNOWN = "unknown"
    NON_SPEECH = "non_speech"


class FoldFacts(BaseModel):
    """What the training of a fold resulted in.

    Attributes:
        identity: SHA-256 of everything that it follows from.
        digest: SHA-256 of weights, epoch, temperature and thresholds.
    """

    identity: str
    name: str
    seed: int
    selects_on_test: bool
    labels: list[str]
    train_clips: int
    temperature: float
    thresholds: list[Threshold]
    epochs: int
    best_epoch: int
    train_accuracy: float
    digest: str


@dataclass(frozen=True, slots=True)
class FoldOutputs:
    """The outputs of the network for some clips.

    Attributes:
        logits: before the temperature, shape (n, classes).
        paths: of the clips, shape (n,).
        emotions: of the clips, shape (n,).
        channels: speech, song or empty, shape (n,).
    """

    logits: Values
    paths: Words
    emotions: Words
    channels: Words

    def only(self, chosen: NDArray[np.bool_]) -> FoldOutputs:
        """Those clips for which `chosen`, shape (n,), is true."""
        return FoldOutputs(
            self.logits[chosen], self.paths[chosen], self.emotions[chosen], self.channels[chosen]
        )


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The result of a fold.

    Attributes:
        facts: of its training.
        parts: the outputs for each; those for sounds only with the protocol open-set.
    """

    facts: FoldFacts
    parts: dict[Part, FoldOutputs]

    def scores(self, part: Part, score: str) -> Values:
        """A score of each clip of a part, shape (n,).

        Args:
            part: a key of `parts`.
            score: a key of `calibration.SCORES`.
        """
        return SCORES[score](self.parts[part].logits, self.facts.temperature, len(self.facts.labels))

    def classes(self, part: Part) -> Indices:
        """The true classes of the clips of a part with known emotions: indices of the labels, shape (n,)."""
        return np.searchsorted(self.facts.labels, self.parts[part].emotions)

    def only(self, channel: str) -> FoldResult:
        """The same training, tested only on the speech or the song of its test part."""
        test = self.parts[Part.TEST]
        return FoldResult(self.facts, {**self.parts, Part.TEST: test.only(test.channels == channel)})

    @classmethod
    def read(cls, folder: Path, identity: str) -> Self | None:
        """Read a result from a folder; None if it is not there."""
        file = _file(folder, identity)
        if not file.is_file():
            return None
        facts = FoldFacts.model_validate_json(file.read_bytes())
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
            names = {name.split(".")[0] for name in arrays.files}
            parts = {
                part: FoldOutputs(*(arrays[f"{part}.{field}"] for field in FoldOutputs.__dataclass_fields__))
                for part in sorted(Part)
                if part in names
            }
        return cls(facts, parts)

    def write(self, folder: Path) -> None:
        """Write both files, the JSON last and at once: where it is, the result is complete."""
        file = _file(folder, self.facts.identity)
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{part}.{field}": values
            for part, outputs in self.parts.items()
            for field, values in asdict(outputs).items()
        }
        np.savez_compressed(file.with_suffix(".npz"), allow_pickle=False, **arrays)
        with written_whole(file) as partial:
            partial.write_text(self.facts.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _file(folder: Path, identity: str) -> Path:
    return folder / "folds" / f"{identity[:16]}.json"
