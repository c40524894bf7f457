"""Labelled recordings: a folder of files that are named as RAVDESS names them, or that has a labels.csv."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from shared.core.errors.models import ForeignNames, NoRecordings, UnknownEmotion, UnknownSpeaker, WrongLabels
from shared.models.serving.checksums import sha256
from voxmood.errors import FileMissing
from voxmood.label_tables import read_label_table

LABELS = "labels.csv"
COLUMNS = "path", "emotion", "speaker"
AUDIO_SUFFIXES = {".wav", ".flac", ".aiff", ".aif", ".ogg", ".mp3"}

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
class NamingScheme:
    """What the names of files mean, whose fields are those of RAVDESS.

    Attributes:
        corpus: that uses it.
        emotions: the emotion of each code.
        actors: how many there are.
        licence: of the recordings.
        credit: whom to name.
    """

    corpus: str
    emotions: Mapping[str, str]
    actors: int
    licence: str
    credit: str


RAVDESS = NamingScheme("RAVDESS", RAVDESS_EMOTIONS, RAVDESS_ACTORS, RAVDESS_LICENCE, RAVDESS_CREDIT)
# The names look like those of RAVDESS, but the codes are others.
BANGLASER = NamingScheme(
    "BanglaSER",
    {"01": "happy", "02": "sad", "03": "angry", "04": "surprised", "05": "neutral"},
    34,
    "CC BY 4.0",
    "Das RK, Islam N, Ahmed MR, Islam S, Shatabda S, Islam AKMM (2022). BanglaSER: A speech emotion "
    "recognition dataset for the Bangla language. Data in Brief 42: 108091, doi 10.1016/j.dib.2022.108091",
)


@dataclass(frozen=True, slots=True, order=True)
class Example:
    """A labelled recording.

    Attributes:
        path: within the folder of its dataset, with forward slashes.
        emotion: its label.
        speaker: who speaks.
        corpus: which of several corpora it belongs to; it can only be labelled with emotions of that corpus.
    """

    path: str
    emotion: str
    speaker: str
    corpus: str = ""


class Recordings(Protocol):
    """Labelled recordings, wherever they lie: a Dataset is a folder, workers.retrain reads the store."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """The recordings."""

    @property
    def licence(self) -> str:
        """Their licence."""

    @property
    def credit(self) -> str:
        """Whom to name for them."""

    def open(self, example: Example) -> BinaryIO:
        """The content of a recording, to be closed by the caller."""

    def sha256(self, example: Example) -> str:
        """The SHA-256 of a recording's content, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled recordings below one folder.

    Attributes:
        folder: where they lie.
        examples: the recordings, sorted by path.
        licence: of the recordings.
        credit: whom to name.
        name: of the dataset among other corpora.
    """

    folder: Path
    examples: tuple[Example, ...]
    licence: str = NOT_STATED
    credit: str = NOT_STATED
    name: str = "own"  # among other corpora

    def open(self, example: Example) -> BinaryIO:
        """The content of a recording, to be closed by the caller."""
        return (self.folder / example.path).open("rb")

    def sha256(self, example: Example) -> str:
        """The SHA-256 of a recording's content, in hexadecimal."""
        return sha256(self.folder / example.path)

    def emotions(self) -> list[str]:
        """The emotions of the recordings, sorted."""
        return sorted({example.emotion for example in self.examples})

    def check_emotions(self, emotions: Sequence[str]) -> None:
        """Check emotions that a user names.

        Raises:
            UnknownEmotion: no recording is labelled with one of them.
        """
        for emotion in emotions:
            if emotion not in self.emotions():
                raise UnknownEmotion(emotion=emotion, known=", ".join(self.emotions()))

    def check_speakers(self, speakers: Sequence[str]) -> None:
        """Check speakers that a user names.

        Raises:
            UnknownSpeaker: no recording is of one of them.
        """
        known = sorted({example.speaker for example in self.examples})
        for speaker in speakers:
            if speaker not in known:
                raise UnknownSpeaker(speaker=speaker, known=", ".join(known))


def read_dataset(folder: Path, labels: Path | None = None, scheme: NamingScheme = RAVDESS) -> Dataset:
    """Read the labels of a folder of recordings.

    Args:
        folder: of the recordings.
        labels: a CSV file with the columns path, emotion and speaker; None: the folder's labels.csv, else the
            names of the files.
        scheme: what these names mean.

    Raises:
        NoRecordings: the folder has no labelled recordings.
        ForeignNames: a name has a code that the scheme does not know.
        WrongLabels: a line of the labels is wrong.
    """
    if not folder.is_dir():
        raise NoRecordings(folder=folder)
    file = labels or folder / LABELS
    if labels is not None or file.is_file():
        dataset = Dataset(folder, tuple(sorted(_labelled(folder, file))))
    else:
        examples = tuple(sorted(_named(folder, scheme)))
        dataset = Dataset(folder, examples, scheme.licence, scheme.credit, scheme.corpus.lower())
    if not dataset.examples:
        raise NoRecordings(folder=folder)
    return dataset


def _named(folder: Path, scheme: NamingScheme) -> Iterator[Example]:
    seen: set[str] = set()
    for file in sorted(folder.rglob("*")):
        name = RAVDESS_NAME.fullmatch(file.stem)
        # Some copies of the corpus hold every file twice, which would put test clips into training.
        if name is None or file.suffix.lower() not in AUDIO_SUFFIXES or file.stem in seen:
            continue
        seen.add(file.stem)
        emotion, actor = name["emotion"], name["actor"]
        if emotion not in scheme.emotions:
            raise ForeignNames(file=file, corpus=scheme.corpus, field="emotion", value=emotion)
        if not 1 <= int(actor) <= scheme.actors:
            raise ForeignNames(file=file, corpus=scheme.corpus, field="actor", value=actor)
        yield Example(file.relative_to(folder).as_posix(), scheme.emotions[emotion], actor)


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
    """The line number and the three columns of each row, without blanks around them."""
    try:
        table = read_label_table(file)
    except FileMissing as error:
        raise WrongLabels(file=file, line=1, reason="the file does not exist") from error
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise WrongLabels(file=file, line=1, reason=f"the column {missing[0]} is missing")
    for number, cells in table.lines:
        yield number, {column: cells[column].strip() for column in COLUMNS}


def channel(example: Example) -> str | None:
    """Whether a recording is speech or song, where its name says so."""
    name = RAVDESS_NAME.fullmatch(PurePosixPath(example.path).stem)
    return RAVDESS_CHANNELS.get(name["channel"]) if name else None


def fingerprint(recordings: Recordings, examples: Sequence[Example]) -> str:
    """SHA-256 over recordings, sorted by path: path, SHA-256 of the content, emotion and speaker.

    Args:
        recordings: where they are read.
        examples: which of them.
    """
    digest = hashlib.sha256()
    for example in sorted(examples):
        content = recordings.sha256(example)
        digest.update(f"{example.path}\0{content}\0{example.emotion}\0{example.speaker}\n".encode())
    return digest.hexdigest()
