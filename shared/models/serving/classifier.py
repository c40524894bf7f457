"""From recordings to outcomes under one model version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from shared.audio.cutting import Window, windows_of
from shared.audio.decode import Stream, decode
from shared.audio.features import Floats, fixed_length
from shared.audio.levels import Counts, levels, voice_weights
from shared.audio.limits import DecodeLimits
from shared.audio.quality import QualityMeter
from shared.audio.rumble import without_rumble
from shared.audio.voice_presence import presence_weights
from shared.audio.windows import Windows
from shared.core.errors.recordings import ClipError, HeardInPart, TooManyWindows
from shared.core.settings import Runtime, Settings
from shared.core.states import Outcome
from shared.limits import decode_limits
from shared.models.serving.artefacts import Folders
from shared.models.serving.clip_results import Segment, Verdict
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


@dataclass(frozen=True, slots=True)
class _Voice:
    """How much voice a window has: frames by level (`levels`), and seconds by the detector, None without one
    and where the window is all of a recording, so that nothing is weighed.
    """

    levels: Counts
    seconds: float | None


@dataclass(slots=True)
class _Hearing:
    """What has been heard of one clip so far. rows, voices: probabilities (labels,) of each window with a
    voice, and how much of one it has; ends_s: up to where each channel was heard.
    """

    path: str
    rows: list[Floats] = field(default_factory=list)
    voices: list[_Voice] = field(default_factory=list)
    duration_s: float | None = None
    flaw: str | None = None
    error: ClipError | None = None
    segments: list[Segment] = field(default_factory=list)
    meter: QualityMeter | None = None
    ends_s: dict[int, float] = field(default_factory=dict)

    def listen(self, window: Window, samples: Floats, rate: int) -> None:
        """Measure what no window before had; samples: the window's, without rumble."""
        meter = self.meter = self.meter or QualityMeter(rate)
        new_from = round((self.ends_s.get(window.channel, window.start_s) - window.start_s) * rate)
        self.ends_s[window.channel] = window.end_s
        if new_from < len(samples):
            meter.add(samples, max(new_from, 0))

    def mean(self) -> NDArray[np.float64] | None:
        """The windows' probabilities, weighted by the voice in each, (labels,); None: there was no voice."""
        if not self.rows:
            return None
        return np.average(np.stack(self.rows), axis=0, weights=_weights(self.voices))


def _weights(voices: Sequence[_Voice]) -> NDArray[np.float64]:
    """Of windows with a voice, (n,): by the detector, where there is one."""
    if any(voice.seconds is None for voice in voices):
        return voice_weights(np.stack([voice.levels for voice in voices]))
    return presence_weights(np.array([voice.seconds for voice in voices], np.float64))


class Classifier:
    """A loaded model version; one a process, not for several threads at once.

    A clip's probabilities do not depend on its neighbours: features are computed window by window. A clip
    costs 1.1 ms to decode (FLAC of 16 kHz) and, under v7, 7 ms for features and network, one thread.
    """

    def __init__(
        self,
        manifest: Manifest,
        features: Features,
        network: Network,
        limits: DecodeLimits,
        detect: Detector | None = None,
    ) -> None:
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
        """Verify a version's files and load its network, and the encoder and detector that it names, if any.

        threads: of the runtime, and of the encoder; runtime and limits: those of the settings unless given.
        Raises UnknownModel, DamagedModel, UnsafeModel, DoesNotRun, NoGpu or GpuDiffers.
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
        self._described([(_Hearing("noise"), Window(0, 0.0, 0.0, noise, peak=1.0))])
        self._network(self._features(noise[np.newaxis]))  # a detector keeps noise from them

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
        the mean.
        """
        described, voices = self._described(batch)
        answers = iter(self._network(described) if len(described) else ())
        for (hearing, window), voice in zip(batch, voices, strict=True):
            row = None
            if voice is not None and (row := self._emotions(next(answers))) is not None:
                hearing.rows.append(row)
                hearing.voices.append(voice)
            if keep:
                channel, answer = str(window.channel or ""), self._answer(row, threshold)
                hearing.segments.append(Segment(channel, window.start_s, window.end_s, *answer))

    def _described(self, batch: Sequence[tuple[_Hearing, Window]]) -> tuple[Floats, list[_Voice | None]]:
        """Features of those windows that have a voice (n, *spec.shape), and what voice each of the batch has;
        None: it has none. On the way their quality is measured.

        Rumble is taken out of each once, for all of it.
        """
        spec, voices = self.manifest.feature_spec, list[_Voice | None]()
        parts, cut = [np.empty((0, *spec.shape), np.float32)], list[Floats]()
        for hearing, window in batch:
            voice = None
            if not window.is_silent:
                clear = without_rumble(window.samples, spec.sampling_rate)
                hearing.listen(window, clear, spec.sampling_rate)
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

    def _voice(self, clear: Floats, *, is_all: bool) -> _Voice | None:
        """How much voice a window (n,) without rumble has, or None where the detector hears none; is_all:
        there are no other windows of its recording.
        """
        counts = levels(clear, self.manifest.feature_spec.sampling_rate)
        if self._detect is None or (is_all and self._detect.has_voice(clear)):
            return _Voice(counts, None)
        if is_all:
            return None
        presence = self._detect(clear)
        return _Voice(counts, presence.seconds) if presence.is_voice else None

    def _emotions(self, row: Floats) -> Floats | None:
        """The labels' probabilities of a window (labels,), or None where the network hears no voice; it is
        not asked where a detector is.
        """
        says = self.manifest.hears_no_voice and self._detect is None
        return None if says and row[-1] > NO_VOICE_ABOVE else row[: len(self.manifest.labels)]

    def _answer(
        self, row: NDArray[np.floating[Any]] | None, threshold: float
    ) -> tuple[str, str | None, float | None, dict[str, float] | None]:
        """Outcome, emotion, confidence and probabilities; row: (labels,), or None where there is no voice."""
        if row is None:
            return Outcome.NO_VOICE, None, None, None
        probabilities = dict(zip(self.manifest.labels, row.tolist(), strict=True))
        emotion = max(probabilities, key=probabilities.__getitem__)
        confidence = probabilities[emotion]
        if confidence >= threshold:
            return Outcome.CLASSIFIED, emotion, confidence, probabilities
        return Outcome.REJECTED, None, confidence, probabilities

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
            quality=None if hearing.meter is None else hearing.meter.quality(),
            # Stable: they came in order of time.
            segments=tuple(sorted(hearing.segments, key=lambda segment: int(segment.channel or 0))),
        )
