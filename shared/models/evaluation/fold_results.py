"""What one fold found, as values and as two files: logits of all its clips (npz), and the rest (JSON)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from shared.core.files import written_whole
from shared.models.data.folds import Indices, Words
from shared.models.metrics.calibration import SCORES, Threshold, Values


class FoldFacts(BaseModel):
    """What was learnt and chosen. identity: SHA-256 of all it follows from; digest: of what was learnt."""

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
    """What the network said to some clips: logits (n, classes) before the temperature; paths, emotions and
    channels (speech, song or nothing), each (n,).
    """

    logits: Values
    paths: Words
    emotions: Words
    channels: Words

    def only(self, chosen: NDArray[np.bool_]) -> FoldOutputs:
        return FoldOutputs(
            self.logits[chosen], self.paths[chosen], self.emotions[chosen], self.channels[chosen]
        )


@dataclass(frozen=True, slots=True)
class FoldResult:
    """A fold's finding, and its parts: inner, tuning, test, unknown, and in open-set non_speech."""

    finding: FoldFacts
    parts: dict[str, FoldOutputs]

    def scores(self, part: str, score: str) -> Values:
        """One of `calibration.SCORES` of each clip of a part, (n,)."""
        return SCORES[score](self.parts[part].logits, self.finding.temperature, len(self.finding.labels))

    def classes(self, part: str) -> Indices:
        """The true classes of the clips of a known part, (n,), indices of the labels."""
        return np.searchsorted(self.finding.labels, self.parts[part].emotions)

    def only(self, channel: str) -> FoldResult:
        """The same training, judged by the speech or the song of its test part alone."""
        test = self.parts["test"]
        return FoldResult(self.finding, {**self.parts, "test": test.only(test.channels == channel)})

    @classmethod
    def read(cls, folder: Path, identity: str) -> Self | None:
        """The outcome as it was written into a folder; None if it is not there."""
        file = _file(folder, identity)
        if not file.is_file():
            return None
        finding = FoldFacts.model_validate_json(file.read_bytes())
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
            names = sorted({name.split(".")[0] for name in arrays.files})
            parts = {
                name: FoldOutputs(*(arrays[f"{name}.{field}"] for field in FoldOutputs.__dataclass_fields__))
                for name in names
            }
        return cls(finding, parts)

    def write(self, folder: Path) -> None:
        """Both files, the JSON last and at once: where it is, all is."""
        file = _file(folder, self.finding.identity)
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{name}.{field}": values
            for name, heard in self.parts.items()
            for field, values in asdict(heard).items()
        }
        np.savez_compressed(file.with_suffix(".npz"), allow_pickle=False, **arrays)
        with written_whole(file) as partial:
            partial.write_text(self.finding.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _file(folder: Path, identity: str) -> Path:
    return folder / "folds" / f"{identity[:16]}.json"
