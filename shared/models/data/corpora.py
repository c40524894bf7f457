"""Several corpora side by side: which reader each has, and whose recordings are whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from shared.core.errors.models import WrongCorpus
from shared.models.data.datasets import BANGLASER, RAVDESS, Dataset, Example, read_dataset

# Read by their files' names; every other corpus has a labels.csv.
NAMINGS = {"ravdess": RAVDESS, "banglaser": BANGLASER}


def read_corpora(named: Sequence[str]) -> dict[str, Dataset]:
    """The corpora that the command line names as NAME=DIR, by name.

    Raises WrongCorpus, and what `read_dataset` raises.
    """
    corpora: dict[str, Dataset] = {}
    for word in named:
        name, _, folder = word.partition("=")
        if not (name and folder) or "/" in name or name in corpora:
            raise WrongCorpus(corpus=word, known=" and ".join(NAMINGS))
        corpora[name] = read_dataset(Path(folder), naming=NAMINGS.get(name, RAVDESS))
    return corpora


def teaching(main: str, corpora: dict[str, Dataset]) -> JoinedCorpora:
    """One corpus and others that teach beside it; their clips of emotions that it lacks are left aside."""
    known = corpora[main].emotions()
    return JoinedCorpora(
        {
            name: replace(corpus, examples=tuple(one for one in corpus.examples if one.emotion in known))
            for name, corpus in corpora.items()
        }
    )


@dataclass(frozen=True, slots=True)
class JoinedCorpora:
    """Corpora as one set of recordings: each path and speaker begins with its corpus' name and a slash, so
    that equal names of speakers stay apart.
    """

    corpora: dict[str, Dataset]

    @property
    def examples(self) -> tuple[Example, ...]:
        return tuple(
            joined_example(name, example)
            for name, corpus in self.corpora.items()
            for example in corpus.examples
        )

    @property
    def licence(self) -> str:
        return "; ".join(dict.fromkeys(corpus.licence for corpus in self.corpora.values()))

    @property
    def credit(self) -> str:
        return "; ".join(dict.fromkeys(corpus.credit for corpus in self.corpora.values()))

    def open(self, example: Example) -> BinaryIO:
        corpus, own = self._own(example)
        return corpus.open(own)

    def sha256(self, example: Example) -> str:
        corpus, own = self._own(example)
        return corpus.sha256(own)

    def _own(self, example: Example) -> tuple[Dataset, Example]:
        name, path = example.path.split("/", 1)
        return self.corpora[name], replace(example, path=path)


def joined_example(corpus: str, example: Example) -> Example:
    """A corpus' own example as `Joined` has it."""
    return replace(
        example, path=f"{corpus}/{example.path}", speaker=f"{corpus}/{example.speaker}", corpus=corpus
    )
