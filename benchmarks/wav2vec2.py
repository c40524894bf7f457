"""wav2vec2-base in a `transformers` pipeline, measured: `python benchmarks/wav2vec2.py FOLDER`.

Run by benchmarks.peer in an environment that has nothing of voxmood (infra/peer.sh). Prints one JSON object:
milliseconds a clip for each batch size. From the bytes of FLAC files in memory to labels, on one thread.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: nothing is fetched

import soundfile
import torch
import transformers

BATCHES = (1, 8)
REPEATS = 3
LABELS = 8


def pipeline() -> Any:
    """Audio classification by the network's default size, which is base, with random weights."""
    config = transformers.Wav2Vec2Config(num_labels=LABELS)
    return transformers.AudioClassificationPipeline(
        model=transformers.Wav2Vec2ForSequenceClassification(config).eval(),
        feature_extractor=transformers.Wav2Vec2FeatureExtractor(),
        device="cpu",
    )


def seconds(classify: Any, contents: list[bytes], batch: int) -> float:
    """Seconds for all clips together."""
    started = time.perf_counter()
    clips = []
    for content in contents:
        samples, sampling_rate = soundfile.read(BytesIO(content), dtype="float32")
        clips.append({"raw": samples, "sampling_rate": sampling_rate})
    answers = classify(clips, batch_size=batch, num_workers=0)
    taken = time.perf_counter() - started
    if len(answers) != len(contents):
        raise ValueError(f"{len(answers)} answers to {len(contents)} clips")
    return taken


def main(folder: Path) -> None:
    """Time the pipeline on a folder of recordings; print JSON."""
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    contents = [file.read_bytes() for file in sorted(folder.iterdir())]
    classify = pipeline()
    costs = {}
    for batch in BATCHES:
        seconds(classify, contents[:batch], batch)  # to warm up
        times = [seconds(classify, contents, batch) for _ in range(REPEATS)]
        costs[batch] = statistics.median(times) / len(contents) * 1000
    weights = sum(weight.numel() for weight in classify.model.parameters())
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps({"ms_a_clip": costs, "weights": weights, "versions": versions}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
