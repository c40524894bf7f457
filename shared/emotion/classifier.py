"""From recordings to outcomes under one model version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

import numpy as np

from shared.audio.decode import DecodeLimits, Recording, decode
from shared.audio.features import Floats, features, fixed_length
from shared.emotion.registry import Folders, Manifest, folder_of, verify
from shared.emotion.rejection import CLASSIFIED, FAILED, NO_VOICE, REJECTED, message
from shared.emotion.runtimes import Network, load_network
from shared.errors.recordings import ClipError
from shared.settings import Runtime, Settings

BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clip.

    emotion: only when classified; confidence: the highest of `probabilities`; threshold: what it was held
    against; duration_s: of the whole recording; error_code, error: only when failed.
    """

    path: str
    outcome: str
    emotion: str | None = None
    confidence: float | None = None
    threshold: float | None = None
    duration_s: float | None = None
    error_code: str | None = None
    error: str | None = None
    probabilities: dict[str, float] | None = None
    unknown_labels: tuple[str, ...] = ()

    @classmethod
    def failed(cls, path: str, error: ClipError) -> Self:
        return cls(path, FAILED, error_code=error.code, error=str(error))

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return message(
            self.outcome,
            emotion=self.emotion,
            confidence=self.confidence,
            threshold=self.threshold,
            unknown_labels=self.unknown_labels,
            error=self.error,
        )


class Classifier:
    """A loaded model version; one a process, not for several threads at once.

    A clip's probabilities do not depend on its neighbours: features are computed clip by clip, and every
    call of the network has the same shape, filled up with zeros. A clip costs 1.0 ms to decode (3 s
    of 16 kHz FLAC), 2.1 ms for the features and 0.8 ms in the network, one thread.
    """

    def __init__(self, manifest: Manifest, network: Network, limits: DecodeLimits) -> None:
        self.manifest = manifest
        self._network = network
        self._limits = limits

    @classmethod
    def load(
        cls,
        models: Folders,
        version: str,
        *,
        runtime: Runtime | None = None,
        threads: int = 1,
        limits: DecodeLimits | None = None,
    ) -> Self:
        """Verify a version's files and load its network.

        threads: of the runtime; runtime and limits: those of the settings unless given.
        Raises UnknownModel, DamagedModel, UnsafeModel or DoesNotRun.
        """
        settings = Settings()
        manifest = verify(models, version)
        folder = folder_of(models, version)
        network = load_network(folder, manifest, runtime or settings.runtime, threads)
        return cls(manifest, network, limits or DecodeLimits.of(settings))

    def warm(self, batch_clips: int = BATCH_CLIPS) -> None:
        """Run everything once, so that the first clip is as fast as the others."""
        silence = np.zeros(self.manifest.feature_spec.n_samples, np.float32)
        self._probabilities([Recording(silence, duration_s=3.0, peak=0.0)], batch_clips)

    def classify(
        self,
        clips: Sequence[tuple[str, bytes | BinaryIO]],
        threshold: float | None = None,
        batch_clips: int = BATCH_CLIPS,
    ) -> list[Verdict]:
        """An outcome for each (path, content), in their order; threshold: the version's unless given.

        A ClipError becomes that clip's `failed` outcome. What a content raises when read (a store that is
        gone) is no fault of the clip and is raised.
        """
        limit = self.manifest.threshold if threshold is None else threshold
        verdicts: list[Verdict] = []
        for start in range(0, len(clips), batch_clips):
            batch = clips[start : start + batch_clips]
            decoded = [self._decode(path, content) for path, content in batch]
            heard = [item for item in decoded if isinstance(item, Recording)]
            rows = iter(self._probabilities(heard, batch_clips))
            for (path, _), item in zip(batch, decoded, strict=True):
                judged = item if isinstance(item, Verdict) else self._judge(path, item, next(rows), limit)
                verdicts.append(judged)
        return verdicts

    def _decode(self, path: str, content: bytes | BinaryIO) -> Recording | Verdict:
        spec = self.manifest.feature_spec
        try:
            recording = decode(
                content, path, sampling_rate=spec.sampling_rate, seconds=spec.seconds, limits=self._limits
            )
        except ClipError as error:
            return Verdict.failed(path, error)
        if recording.is_silent:
            return Verdict(path, NO_VOICE, duration_s=recording.duration_s)
        return recording

    def _probabilities(self, recordings: Sequence[Recording], batch_clips: int) -> Floats:
        """(n, labels) for n <= batch_clips recordings.

        One shape for all calls: Keras traces each shape anew.
        """
        spec = self.manifest.feature_spec
        if not recordings:
            return np.empty((0, len(self.manifest.labels)), np.float32)
        samples = np.stack([fixed_length(recording.samples, spec) for recording in recordings])
        batch = np.zeros((batch_clips, *spec.shape), np.float32)
        batch[: len(recordings)] = features(samples, spec)
        return self._network(batch)[: len(recordings)]

    def _judge(self, path: str, recording: Recording, row: Floats, threshold: float) -> Verdict:
        probabilities = dict(zip(self.manifest.labels, row.tolist(), strict=True))
        emotion = max(probabilities, key=probabilities.__getitem__)
        is_sure = probabilities[emotion] >= threshold
        return Verdict(
            path,
            CLASSIFIED if is_sure else REJECTED,
            emotion=emotion if is_sure else None,
            confidence=probabilities[emotion],
            threshold=threshold,
            duration_s=recording.duration_s,
            probabilities=probabilities,
            unknown_labels=tuple(self.manifest.unknown_labels),
        )
