"""A version that ships hears recordings as when it is served: under conditions, or of a foreign corpus.

Each recording is decoded, altered, written as a WAV file of 16 bits and classified by the serving path.
Nothing is learnt here, and nothing chosen; a version never judges by speakers that it learnt from.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.audio.conditions import Condition
from shared.audio.decode import decode
from shared.audio.limits import DecodeLimits
from shared.audio.noises import BROWN, PINK, WHITE, coloured
from shared.audio.recorder import at_peak
from shared.audio.synthesis import NON_SPEECH, non_speech, wav_bytes
from shared.core.errors.models import HeardSpeakers, NobodyJudges
from shared.core.errors.recordings import ClipError
from shared.models.data.corpora import NAMINGS
from shared.models.data.datasets import NOT_STATED, Dataset, Example, Recordings, fingerprint
from shared.models.evaluation.predictions import Predictions
from shared.models.serving.classifier import Classifier
from shared.models.serving.clip_results import Verdict
from shared.models.serving.manifest import Manifest
from shared.models.training.baseline import Report

Floats = NDArray[np.float32]

BATCH_CLIPS = 32
POOL_CLIPS = 24  # that babble is made of
SOUND_CLIPS, SOUND_S = 20, 3.0  # of each kind without a voice
COLOURS = {"white noise": WHITE, "pink noise": PINK, "brown noise": BROWN}
SOUND_PEAK_DB = -12.0


@dataclass(frozen=True, slots=True)
class JudgingClips:
    """Who judges a version: recordings, and which of them."""

    recordings: Recordings
    examples: tuple[Example, ...]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.recordings, self.examples)


def judging_clips(
    manifest: Manifest,
    dataset: Dataset,
    *,
    speakers: Sequence[str] = (),
    clips: int | None = None,
    is_foreign: bool = False,
    seed: int = 42,
) -> JudgingClips:
    """The recordings of a dataset that may judge a version: of its labels, by speakers it never heard.

    speakers: those alone; clips: so many of theirs, drawn by the seed; is_foreign: the version learnt from
    other people, whatever their names. Raises UnknownSpeaker, HeardSpeakers where one of `speakers` was
    heard, and NobodyJudges.
    """
    dataset.check_speakers(speakers)
    heard = set() if is_foreign else _heard(manifest, dataset)
    if familiar := sorted(speaker for speaker in set(speakers) if _name(speaker) in heard):
        raise HeardSpeakers(version=manifest.version, speakers=", ".join(familiar))
    there = {example.speaker for example in dataset.examples}
    wanted = set(speakers) or {speaker for speaker in there if _name(speaker) not in heard}
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
    return JudgingClips(dataset, tuple(examples))


def _heard(manifest: Manifest, dataset: Dataset) -> set[str]:
    """The names of those whom a version has heard, but for those who are surely of another corpus."""
    names = set()
    for speaker in (*manifest.speakers.training, *manifest.speakers.test):
        corpus, _, own = speaker.rpartition("/")
        credits = {name: naming.credit for name, naming in NAMINGS.items()}
        if dataset.credit in credits.values() and credits.get(corpus, dataset.credit) != dataset.credit:
            continue
        names.add(_name(own))
    return names


def _name(speaker: str) -> str:
    """2 means speaker 02 too."""
    return str(int(speaker)) if speaker.isdecimal() else speaker


def is_foreign(manifest: Manifest, dataset: Dataset) -> bool:
    """Whether a corpus is surely another one than those a version learnt from: both say which they are."""
    return dataset.credit != NOT_STATED and dataset.credit not in manifest.data.credit


def hear(
    classifier: Classifier,
    those: JudgingClips,
    condition: Condition,
    limits: DecodeLimits,
    report: Report,
    output: Path | None = None,
    seed: int = 42,
) -> Predictions:
    """What a version answers to recordings under a condition; taken over from `output` if it is there.

    report("clips", done, total) follows its course. Each recording has random numbers of its own, by seed,
    path and condition, so that it sounds the same whoever is heard beside it; babble is made of recordings by
    others of the audience, of its own speaker where there is nobody else. Recordings that cannot be read are
    failed.
    """
    identity = _identity(classifier.manifest, those, condition, limits, seed)
    if output is not None and (known := Predictions.read(output, identity)) is not None:
        report("clips", len(those.examples), len(those.examples))
        return known
    rate = classifier.manifest.feature_spec.sampling_rate
    pool = _pool(those, rate, limits, seed) if condition.is_babble else []
    verdicts: list[Verdict] = []
    for start in range(0, len(those.examples), BATCH_CLIPS):
        batch = those.examples[start : start + BATCH_CLIPS]
        heard: list[tuple[str, bytes]] = []
        failed: dict[int, Verdict] = {}
        for place, example in enumerate(batch):
            try:
                samples = _decoded(those.recordings, example, rate, limits)
            except ClipError as error:
                failed[place] = Verdict.failed(example.path, error)
                continue
            rng = np.random.default_rng([seed, _number(example.path), _number(condition.name)])
            others = [voice for speaker, voice in pool if speaker != example.speaker]
            altered = condition(samples, rate, rng, others or [voice for _, voice in pool])
            heard.append((example.path, wav_bytes(altered, rate)))
        answers = iter(classifier.classify(heard))
        verdicts += [failed.get(place) or next(answers) for place in range(len(batch))]
        report("clips", start + len(batch), len(those.examples))
    replies = _replies(classifier.manifest, those.examples, verdicts)
    if output is not None:
        replies.write(output, identity)
    return replies


def sounds(classifier: Classifier, clips: int = SOUND_CLIPS) -> dict[str, Predictions]:
    """What a version answers to sounds without a voice, by kind: so many of each, 3 s long."""
    manifest = classifier.manifest
    found = {}
    for kind, made in _sounds(manifest.feature_spec.sampling_rate, clips):
        heard = [(f"{kind} {place}", content) for place, content in enumerate(made)]
        examples = [Example(path, kind, "nobody") for path, _ in heard]
        found[kind] = _replies(manifest, examples, classifier.classify(heard))
    return found


def _sounds(rate: int, clips: int) -> Iterator[tuple[str, list[bytes]]]:
    for kind in NON_SPEECH:
        yield kind, [wav_bytes(non_speech(kind, rate, SOUND_S, seed), rate) for seed in range(clips)]
    n = round(SOUND_S * rate)
    for colour, exponent in COLOURS.items():
        made = (coloured(n, rate, exponent, np.random.default_rng(seed)) for seed in range(clips))
        yield colour, [wav_bytes(at_peak(noise, SOUND_PEAK_DB), rate) for noise in made]


def _replies(manifest: Manifest, examples: Sequence[Example], verdicts: Sequence[Verdict]) -> Predictions:
    nothing = dict.fromkeys(manifest.labels, np.nan)
    return Predictions(
        paths=np.array([example.path for example in examples], np.str_),
        emotions=np.array([example.emotion for example in examples], np.str_),
        outcomes=np.array([verdict.outcome for verdict in verdicts], np.str_),
        probabilities=np.array(
            [[(one.probabilities or nothing)[label] for label in manifest.labels] for one in verdicts]
        ).reshape(len(verdicts), len(manifest.labels)),
        labels=np.array(manifest.labels, np.str_),
        threshold=np.array(manifest.threshold),
    )


def _pool(those: JudgingClips, rate: int, limits: DecodeLimits, seed: int) -> list[tuple[str, Floats]]:
    """Some of the audience, each with its speaker."""
    found: list[tuple[str, Floats]] = []
    for place in np.random.default_rng(seed).permutation(len(those.examples)):
        example = those.examples[place]
        try:
            found.append((example.speaker, _decoded(those.recordings, example, rate, limits)))
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
    manifest: Manifest, those: JudgingClips, condition: Condition, limits: DecodeLimits, seed: int
) -> str:
    """SHA-256 of all that replies follow from, but for the code."""
    facts = [
        manifest.version, manifest.files, manifest.threshold, those.fingerprint, condition.name, seed,
        repr(limits),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
