"""Test a version as it is served: under conditions, or on a foreign corpus.

Each recording is decoded, altered, written as a WAV file of 16 bits and classified as in serving. Nothing is
trained or selected here, and no speaker of the version's training is tested.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.conditions import Condition
from shared.audio.decode import decode
from shared.audio.limits import DecodeLimits
from shared.audio.noises import BROWN, PINK, WHITE, coloured
from shared.audio.recorder import at_peak
from shared.audio.synthesis import NON_SPEECH, non_speech, wav_bytes
from shared.core.errors.models import HeardSpeakers, NobodyJudges
from shared.core.errors.recordings import ClipError
from shared.models.data.audio_data import Progress
from shared.models.data.corpora import NAMING_SCHEMES
from shared.models.data.datasets import NOT_STATED, Dataset, Example, Recordings, fingerprint
from shared.models.evaluation.predictions import Predictions
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import ClipResult
from shared.models.serving.manifest import Manifest

BATCH_CLIPS = 32
POOL_CLIPS = 24  # that babble is made of
SOUND_CLIPS, SOUND_S = 20, 3.0  # of each kind without a voice
COLOURS = {"white noise": WHITE, "pink noise": PINK, "brown noise": BROWN}
SOUND_PEAK_DB = -12.0


@dataclass(frozen=True, slots=True)
class TestClips:
    """The clips that test a version.

    Attributes:
        recordings: where they are read.
        examples: which of them.
    """

    recordings: Recordings
    examples: tuple[Example, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the clips; see `datasets.fingerprint`."""
        return fingerprint(self.recordings, self.examples)


def clips_to_test(
    manifest: Manifest,
    dataset: Dataset,
    *,
    speakers: Sequence[str] = (),
    clips: int | None = None,
    is_foreign: bool = False,
    seed: int = 42,
) -> TestClips:
    """The recordings of a dataset that may test a version: of its labels, by speakers not in its training.

    Args:
        manifest: of the version.
        dataset: the recordings.
        speakers: only these; none: all that may.
        clips: so many of theirs, drawn at random; None: all.
        is_foreign: the version was trained on other people, whatever their names are.
        seed: of the draw.

    Raises:
        UnknownSpeaker: no recording is of one of `speakers`.
        HeardSpeakers: one of `speakers` was in the training.
        NobodyJudges: no recording is left.
    """
    dataset.check_speakers(speakers)
    known_speakers = set() if is_foreign else _trained_speakers(manifest, dataset)
    if trained_on := sorted(speaker for speaker in set(speakers) if _name(speaker) in known_speakers):
        raise HeardSpeakers(version=manifest.version, speakers=", ".join(trained_on))
    there = {example.speaker for example in dataset.examples}
    wanted = set(speakers) or {speaker for speaker in there if _name(speaker) not in known_speakers}
    examples = [
        example
        for example in dataset.examples
        if example.speaker in wanted and example.emotion in manifest.labels
    ]
    if not examples:
        raise NobodyJudges(
            what=manifest.version,
            reason="it learnt from every speaker of these recordings, or from none of their emotions",
        )
    if clips is not None and clips < len(examples):
        places = np.random.default_rng(seed).permutation(len(examples))[:clips]
        examples = [examples[place] for place in sorted(places)]
    return TestClips(dataset, tuple(examples))


def _trained_speakers(manifest: Manifest, dataset: Dataset) -> set[str]:
    """The names of the speakers of a version's training, but for those certainly of another corpus."""
    names = set()
    for speaker in (*manifest.speakers.training, *manifest.speakers.test):
        corpus, _, own = speaker.rpartition("/")
        credits = {name: scheme.credit for name, scheme in NAMING_SCHEMES.items()}
        if dataset.credit in credits.values() and credits.get(corpus, dataset.credit) != dataset.credit:
            continue
        names.add(_name(own))
    return names


def _name(speaker: str) -> str:
    """The name of a speaker; 2 stands for speaker 02 too."""
    return str(int(speaker)) if speaker.isdecimal() else speaker


def is_foreign(manifest: Manifest, dataset: Dataset) -> bool:
    """Whether a corpus is certainly none that the version was trained on: both state their source."""
    return dataset.credit != NOT_STATED and dataset.credit not in manifest.data.credit


def classify_under(
    classifier: Classifier,
    clips: TestClips,
    condition: Condition,
    limits: DecodeLimits,
    report: Progress,
    output: Path | None = None,
    seed: int = 42,
) -> Predictions:
    """Classify recordings under a condition.

    Each recording has random numbers of its own, by seed, path and condition, so that it sounds the same
    whichever recordings are beside it. Babble is mixed of recordings of other speakers, or of its own speaker
    where there is no other. Recordings that cannot be read are failed.

    Args:
        classifier: the version.
        clips: the recordings.
        condition: alters them.
        limits: of decoding.
        report: called as report("clips", done, total).
        output: a folder whose predictions are taken over, if it has them.
        seed: of the random numbers.
    """
    identity = _identity(classifier.manifest, clips, condition, limits, seed)
    if output is not None and (known := Predictions.read(output, identity)) is not None:
        report("clips", len(clips.examples), len(clips.examples))
        return known
    rate = classifier.manifest.feature_spec.sampling_rate
    pool = _pool(clips, rate, limits, seed) if condition.is_babble else []
    results: list[ClipResult] = []
    for start in range(0, len(clips.examples), BATCH_CLIPS):
        batch = clips.examples[start : start + BATCH_CLIPS]
        altered_clips: list[tuple[str, bytes]] = []
        failed: dict[int, ClipResult] = {}
        for place, example in enumerate(batch):
            try:
                samples = _decoded(clips.recordings, example, rate, limits)
            except ClipError as error:
                failed[place] = ClipResult.failed(example.path, error)
                continue
            rng = np.random.default_rng([seed, _number(example.path), _number(condition.name)])
            others = [voice for speaker, voice in pool if speaker != example.speaker]
            altered = condition(samples, rate, rng, others or [voice for _, voice in pool])
            altered_clips.append((example.path, wav_bytes(altered, rate)))
        answers = iter(classifier.classify(altered_clips))
        results += [failed.get(place) or next(answers) for place in range(len(batch))]
        report("clips", start + len(batch), len(clips.examples))
    predictions = _predictions(classifier.manifest, clips.examples, results)
    if output is not None:
        predictions.write(output, identity)
    return predictions


def classify_sounds(classifier: Classifier, clips: int = SOUND_CLIPS) -> dict[str, Predictions]:
    """Classify sounds without a voice, 3 s long.

    Args:
        classifier: the version.
        clips: how many of each kind.

    Returns:
        The predictions by kind.
    """
    manifest = classifier.manifest
    found = {}
    for kind, made in _sounds(manifest.feature_spec.sampling_rate, clips):
        clips_of_kind = [(f"{kind} {place}", content) for place, content in enumerate(made)]
        examples = [Example(path, kind, "nobody") for path, _ in clips_of_kind]
        found[kind] = _predictions(manifest, examples, classifier.classify(clips_of_kind))
    return found


def _sounds(rate: int, clips: int) -> Iterator[tuple[str, list[bytes]]]:
    for kind in NON_SPEECH:
        yield kind, [wav_bytes(non_speech(kind, rate, SOUND_S, seed), rate) for seed in range(clips)]
    n = round(SOUND_S * rate)
    for colour, exponent in COLOURS.items():
        made = (coloured(n, rate, exponent, np.random.default_rng(seed)) for seed in range(clips))
        yield colour, [wav_bytes(at_peak(noise, SOUND_PEAK_DB), rate) for noise in made]


def _predictions(
    manifest: Manifest, examples: Sequence[Example], results: Sequence[ClipResult]
) -> Predictions:
    nothing = dict.fromkeys(manifest.labels, np.nan)
    return Predictions(
        paths=np.array([example.path for example in examples], np.str_),
        emotions=np.array([example.emotion for example in examples], np.str_),
        outcomes=np.array([verdict.outcome for verdict in results], np.str_),
        probabilities=np.array(
            [[(one.probabilities or nothing)[label] for label in manifest.labels] for one in results]
        ).reshape(len(results), len(manifest.labels)),
        labels=np.array(manifest.labels, np.str_),
        threshold=np.array(manifest.threshold),
    )


def _pool(clips: TestClips, rate: int, limits: DecodeLimits, seed: int) -> list[tuple[str, Floats]]:
    """Some of the recordings, each with its speaker."""
    found: list[tuple[str, Floats]] = []
    for place in np.random.default_rng(seed).permutation(len(clips.examples)):
        example = clips.examples[place]
        try:
            found.append((example.speaker, _decoded(clips.recordings, example, rate, limits)))
        except ClipError:
            continue
        if len(found) == POOL_CLIPS:
            break
    return found


def _decoded(recordings: Recordings, example: Example, rate: int, limits: DecodeLimits) -> Floats:
    with recordings.open(example) as file:
        read = decode(file, example.path, sampling_rate=rate, seconds=None, limits=limits)
    return np.asarray(read.samples, np.float32)


def _number(text: str) -> int:
    return zlib.crc32(text.encode())


def _identity(
    manifest: Manifest, clips: TestClips, condition: Condition, limits: DecodeLimits, seed: int
) -> str:
    """SHA-256 of everything that predictions follow from, but for the code."""
    facts = [
        manifest.version, manifest.files, manifest.threshold, clips.fingerprint, condition.name, seed,
        repr(limits),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
