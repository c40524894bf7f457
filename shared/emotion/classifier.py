"""From recordings to outcomes under one model version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.cutting import Window, windows_of
from shared.audio.decode import DecodeLimits, Stream, decode
from shared.audio.features import Floats, fixed_length
from shared.audio.levels import Counts, levels, voice_weights
from shared.audio.quality import Listener, Quality
from shared.audio.rumble import without_rumble
from shared.audio.windows import Windows
from shared.emotion.devices import BATCH_CLIPS
from shared.emotion.encoders import Features, feature_maker
from shared.emotion.registry import Folders, Manifest, folder_of, verify
from shared.emotion.rejection import CLASSIFIED, FAILED, NO_VOICE, REJECTED, message
from shared.emotion.runtimes import Network, load_network
from shared.errors.recordings import ClipError, HeardInPart, TooManyWindows
from shared.settings import Runtime, Settings

# Windows: a call of 512 takes 375 MB on top under v7, and 810 with their features all at once.
FEATURES_AT_ONCE = 32
NO_VOICE_ABOVE = 0.5  # then no emotion can be as likely
AS_CLIPS = Windows()


@dataclass(frozen=True, slots=True)
class Segment:
    """The outcome for one window of a clip. channel: "1", "2", …, or "" where they are mixed; start_s, end_s:
    seconds of the recording; the rest as a Verdict's."""

    channel: str
    start_s: float
    end_s: float
    outcome: str
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clip.

    emotion: only when classified; confidence: the highest of `probabilities`, which are the mean of its
    windows', weighted by the voice in each; threshold: what it was held against; duration_s: of the whole
    recording; error_code, error: why it failed, or why only a part was heard; quality: of all that was heard;
    segments: by channel, then time, where they are kept.
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
    quality: Quality | None = None
    segments: tuple[Segment, ...] = ()

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
            quality=() if self.quality is None else self.quality.words,
        )


@dataclass(slots=True)
class _Hearing:
    """What has been heard of one clip so far. rows, levels: probabilities (labels,) of each window with a
    voice, and how loud it is; ends_s: up to where each channel was heard."""

    path: str
    rows: list[Floats] = field(default_factory=list)
    levels: list[Counts] = field(default_factory=list)
    duration_s: float | None = None
    flaw: str | None = None
    error: ClipError | None = None
    segments: list[Segment] = field(default_factory=list)
    listener: Listener | None = None
    ends_s: dict[int, float] = field(default_factory=dict)

    def listen(self, window: Window, samples: Floats, rate: int) -> None:
        """Measure what no window before had; samples: the window's, without rumble."""
        listener = self.listener = self.listener or Listener(rate)
        new_from = round((self.ends_s.get(window.channel, window.start_s) - window.start_s) * rate)
        self.ends_s[window.channel] = window.end_s
        if new_from < len(samples):
            listener.hear(samples, max(new_from, 0))

    def mean(self) -> NDArray[np.float64] | None:
        """The windows' probabilities, weighted by the voice in each, (labels,); None: there was no voice."""
        if not self.rows:
            return None
        return np.average(np.stack(self.rows), axis=0, weights=voice_weights(np.stack(self.levels)))


class Classifier:
    """A loaded model version; one a process, not for several threads at once.

    A clip's probabilities do not depend on its neighbours: features are computed window by window. A clip
    costs 1.1 ms to decode (FLAC of 16 kHz) and, under v7, 7 ms for features and network, one thread.
    """

    def __init__(
        self, manifest: Manifest, features: Features, network: Network, limits: DecodeLimits
    ) -> None:
        self.manifest = manifest
        self._features = features
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
        """Verify a version's files and load its network, and the encoder that its features name, if any.

        threads: of the runtime, and of the encoder; runtime and limits: those of the settings unless given.
        Raises UnknownModel, DamagedModel, UnsafeModel, DoesNotRun, NoGpu or GpuDiffers.
        """
        settings = Settings()
        manifest = verify(models, version)
        folder = folder_of(models, version)
        network = load_network(folder, manifest, runtime or settings.runtime, threads, settings.device)
        make = feature_maker(manifest.feature_spec, models, threads)
        return cls(manifest, make, network, limits or DecodeLimits.of(settings))

    def warm(self) -> None:
        """Run everything once, so that the first clip is as fast as the others."""
        silence = np.zeros(self.manifest.feature_spec.n_samples, np.float32)
        described, _ = self._described([(_Hearing("silence"), Window(0, 0.0, 0.0, silence, peak=0.0))])
        self._network(described)

    def batch_size(self, asked: int | None = None) -> int:
        """Windows a network call: as many as asked for (VOXMOOD_BATCH_CLIPS), else what suits the device."""
        return asked or BATCH_CLIPS[self._network.processor]

    def classify(
        self,
        clips: Sequence[tuple[str, bytes | BinaryIO]],
        threshold: float | None = None,
        batch_clips: int | None = None,
        windows: Windows = AS_CLIPS,
        between: Callable[[], None] = lambda: None,
    ) -> list[Verdict]:
        """An outcome for each (path, content), in their order; threshold: the version's unless given.

        batch_clips: windows a network call, of one clip or of several (`batch_size`); between: called between
        two of them, since long recordings take many.
        A ClipError becomes that clip's `failed` outcome. What a content raises when read (a store that is
        gone), and what `between` raises, is no fault of the clip and is raised. So are the errors of windows
        that this version cannot hear (`Windows.check`).
        """
        windows.check(self.manifest.feature_spec, self.manifest.version)
        limit = self.manifest.threshold if threshold is None else threshold
        size = self.batch_size(batch_clips)
        hearings = [_Hearing(path) for path, _ in clips]
        batch: list[tuple[_Hearing, Window]] = []

        def hear() -> None:
            self._hear(batch, limit, keep=windows.keep_segments)
            batch.clear()

        for hearing, (_, content) in zip(hearings, clips, strict=True):
            try:
                for window in self._windows(hearing, content, windows):
                    if len(batch) == size:
                        hear()
                        between()
                    batch.append((hearing, window))
            except ClipError as error:
                hearing.error = error
        hear()
        return [self._verdict(hearing, limit) for hearing in hearings]

    def _windows(self, hearing: _Hearing, content: bytes | BinaryIO, windows: Windows) -> Iterator[Window]:
        """The windows of one recording; its duration is known behind the last one."""
        spec, path = self.manifest.feature_spec, hearing.path
        only_start = windows.kind == "clip" and spec.covers == "start"
        seconds = spec.seconds if only_start else None
        if only_start and windows.channels == "mix":
            recording = decode(
                content, path, sampling_rate=spec.sampling_rate, seconds=seconds, limits=self._limits
            )
            hearing.duration_s, hearing.flaw = recording.duration_s, recording.flaw
            end_s = len(recording.samples) / spec.sampling_rate
            yield Window(0, 0.0, end_s, recording.samples, recording.peak)
            return
        stream = Stream(content, path, sampling_rate=spec.sampling_rate, seconds=seconds, limits=self._limits)
        most = self._limits.max_windows
        for number, window in enumerate(windows_of(stream, spec, windows)):
            if number == most:
                raise TooManyWindows(path=path, limit=most)
            yield window
        hearing.duration_s, hearing.flaw = stream.duration_s, stream.flaw

    def _hear(self, batch: Sequence[tuple[_Hearing, Window]], threshold: float, keep: bool) -> None:
        """Add windows of any clips to what has been heard of these; those without a voice take no part in
        the mean."""
        audible = [(hearing, window) for hearing, window in batch if not window.is_silent]
        described, counts = self._described(audible)
        answers = zip(self._network(described) if audible else (), counts, strict=True)
        for hearing, window in batch:
            row = None
            if not window.is_silent:
                probabilities, count = next(answers)
                row = self._voice(probabilities)
                if row is not None:
                    hearing.rows.append(row)
                    hearing.levels.append(count)
            if keep:
                channel, answer = str(window.channel or ""), self._answer(row, threshold)
                hearing.segments.append(Segment(channel, window.start_s, window.end_s, *answer))

    def _described(self, audible: Sequence[tuple[_Hearing, Window]]) -> tuple[Floats, list[Counts]]:
        """Features of windows (n, *spec.shape), and how loud each is; on the way their quality is measured.

        Rumble is taken out of each once, for all three.
        """
        spec, counts = self.manifest.feature_spec, list[Counts]()
        parts = [np.empty((0, *spec.shape), np.float32)]
        for start in range(0, len(audible), FEATURES_AT_ONCE):
            cut = []
            for hearing, window in audible[start : start + FEATURES_AT_ONCE]:
                clear = without_rumble(window.samples, spec.sampling_rate)
                hearing.listen(window, clear, spec.sampling_rate)
                counts.append(levels(clear, spec.sampling_rate))
                cut.append(fixed_length(window.samples, spec, clear))
            parts.append(self._features(np.stack(cut)))
        return np.concatenate(parts), counts

    def _voice(self, row: Floats) -> Floats | None:
        """The labels' probabilities of a window (labels,), or None where the network hears no voice."""
        emotions = row[: len(self.manifest.labels)]
        return None if self.manifest.hears_no_voice and row[-1] > NO_VOICE_ABOVE else emotions

    def _answer(
        self, row: NDArray[np.floating[Any]] | None, threshold: float
    ) -> tuple[str, str | None, float | None, dict[str, float] | None]:
        """Outcome, emotion, confidence and probabilities; row: (labels,), or None where there is no voice."""
        if row is None:
            return NO_VOICE, None, None, None
        probabilities = dict(zip(self.manifest.labels, row.tolist(), strict=True))
        emotion = max(probabilities, key=probabilities.__getitem__)
        confidence = probabilities[emotion]
        if confidence >= threshold:
            return CLASSIFIED, emotion, confidence, probabilities
        return REJECTED, None, confidence, probabilities

    def _verdict(self, hearing: _Hearing, threshold: float) -> Verdict:
        if hearing.error is not None:
            return Verdict.failed(hearing.path, hearing.error)
        mean = hearing.mean()
        outcome, emotion, confidence, probabilities = self._answer(mean, threshold)
        part = None if hearing.flaw is None else HeardInPart(path=hearing.path, reason=hearing.flaw)
        return Verdict(
            hearing.path,
            outcome,
            emotion=emotion,
            confidence=confidence,
            threshold=None if mean is None else threshold,
            duration_s=hearing.duration_s,
            error_code=None if part is None else part.code,
            error=None if part is None else str(part),
            probabilities=probabilities,
            unknown_labels=tuple(self.manifest.unknown_labels),
            quality=None if hearing.listener is None else hearing.listener.quality(),
            # Stable: they came in order of time.
            segments=tuple(sorted(hearing.segments, key=lambda segment: int(segment.channel or 0))),
        )
