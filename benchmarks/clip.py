"""What a clip costs: the baseline's way against ours, and ours stage by stage (`make bench`).

On one core, from bytes in memory to probabilities. Each figure is the median of five repeats, in milliseconds
a clip. The clips are those of RAVDESS if it lies beside the repository, else synthesised.
"""

from __future__ import annotations

import json as json_module
import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.command import run
from shared.core.settings import REPOSITORY, Settings

RAVDESS = REPOSITORY.parent / "shared" / "data" / "ravdess"
BASELINE = "seed-v6"  # the version that both ways are measured with
SMALL = "v8-small"
REPEATS = 5
CLIPS = 128  # in one repeat of ours
BASELINE_CLIPS = 4  # in one repeat of the baseline's way, which takes some 0.4 s a clip

Clips = Sequence[tuple[str, bytes]]


def recordings(folder: Path, count: int) -> Clips:
    """FLAC files of 16 kHz, (name, content): evenly from a folder, synthesised if it has none.

    Args:
        folder: of the recordings.
        count: how many.
    """
    from shared.audio.synthesis import COLOURS, flac_bytes, speech_like

    files = sorted(folder.rglob("*.flac"))
    if files:
        return [(file.name, file.read_bytes()) for file in files[:: max(1, len(files) // count)][:count]]
    emotions = tuple(COLOURS)
    clips = (speech_like(emotions[seed % len(emotions)], 16000, 3.6, seed) for seed in range(count))
    return [(f"synthesised {seed}", flac_bytes(clip, 16000)) for seed, clip in enumerate(clips)]


def milliseconds(work: Callable[[], object], clips: int) -> float:
    """The median time of some work, in ms a clip, after one run to warm up.

    Args:
        work: is run REPEATS times.
        clips: how many clips one run covers.
    """
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) / clips * 1000


def baseline_way(settings: Settings, clips: Clips) -> dict[str, float]:
    """Librosa for each file, then `predict` on one clip; with and without loading the model for each."""
    import librosa

    from shared.audio.baseline_features import get_audio_features
    from shared.audio.features import fixed_length
    from shared.audio.spec import BASELINE_V6
    from shared.models.serving.backend import load_keras
    from shared.models.serving.manifest import MODEL

    keras = load_keras(threads=1)
    model_file = settings.models_dir / BASELINE / MODEL
    model = keras.models.load_model(model_file)

    def classify(reload: bool) -> None:
        for _, content in clips:
            network = keras.models.load_model(model_file) if reload else model
            samples, _ = librosa.load(BytesIO(content), sr=16000, duration=3.0)
            network.predict(get_audio_features(fixed_length(samples, BASELINE_V6))[None], verbose=0)

    return {
        "seed_with_model_load": milliseconds(lambda: classify(reload=True), len(clips)),
        "seed": milliseconds(lambda: classify(reload=False), len(clips)),
    }


def our_way(settings: Settings, version: str, clips: Clips) -> float:
    """Classifier.classify in batches, as a worker calls it, in ms a clip."""
    from shared.models.serving.classifier import Classifier

    classifier = Classifier.load(settings.model_folders, version, threads=1)
    return milliseconds(lambda: classifier.classify(clips, batch_clips=settings.batch_clips), len(clips))


def our_stages(settings: Settings, version: str, clips: Clips) -> dict[str, float]:
    """The cost of each of our stages, in ms a clip; resampling is measured with the same clips at 48 kHz."""
    import numpy as np
    import soxr

    from shared.audio.decode import decode
    from shared.audio.features import fixed_length
    from shared.audio.synthesis import wav_bytes
    from shared.limits import decode_limits
    from shared.models.serving.devices import BATCH_CLIPS
    from shared.models.serving.encoders import feature_maker
    from shared.models.serving.registry import folder_of, verify
    from shared.models.serving.runtimes import load_network

    manifest = verify(settings.model_folders, version)
    spec = manifest.feature_spec
    rate, limits = spec.sampling_rate, decode_limits(settings)

    def decoded(clips: Clips, sampling_rate: int) -> list[np.ndarray]:
        return [
            decode(content, path, sampling_rate=sampling_rate, seconds=spec.seconds, limits=limits).samples
            for path, content in clips
        ]

    samples = decoded(clips, rate)
    high = [soxr.resample(clip, rate, 48000) for clip in samples]
    high_clips = [(path, wav_bytes(clip, 48000)) for (path, _), clip in zip(clips, high, strict=True)]
    fixed = np.stack([fixed_length(clip, spec) for clip in samples])
    features = feature_maker(spec)
    inputs = features(fixed)
    folder = folder_of(settings.model_folders, version)
    network = load_network(folder, manifest, settings.runtime, threads=1, device=settings.device)
    size = settings.batch_clips or BATCH_CLIPS[network.processor]
    batches = [inputs[i : i + size] for i in range(0, len(inputs), size)]
    stages: dict[str, Callable[[], object]] = {
        "decode_flac_16_khz": lambda: decoded(clips, rate),
        "decode_wav_48_khz": lambda: decoded(high_clips, 48000),
        "resample_48_to_16_khz": lambda: [soxr.resample(clip, 48000, rate, quality="HQ") for clip in high],
        "features": lambda: features(fixed),
        "network": lambda: [network(batch) for batch in batches],
    }
    return {name: milliseconds(stage, len(clips)) for name, stage in stages.items()}


def main(
    data: Annotated[Path, typer.Option(help="Folder of 16 kHz FLAC files.")] = RAVDESS,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure, and print a table."""
    # Before NumPy and TensorFlow are imported: they make a thread a core that they see.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # the baseline's way has it trace for every clip
    settings = Settings()
    clips = recordings(data, CLIPS)
    versions = list(dict.fromkeys([BASELINE, SMALL, settings.champion]))
    ours = {version: our_way(settings, version, clips) for version in versions}
    ways = baseline_way(settings, clips[:BASELINE_CLIPS]) | {
        f"ours, {name}": cost for name, cost in ours.items()
    }
    stages = {version: our_stages(settings, version, clips) for version in versions}
    if json:
        print(json_module.dumps({"clips": len(clips), "ms_a_clip": ways, "stages_ms_a_clip": stages}))
        return
    table = Table(title=f"{len(clips)} clips, such as {clips[0][0]}, on one core", box=None)
    table.add_column("", no_wrap=True)
    for heading in ("ms a clip", "clips a second", "times the seed"):
        table.add_column(heading, justify="right")
    for name, cost in ways.items():
        times = ways["seed_with_model_load"] / cost
        table.add_row(name.replace("_", " "), f"{cost:,.1f}", f"{1000 / cost:,.0f}", f"{times:,.0f}")
    for version, costs in stages.items():
        table.add_section()
        for name, cost in costs.items():
            table.add_row(f"  {version}: {name.replace('_', ' ')}", f"{cost:,.2f}", f"{1000 / cost:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
