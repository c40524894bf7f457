"""Several corpora side by side: how each names its files, and how their speakers stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from shared.core.errors.models import WrongCorpus
from shared.models.data.datasets import BANGLASER, RAVDESS, Dataset, Example, read_dataset

# Read by their files' names; every other corpus has a labels.csv.
NAMING_SCHEMES = {"ravdess": RAVDESS, "banglaser": BANGLASER}


def read_corpora(named: Sequence[str]) -> dict[str, Dataset]:
    """Read the corpora that the command line names.

    Args:
        named: each as NAME=DIR.

    Returns:
        The corpora by name.

    Raises:
        WrongCorpus: a word is not of this form, or a name comes twice.
        NoRecordings: see `read_dataset`, which raises its other errors too.
    """
    corpora: dict[str, Dataset] = {}
    for word in named:
        name, _, folder = word.partition("=")
        if not (name and folder) or "/" in name or name in corpora:
            raise WrongCorpus(corpus=word, known=" and ".join(NAMING_SCHEMES))
        corpora[name] = read_dataset(Path(folder), scheme=NAMING_SCHEMES.get(name, RAVDESS))
    return corpora


def training_corpora(main: str, corpora: dict[str, Dataset]) -> JoinedCorpora:
    """A main corpus and others that are trained on beside it.

    Args:
        main: the name of the main corpus.
        corpora: all of them, by name; clips of emotions that the main corpus lacks are left out.
    """
    known = corpora[main].emotions()
    return JoinedCorpora(
        {
            name: replace(corpus, examples=tuple(one for one in corpus.examples if one.emotion in known))
            for name, corpus in corpora.items()
        }
    )


@dataclass(frozen=True, slots=True)
class JoinedCorpora:
    """Corpora as one set of recordings.

    Each path and speaker begins with the name of its corpus and a slash, so that equal names stay apart.

    Attributes:
        corpora: by name.
    """

    corpora: dict[str, Dataset]

    @property
    def examples(self) -> tuple[Example, ...]:
        """The recordings of all corpora, one corpus after another."""
        return tuple(
            joined_example(name, example)
            for name, corpus in self.corpora.items()
            for example in corpus.examples
        )

    @property
    def licence(self) -> str:
        """The licences of the corpora."""
        return "; ".join(dict.fromkeys(corpus.licence for corpus in self.corpora.values()))

    @property
    def credit(self) -> str:
        """Whom to name for the corpora."""
        return "; ".join(dict.fromkeys(corpus.credit for corpus in self.corpora.values()))

    def open(self, example: Example) -> BinaryIO:
        """The content of a recording, to be closed by the caller."""
        corpus, own = self._own(example)
        return corpus.open(own)

    def sha256(self, example: Example) -> str:
        """The SHA-256 of a recording's content, in hexadecimal."""
        corpus, own = self._own(example)
        return corpus.sha256(own)

    def _own(self, example: Example) -> tuple[Dataset, Example]:
        name, path = example.path.split("/", 1)
        return self.corpora[name], replace(example, path=path)


def joined_example(corpus: str, example: Example) -> Example:
    """A recording of a corpus as `JoinedCorpora` names it."""
    return replace(
        example, path=f"{corpus}/{example.path}", speaker=f"{corpus}/{example.speaker}", corpus=corpus
    )
