"""Retrain: labelled clips become a candidate, by the champion's recipe. Never promoted here.

The classes are the champion's labels that have enough examples; its unknowns, and labels with too few,
are what the threshold's rule takes for unknown. TensorFlow is imported here, so only inside the task.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import InfrastructureError
from shared.core.errors.models import NotEnoughLabels
from shared.database import labels
from shared.database.labels import Vote
from shared.database.leasing import LeaseLost
from shared.database.retrainings import RetrainingLease
from shared.jobs import retraining
from shared.jobs.agreement import majority
from shared.limits import decode_limits
from shared.models.data.datasets import NOT_STATED, Example
from shared.models.serving import registry
from shared.models.serving.manifest import Manifest
from shared.models.training.baseline import TrainingConfig
from shared.models.training.publication import train_version
from shared.models.training.recipes import successor
from shared.store.names import StoredObject
from shared.store.objects import Storage
from workers.renewal import Renewal
from workers.services import Services
from workers.work import LeasedWork

log = logging.getLogger(__name__)

SPEAKER_NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """An example and where its bytes lie."""

    example: Example
    sha256: str
    shard: StoredObject
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What a retraining learns from. drop: emotions that its network will not know."""

    clips: tuple[LabelledClip, ...]
    drop: list[str]


class StoredRecordings:
    """Labelled clips as the recordings of a training, each read by one ranged GET."""

    licence = credit = NOT_STATED

    def __init__(self, clips: Sequence[LabelledClip], storage: Storage) -> None:
        self.examples = tuple(sorted(clip.example for clip in clips))
        self._clips = {clip.example.path: clip for clip in clips}
        self._storage = storage

    def open(self, example: Example) -> BinaryIO:
        """The bytes of an example's recording, read as they are asked for."""
        clip = self._clips[example.path]
        return self._storage.open(clip.shard, clip.offset, clip.size)

    def sha256(self, example: Example) -> str:
        """The digest of an example's recording, as unpack has found it."""
        return self._clips[example.path].sha256


def choose(votes: Iterable[Vote], champion: Manifest, minimum: int) -> Choice:
    """One example for each recording: the emotion that most labellers gave it; ties are left out.

    The same bytes are one recording, wherever they were sent, so that no copy of a test clip is trained on; a
    labeller's last word on them counts.

    Args:
        votes: the oldest first.
        champion: whose labels and unknown emotions count.
        minimum: examples that a label needs, to be one that the network knows.

    Raises:
        NotEnoughLabels: fewer than two of the champion's labels have as many.
    """
    by_recording: dict[str, dict[str, Vote]] = {}
    for vote in votes:
        if vote.emotion in (*champion.labels, *champion.unknown_labels):
            by_recording.setdefault(vote.sha256, {})[vote.labeller] = vote
    clips = [clip for by_labeller in by_recording.values() if (clip := _agreed(list(by_labeller.values())))]
    counts = Counter(clip.example.emotion for clip in clips)
    known = [label for label in champion.labels if counts[label] >= minimum]
    if len(known) < 2:
        there = ", ".join(f"{label} {counts[label]}" for label in champion.labels)
        raise NotEnoughLabels(minimum=minimum, there=there)
    few = [label for label in champion.labels if label not in known]
    return Choice(tuple(clips), sorted({*champion.unknown_labels, *few}))


def _agreed(votes: Sequence[Vote]) -> LabelledClip | None:
    emotion = majority(vote.emotion for vote in votes)
    if emotion is None:
        return None
    named = [vote.speaker for vote in votes if vote.speaker]
    one = votes[-1]
    example = Example(f"{one.path} (clip {one.clip_id})", emotion, named[-1] if named else SPEAKER_NOT_STATED)
    return LabelledClip(example, one.sha256, StoredObject(one.object_key), one.offset, one.size)


def retrain(services: Services) -> str:
    """Train if it is due, and register the candidate; returns a sentence for Flower."""
    settings = services.settings
    lease = retraining.take(services.database, settings.retrain_every_s, settings.retrain_lease_s)
    return "nothing to do" if lease is None else Retraining(services, lease).perform()


class Retraining(LeasedWork):
    """The one retraining that is under way."""

    def __init__(self, services: Services, lease: RetrainingLease) -> None:
        self.services = services
        self.lease = lease
        lease_s = services.settings.retrain_lease_s
        self._renewed = Renewal(lambda: retraining.renew(services.database, lease, lease_s), lease_s)

    def run(self) -> str:
        """Train and register; or say why there is nothing to train from."""
        try:
            return self._train()
        except InfrastructureError:
            raise
        except VoxmoodError as error:
            return self._end(str(error))

    def give_back(self, *, keep: bool = False, pause: bool = False, crashed: bool = False) -> None:
        """As any leased work; nothing of a training is kept."""
        with suppress(LeaseLost):
            retraining.give_back(self.services.database, self.lease)

    def is_hopeless(self, error: Exception) -> bool:
        """All but what is outside and will be back."""
        return not isinstance(error, InfrastructureError)

    def give_up(self, error: Exception) -> str:
        """End it, and let the error go on: Flower shows it."""
        self._end(f"Went wrong: {error!r}; the log says more.")
        raise error

    def _end(self, text: str) -> str:
        retraining.end(self.services.database, self.lease, text)
        return text

    def _train(self) -> str:
        settings = self.services.settings
        champion = registry.read_manifest(settings.model_folders, self.services.champion())
        with self.services.database.read() as connection:
            new = labels.newly_labelled(connection)
            votes = labels.votes(connection, settings.retrain_max_labels)
        if not self.lease.asked and new < settings.retrain_min_labels:
            return self._end(f"Nothing to do: {new} newly labelled clips of {settings.retrain_min_labels}.")
        choice = choose(votes, champion, settings.retrain_min_examples)
        _remove_leftovers(settings.trained_dir)
        network = successor(champion.network)
        config = TrainingConfig(
            version=f"{network}-{datetime.now():%Y%m%d-%H%M%S}",
            network=network,
            drop=choice.drop,
            epochs=settings.retrain_epochs,
            base=champion.version,
        )
        manifest, left_out = train_version(
            StoredRecordings(choice.clips, self.services.storage),
            config,
            settings.trained_dir,
            decode_limits(settings),
            lambda *_: self._renewed(),
        )
        for sentence in left_out:
            log.info("left out: %s", sentence)
        return self._register(manifest)

    def _register(self, manifest: Manifest) -> str:
        text = (
            f"{manifest.version} is the candidate: {manifest.data.training_clips} clips to train, accuracy "
            f"{manifest.metrics.accuracy:.3f} on {manifest.data.test_clips}, threshold "
            f"{manifest.threshold:.2f}."
        )
        document = manifest.model_dump(mode="json")
        try:
            retraining.register(self.services.database, self.lease, manifest.version, document, text)
        except LeaseLost:
            shutil.rmtree(self.services.settings.trained_dir / manifest.version)
            raise
        return text


def _remove_leftovers(trained_dir: Path) -> None:
    """What a killed retraining was writing; whoever has the turn is alone here."""
    for folder in trained_dir.glob(".*"):
        shutil.rmtree(folder, ignore_errors=True)
