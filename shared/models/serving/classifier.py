"""From recordings to outcomes under one model version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.arrays import Floats
from shared.audio.cutting import Window, windows_of
from shared.audio.decode import Stream, decode
from shared.audio.features import fixed_length
from shared.audio.levels import levels
from shared.audio.limits import DecodeLimits
from shared.audio.rumble import without_rumble
from shared.audio.windows import Windows
from shared.core.errors.recordings import ClipError, HeardInPart, TooManyWindows
from shared.core.settings import Runtime, Settings
from shared.core.states import Outcome
from shared.limits import decode_limits
from shared.models.serving.artefacts import Folders
from shared.models.serving.clip_progress import ClipProgress, WindowVoice
from shared.models.serving.clip_results import ClipResult, Segment
from shared.models.serving.detectors import Detector, detector
from shared.models.serving.devices import BATCH_CLIPS
from shared.models.serving.encoders import Features, feature_maker
from shared.models.serving.manifest import Manifest
from shared.models.serving.registry import folder_of, verify
from shared.models.serving.runtimes import Network, load_network

# Windows: a call of 512 takes 375 MB on top under v7, and 810 with their features all at once.
FEATURES_AT_ONCE = 32
NO_VOICE_ABOVE = 0.5  # then no emotion can be as likely
AS_CLIPS = Windows()


class Classifier:
    """A loaded model version: one a process, not for several threads at once.

    The probabilities of a clip do not depend on its neighbours, because features are computed window by
    window. A clip takes 1.1 ms to decode (FLAC of 16 kHz) and, under v7, 7 ms for features and network, on
    one thread.
    """

    def __init__(
        self,
        manifest: Manifest,
        features: Features,
        network: Network,
        limits: DecodeLimits,
        detect: Detector | None = None,
    ) -> None:
        """Put a version together from loaded parts; `load` does it for a version on disk.

        Args:
            manifest: of the version.
            features: computes features of windows.
            network: computes probabilities of features.
            limits: of the recordings.
            detect: says how much voice there is; None: the network itself knows "no voice", or nothing does.
        """
        self.manifest = manifest
        self._features = features
        self._network = network
        self._limits = limits
        self._detect = detect

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
        """Verify the files of a version and load its network, and the encoder and detector that it names.

        Args:
            models: the folders in which versions are looked up.
            version: its name.
            runtime: what runs the network; None: that of the settings.
            threads: of the runtime and of the encoder.
            limits: of the recordings; None: those of the settings.

        Raises:
            UnknownModel: there is no such version.
            DamagedModel: a file has changed or is missing.
            UnsafeModel: a file holds more than weights.
            DoesNotRun: the runtime cannot run the network.
            NoGpu: a GPU is demanded, but there is none.
            GpuDiffers: a GPU is demanded, but computes something else than the CPU.
        """
        settings = Settings()
        manifest = verify(models, version)
        folder = folder_of(models, version)
        network = load_network(folder, manifest, runtime or settings.runtime, threads, settings.device)
        make = feature_maker(manifest.feature_spec, models, threads)
        named = manifest.voice_detector
        detect = None if named is None else detector(named, models)
        return cls(manifest, make, network, limits or decode_limits(settings), detect)

    def warm(self) -> None:
        """Run everything once, so that the first clip is as fast as the others."""
        spec = self.manifest.feature_spec
        noise = np.random.default_rng(0).normal(0, 0.1, spec.n_samples).astype(np.float32)
        self._features_and_voices([(ClipProgress("noise"), Window(0, 0.0, 0.0, noise, peak=1.0))])
        self._network(self._features(noise[np.newaxis]))  # a detector keeps noise from them

    def batch_size(self, asked: int | None = None) -> int:
        """How many windows a call of the network gets.

        Args:
            asked: the number of the settings (VOXMOOD_BATCH_CLIPS); None: what suits the device.
        """
        return asked or BATCH_CLIPS[self._network.processor]

    def classify(
        self,
        clips: Sequence[tuple[str, bytes | BinaryIO]],
        threshold: float | None = None,
        batch_clips: int | None = None,
        windows: Windows = AS_CLIPS,
        between: Callable[[], None] = lambda: None,
    ) -> list[ClipResult]:
        """Classify recordings.

        Args:
            clips: path and content of each recording.
            threshold: below it an answer is rejected; None: that of the version.
            batch_clips: windows a call of the network, of one clip or of several; see `batch_size`.
            windows: which windows of a recording are classified.
            between: called between two calls of the network, since long recordings take many.

        Returns:
            A result for each recording, in their order. A ClipError becomes the outcome `failed` of its clip.

        Raises:
            WindowTooLong: see `Windows.check`, which raises its other errors too.
            Exception: what a content raises when it is read (a store that is gone) and what `between` raises:
                not the fault of a clip.
        """
        windows.check(self.manifest.feature_spec, self.manifest.version)
        limit = self.manifest.threshold if threshold is None else threshold
        size = self.batch_size(batch_clips)
        progresses = [ClipProgress(path) for path, _ in clips]
        batch: list[tuple[ClipProgress, Window]] = []

        def flush() -> None:
            self._classify_batch(batch, limit, keep=windows.keep_segments)
            batch.clear()

        for progress, (_, content) in zip(progresses, clips, strict=True):
            try:
                for window in self._windows(progress, content, windows):
                    if len(batch) == size:
                        flush()
                        between()
                    batch.append((progress, window))
            except ClipError as error:
                progress.error = error
        flush()
        return [self._result(progress, limit) for progress in progresses]

    def _windows(
        self, progress: ClipProgress, content: bytes | BinaryIO, windows: Windows
    ) -> Iterator[Window]:
        """The windows of one recording; its duration is known after the last one."""
        spec, path = self.manifest.feature_spec, progress.path
        only_start = windows.kind == "clip" and spec.covers == "start"
        seconds = spec.seconds if only_start else None
        if only_start and windows.channels == "mix":
            recording = decode(
                content, path, sampling_rate=spec.sampling_rate, seconds=seconds, limits=self._limits
            )
            progress.duration_s, progress.flaw = recording.duration_s, recording.flaw
            end_s = len(recording.samples) / spec.sampling_rate
            yield Window(0, 0.0, end_s, recording.samples, recording.peak)
            return
        stream = Stream(content, path, sampling_rate=spec.sampling_rate, seconds=seconds, limits=self._limits)
        most = self._limits.max_windows
        for number, window in enumerate(windows_of(stream, spec, windows)):
            if number == most:
                raise TooManyWindows(path=path, limit=most)
            yield window
        progress.duration_s, progress.flaw = stream.duration_s, stream.flaw

    def _classify_batch(
        self, batch: Sequence[tuple[ClipProgress, Window]], threshold: float, keep: bool
    ) -> None:
        """Add windows of any clips to these clips; windows without a voice do not count in the mean."""
        features, voices = self._features_and_voices(batch)
        answers = iter(self._network(features) if len(features) else ())
        for (progress, window), voice in zip(batch, voices, strict=True):
            row = None
            if voice is not None and (row := self._emotions(next(answers))) is not None:
                progress.rows.append(row)
                progress.voices.append(voice)
            if keep:
                channel, answer = str(window.channel or ""), self._answer(row, threshold)
                progress.segments.append(Segment(channel, window.start_s, window.end_s, *answer))

    def _features_and_voices(
        self, batch: Sequence[tuple[ClipProgress, Window]]
    ) -> tuple[Floats, list[WindowVoice | None]]:
        """Compute the features of those windows that have a voice, and measure the quality of all.

        Rumble is removed once, for features, voice and quality alike.

        Args:
            batch: windows, each with its clip.

        Returns:
            Features, shape (n, *spec.shape); and how much voice each window of the batch has, None for no
            voice.
        """
        spec, voices = self.manifest.feature_spec, list[WindowVoice | None]()
        parts, cut = [np.empty((0, *spec.shape), np.float32)], list[Floats]()
        for progress, window in batch:
            voice = None
            if not window.is_silent:
                clear = without_rumble(window.samples, spec.sampling_rate)
                progress.measure(window, clear, spec.sampling_rate)
                voice = self._voice(clear, is_all=window.is_all)
                if voice is not None:
                    cut.append(fixed_length(window.samples, spec, clear))
            voices.append(voice)
            if len(cut) == FEATURES_AT_ONCE:
                parts.append(self._features(np.stack(cut)))
                cut.clear()
        if cut:
            parts.append(self._features(np.stack(cut)))
        return np.concatenate(parts), voices

    def _voice(self, clear: Floats, *, is_all: bool) -> WindowVoice | None:
        """How much voice a window has; None where the detector finds none.

        Args:
            clear: samples without rumble, shape (n,).
            is_all: whether its recording has no other windows.
        """
        counts = levels(clear, self.manifest.feature_spec.sampling_rate)
        if self._detect is None or (is_all and self._detect.has_voice(clear)):
            return WindowVoice(counts, None)
        if is_all:
            return None
        presence = self._detect(clear)
        return WindowVoice(counts, presence.seconds) if presence.is_voice else None

    def _emotions(self, row: Floats) -> Floats | None:
        """The probabilities of the labels, shape (labels,); None where the network finds no voice.

        The network's own "no voice" does not count where there is a detector.
        """
        says = self.manifest.hears_no_voice and self._detect is None
        return None if says and row[-1] > NO_VOICE_ABOVE else row[: len(self.manifest.labels)]

    def _answer(
        self, row: NDArray[np.floating[Any]] | None, threshold: float
    ) -> tuple[Outcome, str | None, float | None, dict[str, float] | None]:
        """Outcome, emotion, confidence and probabilities; row: (labels,), or None where there is no voice."""
        if row is None:
            return Outcome.NO_VOICE, None, None, None
        probabilities = dict(zip(self.manifest.labels, row.tolist(), strict=True))
        emotion = max(probabilities, key=probabilities.__getitem__)
        confidence = probabilities[emotion]
        if confidence >= threshold:
            return Outcome.CLASSIFIED, emotion, confidence, probabilities
        return Outcome.REJECTED, None, confidence, probabilities

    def _result(self, progress: ClipProgress, threshold: float) -> ClipResult:
        if progress.error is not None:
            return ClipResult.failed(progress.path, progress.error)
        mean = progress.mean()
        outcome, emotion, confidence, probabilities = self._answer(mean, threshold)
        part = None if progress.flaw is None else HeardInPart(path=progress.path, reason=progress.flaw)
        return ClipResult(
            progress.path,
            outcome,
            emotion=emotion,
            confidence=confidence,
            threshold=None if mean is None else threshold,
            duration_s=progress.duration_s,
            error_code=None if part is None else part.code,
            error=None if part is None else str(part),
            probabilities=probabilities,
            unknown_labels=tuple(self.manifest.unknown_labels),
            quality=None if progress.meter is None else progress.meter.quality(),
            # Stable: they came in order of time.
            segments=tuple(sorted(progress.segments, key=lambda segment: int(segment.channel or 0))),
        )
