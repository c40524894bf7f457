"""`voxmood classify`: recordings to outcomes in this process, without the stack."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from shared.core.errors.infrastructure import EmptyFolder, FileMissing
from shared.core.errors.recordings import Unreadable
from shared.core.states import Outcome
from voxmood.cli.console import progress, say

if TYPE_CHECKING:
    from shared.models.serving.classifier import Classifier
    from shared.models.serving.clip_results import ClipResult

BAR_WIDTH = 30


def classify_files(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Recordings, or folders of them.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line a clip.")] = False,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the champion.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Reject below this confidence. Default: the version's.")
    ] = None,
) -> None:
    """Classify recordings in this process: emotion, confidence and all probabilities, or why not.

    The exit code is 1 if every recording failed.
    """
    from shared.core.settings import Settings
    from shared.models.serving.classifier import Classifier

    files = [file for path in paths for file in _files(path)]
    settings = Settings()
    classifier = Classifier.load(settings.model_folders, model or settings.champion)
    size = classifier.batch_size(settings.batch_clips)
    counts: Counter[str] = Counter()

    # On a terminal the results scroll by; a bar would be torn to pieces.
    has_bar = len(files) > 1 and not sys.stdout.isatty()
    with progress("clips") if has_bar else nullcontext() as bar:
        task = bar.add_task("clips", total=len(files)) if bar else None
        for start in range(0, len(files), size):
            batch = files[start : start + size]
            for result in _classify(classifier, batch, threshold, size):
                counts[result.outcome] += 1
                sys.stdout.write(_line(result, classifier) if json else _block(result))
            if bar and task is not None:
                bar.advance(task, len(batch))
    if len(files) != 1:
        say(f"{len(files)} clips: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if counts[Outcome.FAILED] == len(files):
        raise typer.Exit(1)


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or the files below a folder, sorted, but for what systems leave there."""
    from shared.archives import is_litter

    if path.is_dir():
        inside = (file for file in path.rglob("*") if file.is_file())
        found = sorted(file for file in inside if not is_litter(file.relative_to(path).as_posix()))
        if not found:
            raise EmptyFolder(path=path)
        yield from found
    elif path.exists():
        yield path
    else:
        raise FileMissing(path=path)


def _classify(
    classifier: Classifier, files: Sequence[Path], threshold: float | None, batch_clips: int
) -> list[ClipResult]:
    from shared.archives import printable
    from shared.models.serving.clip_results import ClipResult

    clips: list[tuple[str, BinaryIO]] = []
    closed: dict[int, ClipResult] = {}
    with ExitStack() as stack:
        for place, file in enumerate(files):
            path = printable(os.fspath(file))
            try:
                clips.append((path, stack.enter_context(file.open("rb"))))
            except OSError as error:
                closed[place] = ClipResult.failed(path, Unreadable(path=path, reason=error.strerror))
        results = iter(classifier.classify(clips, threshold, batch_clips))
        return [closed.get(place) or next(results) for place in range(len(files))]


def _line(result: ClipResult, classifier: Classifier) -> str:
    """One JSON line, in the order of the result columns."""
    probabilities = result.probabilities or {}
    row: dict[str, Any] = {
        "path": result.path,
        "outcome": result.outcome,
        "emotion": result.emotion,
        "confidence": result.confidence,
        "threshold": result.threshold,
        "model_version": classifier.manifest.version,
        "duration_s": result.duration_s,
        "error_code": result.error_code,
        "error": result.error,
        "quality": None if result.quality is None else " ".join(result.quality.flags),
        **{f"p_{label}": probabilities.get(label) for label in classifier.manifest.labels},
        "message": result.message,
    }
    return json_module.dumps(row, ensure_ascii=False) + "\n"


def _block(result: ClipResult) -> str:
    """What the seed's test_model.py printed: the answer, then all probabilities from the highest."""
    lines = [result.path, f"  {result.message}"]
    ranked = sorted((result.probabilities or {}).items(), key=lambda item: -item[1])
    lines += [
        f"  {label:<10} {share:.4f} {'█' * round(share * BAR_WIDTH)}".rstrip() for label, share in ranked
    ]
    return "\n".join(lines) + "\n\n"
