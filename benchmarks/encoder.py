"""What an encoder costs, how far its int8 form differs, and how good a linear classifier on it is.

`python -m benchmarks.encoder` with RAVDESS beside the clone, on one core: the figures of the encoder's card.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.clip import RAVDESS, recordings
from benchmarks.command import run
from shared.core.settings import REPOSITORY, Settings

SECONDS = 3.0, 6.4
RUNS = 40
CLIPS = 200  # whose answers in int8 and in float32 are compared
FOLDS = REPOSITORY / "docs" / "reports" / "folds.txt"
STRENGTH = 1e-2  # of the logistic regression, on standardised features
PRECISIONS = "int8", "float32"


def network(precision: str) -> Any:
    """The encoder that ships, or the same weights in float32: from a log mel spectrogram to embeddings."""
    import onnxruntime

    from shared.audio.spec import ENCODED_V8
    from shared.models.serving.artefacts import encoder_file
    from shared.models.serving.encoder_graph import POOLED, encoder_graph
    from shared.models.serving.encoders import Encoder, encoder_weights
    from shared.models.serving.runtimes import session_options

    file = encoder_file(ENCODED_V8)
    if precision == "int8":
        return Encoder(file, threads=1).pooled
    graph = encoder_graph(encoder_weights(file.parent), 4, "float32")
    session = onnxruntime.InferenceSession(graph, session_options(1), providers=["CPUExecutionProvider"])
    return lambda mel: session.run([POOLED], {"mel": mel[None]})[0][0]


def cost(precision: str) -> None:
    """Print the time for a window by its length, and the memory that the encoder takes."""
    import numpy as np
    import onnxruntime  # noqa: F401 - what it takes itself is no encoder's
    import psutil

    from shared.audio.log_mel import log_mel

    noise = np.random.default_rng(0).normal(0, 0.1, int(max(SECONDS) * 16000)).astype(np.float32)
    mels = [log_mel(noise[: int(seconds * 16000)]) for seconds in SECONDS]
    before = psutil.Process().memory_info().rss
    encode = network(precision)
    times = []
    for mel in mels:
        of_runs = []
        for _ in range(RUNS):
            started = time.perf_counter()
            encode(mel)
            of_runs.append(time.perf_counter() - started)
        times.append(min(of_runs) * 1000)  # the others met whatever else the machine did
    more = (psutil.Process().memory_info().rss - before) / 1e6
    shown = ", ".join(f"{ms:.1f} ms for {seconds} s" for ms, seconds in zip(times, SECONDS, strict=True))
    print(f"{precision}: {shown}; {more:.0f} MB")


def agreement(data: Path) -> None:
    """Print how far int8 differs from float32 on recordings, layer by layer."""
    import numpy as np

    from shared.audio.decode import decode
    from shared.audio.features import fixed_length
    from shared.audio.log_mel import encoder_input
    from shared.audio.spec import ENCODED_V8
    from shared.limits import decode_limits

    limits, rate, seconds = decode_limits(Settings()), ENCODED_V8.sampling_rate, ENCODED_V8.seconds
    mels = [
        encoder_input(
            fixed_length(
                decode(content, path, sampling_rate=rate, seconds=seconds, limits=limits).samples, ENCODED_V8
            ),
            ENCODED_V8,
        )
        for path, content in recordings(data, CLIPS)
    ]
    own, exact = (np.stack([encode(mel) for mel in mels]) for encode in map(network, PRECISIONS))
    differences = np.sqrt(np.square((own - exact) / exact.std(axis=0)).mean(axis=(0, 2)))
    cosines = (own * exact).sum(axis=2) / np.linalg.norm(own, axis=2) / np.linalg.norm(exact, axis=2)
    print(f"int8 against float32, layers 1 to 4, {len(mels)} recordings:")
    print("  root mean square, in standard deviations over recordings:", differences.round(3))
    print("  cosine, median and least:", np.median(cosines, axis=0).round(5), cosines.min(axis=0).round(5))


def worth(data: Path) -> None:
    """Print the accuracy of a logistic regression on unseen speakers, by its input."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from shared.audio.spec import ENCODED_V8
    from shared.limits import decode_limits
    from shared.models.data import feature_cache
    from shared.models.data.datasets import channel, read_dataset
    from shared.models.data.folds import Clips, Validation
    from shared.models.data.splits import read_folds, speaker_folds

    settings, dataset, spec = Settings(), read_dataset(data), ENCODED_V8
    limits = decode_limits(settings)
    audio_data = feature_cache.load(
        dataset, dataset.examples, spec, limits, lambda *_: None, 0, settings.feature_cache
    )
    clips = Clips.of(audio_data)
    is_song = np.array([channel(example) == "song" for example in audio_data.examples])
    folds = speaker_folds(clips, (), 42, read_folds(FOLDS, clips), Validation.NONE)
    embeddings = audio_data.features[:, spec.embeddings]
    inputs = {
        "statistics": audio_data.features[:, : spec.statistics],
        "layers 2 to 4": embeddings,
        "both": np.concatenate([audio_data.features[:, : spec.statistics], embeddings], axis=1),
    } | {f"layer {n}": part for n, part in zip(spec.layers, np.split(embeddings, 3, axis=1), strict=True)}
    print(f"{len(is_song)} clips, {len(folds)} folds of speakers: accuracy, UAR of speech, accuracy of song")
    for name, rows in inputs.items():
        predicted = np.full(len(clips.emotions), "", clips.emotions.dtype)
        for fold in folds:
            fitted = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3))
            predicted[fold.test] = fitted.fit(rows[fold.train], clips.emotions[fold.train]).predict(
                rows[fold.test]
            )
        right = predicted == clips.emotions
        of_speech = [right[~is_song & (clips.emotions == one)].mean() for one in np.unique(clips.emotions)]
        print(
            f"  {name}: {right.mean():.3f} {np.mean(of_speech):.3f} {right[is_song].mean():.3f}", flush=True
        )


def main(
    data: Annotated[Path, typer.Option(help="Folder of RAVDESS, 16 kHz FLAC files.")] = RAVDESS,
    precision: Annotated[str, typer.Option(help="Only the cost of this one: int8 or float32.")] = "",
) -> None:
    """Measure, and print."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if precision:
        cost(precision)
        return
    for one in PRECISIONS:  # each in a process of its own, so that its memory is its own
        command = [sys.executable, "-m", "benchmarks.encoder", "--precision", one]
        subprocess.run(command, check=True, cwd=REPOSITORY)
    agreement(data)
    if data.is_dir():
        worth(data)


if __name__ == "__main__":
    run(main)
