"""Labelled recordings: a folder of files named as RAVDESS names them, or with a labels.csv."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from shared.audio.decode import DecodeLimits, decode
from shared.audio.features import Floats, fixed_length
from shared.audio.spec import FeatureSpec
from shared.emotion.encoders import Features, feature_maker
from shared.emotion.registry import sha256
from shared.errors.models import ForeignNames, NoRecordings, UnknownEmotion, UnknownSpeaker, WrongLabels
from shared.errors.recordings import AllButSilent, ClipError

LABELS = "labels.csv"
COLUMNS = "path", "emotion", "speaker"
AUDIO_SUFFIXES = {".wav", ".flac", ".aiff", ".aif", ".ogg", ".mp3"}
BATCH_CLIPS = 32

# modality-channel-emotion-intensity-statement-repetition-actor
RAVDESS_NAME = re.compile(r"\d\d-(?P<channel>\d\d)-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<actor>\d\d)")
RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
RAVDESS_CHANNELS = {"01": "speech", "02": "song"}
RAVDESS_ACTORS = 24
RAVDESS_LICENCE = "CC BY-NC-SA 4.0"
RAVDESS_CREDIT = (
    "Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song "
    "(RAVDESS). PLoS ONE 13(5): e0196391, doi 10.1371/journal.pone.0196391"
)
NOT_STATED = "not stated: that of the recordings"


@dataclass(frozen=True, slots=True)
class Naming:
    """What the files' names mean, fields as RAVDESS has them: which emotion each code is, and of whom."""

    corpus: str
    emotions: Mapping[str, str]
    actors: int
    licence: str
    credit: str


RAVDESS = Naming("RAVDESS", RAVDESS_EMOTIONS, RAVDESS_ACTORS, RAVDESS_LICENCE, RAVDESS_CREDIT)
# The names look like those of RAVDESS, but the codes are others.
BANGLASER = Naming(
    "BanglaSER",
    {"01": "happy", "02": "sad", "03": "angry", "04": "surprised", "05": "neutral"},
    34,
    "CC BY 4.0",
    "Das RK, Islam N, Ahmed MR, Islam S, Shatabda S, Islam AKMM (2022). BanglaSER: A speech emotion "
    "recognition dataset for the Bangla language. Data in Brief 42: 108091, doi 10.1016/j.dib.2022.108091",
)


@dataclass(frozen=True, slots=True, order=True)
class Example:
    """One labelled recording; path: inside the dataset's folder, with forward slashes."""

    path: str
    emotion: str
    speaker: str


class Recordings(Protocol):
    """Labelled recordings, wherever they lie: a folder's are a Dataset, workers.retrain has the store's."""

    @property
    def examples(self) -> tuple[Example, ...]: ...
    @property
    def licence(self) -> str: ...
    @property
    def credit(self) -> str: ...

    def open(self, example: Example) -> BinaryIO:
        """Its content, to be closed by the caller."""

    def sha256(self, example: Example) -> str:
        """The SHA-256 of its content, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled recordings below one folder, sorted by path."""

    folder: Path
    examples: tuple[Example, ...]
    licence: str = NOT_STATED
    credit: str = NOT_STATED

    def open(self, example: Example) -> BinaryIO:
        return (self.folder / example.path).open("rb")

    def sha256(self, example: Example) -> str:
        return sha256(self.folder / example.path)

    def emotions(self) -> list[str]:
        return sorted({example.emotion for example in self.examples})

    def check_emotions(self, emotions: Sequence[str]) -> None:
        """Raise UnknownEmotion for a word that no recording is labelled with."""
        for emotion in emotions:
            if emotion not in self.emotions():
                raise UnknownEmotion(emotion=emotion, known=", ".join(self.emotions()))

    def check_speakers(self, speakers: Sequence[str]) -> None:
        """Raise UnknownSpeaker for one that no recording is of."""
        known = sorted({example.speaker for example in self.examples})
        for speaker in speakers:
            if speaker not in known:
                raise UnknownSpeaker(speaker=speaker, known=", ".join(known))


@dataclass(frozen=True, slots=True)
class AudioData:
    """What is learnt from and judged by.

    features: (n, *spec.shape) of `examples`; copies: (speeds, n, *spec.shape), of the same recordings played
    slower or faster, pitch and all, in half precision (at most 0.02 of a standard deviation off, a few of an
    encoder's numbers 0.06);
    left_out: a sentence for each recording that is no example.
    """

    spec: FeatureSpec
    features: Floats
    copies: NDArray[np.float16]
    examples: tuple[Example, ...]
    left_out: tuple[str, ...]


def read_dataset(folder: Path, labels: Path | None = None, naming: Naming = RAVDESS) -> Dataset:
    """The labelled recordings of a folder: by `labels`, else by its labels.csv, else by their names.

    Raises NoRecordings, ForeignNames, or WrongLabels with the line.
    """
    if not folder.is_dir():
        raise NoRecordings(folder=folder)
    file = labels or folder / LABELS
    if labels is not None or file.is_file():
        dataset = Dataset(folder, tuple(sorted(_labelled(folder, file))))
    else:
        dataset = Dataset(folder, tuple(sorted(_named(folder, naming))), naming.licence, naming.credit)
    if not dataset.examples:
        raise NoRecordings(folder=folder)
    return dataset


def _named(folder: Path, naming: Naming) -> Iterator[Example]:
    seen: set[str] = set()
    for file in sorted(folder.rglob("*")):
        name = RAVDESS_NAME.fullmatch(file.stem)
        # Some copies of the corpus hold every file twice, which would put test clips into training.
        if name is None or file.suffix.lower() not in AUDIO_SUFFIXES or file.stem in seen:
            continue
        seen.add(file.stem)
        emotion, actor = name["emotion"], name["actor"]
        if emotion not in naming.emotions:
            raise ForeignNames(file=file, corpus=naming.corpus, field="emotion", value=emotion)
        if not 1 <= int(actor) <= naming.actors:
            raise ForeignNames(file=file, corpus=naming.corpus, field="actor", value=actor)
        yield Example(file.relative_to(folder).as_posix(), naming.emotions[emotion], actor)


def _labelled(folder: Path, file: Path) -> Iterator[Example]:
    seen: set[str] = set()
    for line, row in _rows(file):
        path = PurePosixPath(row["path"])
        empty = next((column for column in COLUMNS if not row[column]), None)
        if empty:
            raise WrongLabels(file=file, line=line, reason=f"{empty} is empty")
        if path.is_absolute() or ".." in path.parts:
            raise WrongLabels(file=file, line=line, reason=f"{path} leads out of {folder}")
        if not (folder / path).is_file():
            raise WrongLabels(file=file, line=line, reason=f"there is no file {path} in {folder}")
        if str(path) in seen:
            raise WrongLabels(file=file, line=line, reason=f"{path} has a label already")
        seen.add(str(path))
        yield Example(str(path), row["emotion"], row["speaker"])


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and the three columns of each row; utf-8-sig, since Excel writes a mark first."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise WrongLabels(file=file, line=1, reason=f"the column {missing[0]} is missing")
            for row in reader:
                yield reader.line_num, {column: (row[column] or "").strip() for column in COLUMNS}
    except FileNotFoundError as error:
        raise WrongLabels(file=file, line=1, reason="the file does not exist") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongLabels(file=file, line=1, reason=f"not a CSV file in UTF-8 ({error})") from error


def channel(example: Example) -> str | None:
    """Whether a recording is speech or song, where its name says so."""
    name = RAVDESS_NAME.fullmatch(PurePosixPath(example.path).stem)
    return RAVDESS_CHANNELS.get(name["channel"]) if name else None


def fingerprint(recordings: Recordings, examples: Sequence[Example]) -> str:
    """SHA-256 over the examples, sorted by path: path, SHA-256 of the content, emotion and speaker."""
    digest = hashlib.sha256()
    for example in sorted(examples):
        content = recordings.sha256(example)
        digest.update(f"{example.path}\0{content}\0{example.emotion}\0{example.speaker}\n".encode())
    return digest.hexdigest()


def load_audio_data(
    recordings: Recordings,
    examples: Sequence[Example],
    spec: FeatureSpec,
    limits: DecodeLimits,
    report: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
    speeds: Sequence[float] = (),
) -> AudioData:
    """The features of examples; recordings that cannot be read, or are all but silent, are left out.

    Of each, the first window. speeds: of the copies (speed perturbation: Ko et al. 2015, doi
    10.21437/Interspeech.2015-711). report("features", done, total) follows its course.
    """
    features = feature_maker(spec)
    # Allocated at once, since joining blocks would take twice the memory: 90 kB a recording and speed for v7.
    own = np.empty((len(examples), *spec.shape), np.float32)
    copies = np.empty((len(speeds), len(examples), *spec.shape), np.float16)
    kept: list[Example] = []
    left_out: list[str] = []
    for start in range(0, len(examples), BATCH_CLIPS):
        batch = examples[start : start + BATCH_CLIPS]
        clips: list[Floats] = []
        first = len(kept)
        for example in batch:
            try:
                clips.append(_samples(recordings, example, spec, limits))
            except ClipError as error:
                left_out.append(str(error))
            else:
                kept.append(example)
        if clips:
            places = slice(first, len(kept))
            own[places], *played = _at_all_speeds(clips, spec, speeds, features)
            for copy, heard in zip(copies, played, strict=True):
                copy[places] = heard
        report("features", start + len(batch), len(examples))
    return AudioData(spec, own[: len(kept)], copies[:, : len(kept)], tuple(kept), tuple(left_out))


def _at_all_speeds(
    clips: Sequence[Floats], spec: FeatureSpec, speeds: Sequence[float], features: Features
) -> list[Floats]:
    """The features (clips, *spec.shape) at each speed, the recordings' own first."""
    rate = spec.sampling_rate
    played = [clips, *([soxr.resample(clip, rate * speed, rate) for clip in clips] for speed in speeds)]
    return [features(np.stack([fixed_length(clip, spec) for clip in heard])) for heard in played]


def _samples(recordings: Recordings, example: Example, spec: FeatureSpec, limits: DecodeLimits) -> Floats:
    with recordings.open(example) as file:
        recording = decode(
            file, example.path, sampling_rate=spec.sampling_rate, seconds=spec.seconds, limits=limits
        )
    if recording.is_silent:
        raise AllButSilent(path=example.path, peak=recording.peak)
    return recording.samples
