"""Features of datasets, kept on disk: 2,036 recordings with four copies each take seven minutes."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import shared.audio
from shared.audio.limits import DecodeLimits
from shared.audio.spec import FeatureSpec
from shared.models.data import audio_data
from shared.models.data.audio_data import AudioData, Progress, joined_data, load_audio_data
from shared.models.data.corpora import JoinedCorpora, joined_example
from shared.models.data.datasets import Example, Recordings, fingerprint
from shared.models.serving import encoders

KEPT = 8  # entries, the latest used; v8's of 2,036 recordings has 650 MB
ABOUT = "about.json"


def load(
    recordings: Recordings,
    examples: Sequence[Example],
    spec: FeatureSpec,
    limits: DecodeLimits,
    report: Progress,
    n_copies: int,
    cache: Path | None,
) -> AudioData:
    """Features as `load_audio_data` computes them, from the cache if it has them.

    Other contents, labels, features or code are another entry.

    Args:
        recordings: where recordings are read.
        examples: which of them.
        spec: which features.
        limits: of decoding.
        report: called as report("features", done, total).
        n_copies: how many copies of each recording are made.
        cache: the folder; None: nothing is kept.

    Returns:
        The features, as memory maps where they come from the cache.
    """
    if cache is None:
        return load_audio_data(recordings, examples, spec, limits, report, n_copies)
    entry = cache / _identity(recordings, examples, spec, limits, n_copies)
    if not (entry / ABOUT).is_file():
        computed = load_audio_data(recordings, examples, spec, limits, report, n_copies)
        with suppress(OSError):  # a full disk, or a folder that is not ours: the next command computes them
            _write(entry, computed)
        if not (entry / ABOUT).is_file():
            return computed
    report("features", len(examples), len(examples))
    with suppress(OSError):
        (entry / ABOUT).touch()  # used now; another user's entry stays as it is
    _tidy(cache)
    return _read(entry, spec)


def load_joined(
    joined: JoinedCorpora,
    spec: FeatureSpec,
    limits: DecodeLimits,
    report: Progress,
    n_copies: int,
    cache: Path | None,
    width: int | None = None,
) -> AudioData:
    """Features of several corpora, one after another.

    Each corpus is cached by itself, so that every selection of corpora uses the same entries, and a recording
    has the same copies in all of them.

    Args:
        joined: the corpora.
        spec: which features.
        limits: of decoding.
        report: called as report("features", done, total).
        n_copies: how many copies of each recording are made.
        cache: the folder; None: nothing is kept.
        width: how many numbers of each row are kept, from the first on; None: all.
    """
    total, before, parts = len(joined.examples), 0, list[AudioData]()
    for name, corpus in joined.corpora.items():

        def of_all(stage: str, done: int, _total: int, before: int = before) -> None:
            report(stage, before + done, total)

        read = load(corpus, corpus.examples, spec, limits, of_all, n_copies, cache)
        parts.append(
            replace(
                read,
                features=read.features[..., :width],
                copies=read.copies[..., :width],
                examples=tuple(joined_example(name, example) for example in read.examples),
                left_out=tuple(f"{name}: {sentence}" for sentence in read.left_out),
            )
        )
        before += len(corpus.examples)
    return joined_data(parts)


def _identity(
    recordings: Recordings,
    examples: Sequence[Example],
    spec: FeatureSpec,
    limits: DecodeLimits,
    n_copies: int,
) -> str:
    """SHA-256 of everything that features follow from, including the code that computes them.

    The SHA-256 of an encoder is part of the spec.
    """
    digest = hashlib.sha256(fingerprint(recordings, examples).encode())
    digest.update(json.dumps([asdict(spec), asdict(limits), n_copies]).encode())
    for file in _code():
        digest.update(file.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _code() -> tuple[Path, ...]:
    """The files that compute features: two modules, and what they import of shared.audio, directly or not."""
    audio = Path(shared.audio.__path__[0])
    found, left = set[Path](), [Path(audio_data.__file__), Path(encoders.__file__)]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += [audio / f"{name}.py" for name in _imports(file) if (audio / f"{name}.py").is_file()]
    return tuple(sorted(found, key=lambda file: file.name))


def _imports(file: Path) -> Iterator[str]:
    """The modules of shared.audio that a module imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "shared.audio":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared.audio."):
            yield str(node.module).removeprefix("shared.audio.")


def _write(entry: Path, data: AudioData) -> None:
    """Write a whole entry or none: it appears by a rename, unless another process was first."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".") as hidden:
        folder = Path(hidden) / "entry"
        folder.mkdir()
        np.save(folder / "features.npy", data.features)
        np.save(folder / "copies.npy", data.copies)
        about = {"examples": [asdict(example) for example in data.examples], "left_out": data.left_out}
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        folder.rename(entry)


def _read(entry: Path, spec: FeatureSpec) -> AudioData:
    about = json.loads((entry / ABOUT).read_bytes())
    features, copies = (
        np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("features", "copies")
    )
    examples = tuple(Example(**example) for example in about["examples"])
    return AudioData(spec, features, copies, examples, tuple(about["left_out"]))


def _tidy(cache: Path) -> None:
    """Keep the entries that were used last; maps of a removed entry stay valid until they are closed."""
    entries = sorted(cache.glob(f"*/{ABOUT}"), key=lambda about: about.stat().st_mtime, reverse=True)
    for about in entries[KEPT:]:
        shutil.rmtree(about.parent, ignore_errors=True)
