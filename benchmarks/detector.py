"""How well a voice detector works: speech that it misses, and sounds that it takes for a voice.

`python -m benchmarks.detector` with the corpora beside the clone, on one core: the tables of
docs/decisions/012-who-hears-no-voice.md. Nothing is trained here; the limit was chosen with other random
recordings.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.command import run, say
from shared.core.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    import numpy as np

    from shared.models.serving.detectors import Detector

DATA = REPOSITORY.parent / "shared" / "data"
CORPORA = "ravdess", "banglaser", "emospeech", "korean"
# EmoSpeech labels some recordings so: places without people, and recordings whose emotion is unclear.
NO_SPEECH = "background", "unknown", "emotion"
CLIPS, SEED = 200, 12
SOUND_CLIPS, SOUNDS_S = 100, (1.0, 3.0, 6.4, 20.0)
LIMITS_S = 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2
RUNS = 40
VERSION, EVERY = "v8-small", 20  # whose answers show what weights are worth, on every so many recordings
AROUND = {
    "as they are": (0, 0),
    "5 s of zeros behind": (0, 5),
    "10 s before": (10, 0),
    "20 s behind": (0, 20),
}
POWERS = 1, 2, 3

Recording = tuple[str, Any]


def recordings(corpus: str, count: int, seed: int) -> list[Recording]:
    """Path and samples (16 kHz) of recordings of speech.

    Args:
        corpus: its name.
        count: how many.
        seed: of the random choice.
    """
    import numpy as np

    from shared.audio.decode import decode
    from shared.audio.voice_activity import SAMPLING_RATE
    from shared.limits import decode_limits
    from shared.models.data.corpora import read_corpora

    dataset = read_corpora([f"{corpus}={DATA / corpus}"])[corpus]
    spoken = [example for example in dataset.examples if example.emotion not in NO_SPEECH]
    limits, found = decode_limits(Settings()), []
    for place in np.sort(np.random.default_rng(seed).permutation(len(spoken))[:count]):
        with dataset.open(spoken[place]) as file:
            read = decode(file, spoken[place].path, sampling_rate=SAMPLING_RATE, seconds=None, limits=limits)
        if not read.is_silent:
            found.append((spoken[place].path, np.asarray(read.samples, np.float32)))
    return found


def most_voice(detect: Detector, samples: Any) -> float:
    """Seconds of voice in the second that has most, over all windows of samples rounded to 16 bits."""
    from shared.audio.recorder import in_16_bits
    from shared.audio.rumble import without_rumble

    found = [0.0]
    for window in windows(in_16_bits(samples)):
        found.append(detect(without_rumble(window, 16_000)).in_a_second)
    return max(found)


def windows(samples: Any) -> Iterator[Any]:
    """The windows of v7 and later versions, without silent ones."""
    import numpy as np

    from shared.audio.decode import SILENT_PEAK
    from shared.audio.spec import VOICE_V7
    from shared.audio.windows import MINIMUM_S, spread

    length = VOICE_V7.n_samples
    for start in spread(len(samples), length, round(MINIMUM_S * VOICE_V7.sampling_rate)):
        window = samples[start : start + length]
        if np.abs(window).max() >= SILENT_PEAK:
            yield window


def speech(detect: Detector, clips: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Seconds of voice of each recording, by corpus and condition."""
    import numpy as np

    from shared.audio.conditions import CONDITIONS

    found = {}
    for corpus in CORPORA:
        if not (DATA / corpus).is_dir():
            say(f"{corpus} is not there")
            continue
        chosen = recordings(corpus, clips, seed)
        say(f"{corpus}: {len(chosen)} recordings")
        for name, condition in CONDITIONS.items():
            if not condition.is_there:
                continue
            rows = []
            for path, samples in chosen:
                rng = np.random.default_rng([seed, zlib.crc32(path.encode()), zlib.crc32(name.encode())])
                pool = [other for name_, other in chosen[:: max(1, len(chosen) // 24)] if name_ != path]
                rows.append(most_voice(detect, condition(samples, 16_000, rng, pool)))
            found[corpus, name] = np.array(rows)
    return found


def sounds(detect: Detector, clips: int, seed: int) -> dict[tuple[str, float], np.ndarray]:
    """Seconds of voice of each sound without a voice, by kind and length."""
    import numpy as np

    from shared.audio.sounds import SOUNDS, sound
    from shared.audio.synthesis import NON_SPEECH, non_speech

    found = {}
    for kind in (*NON_SPEECH, *SOUNDS):
        make = sound if kind in SOUNDS else non_speech
        for seconds in SOUNDS_S:
            numbers = range(seed, seed + clips)
            found[kind, seconds] = np.array(
                [most_voice(detect, make(kind, 16_000, seconds, number)) for number in numbers]
            )
    return found


def show_speech(found: dict[tuple[str, str], np.ndarray], limit_s: float) -> None:
    """Print the share without a detected voice, a line a condition, a column a corpus."""
    corpora = list(dict.fromkeys(corpus for corpus, _ in found))
    print(f"\n| no voice heard in speech | {' | '.join(corpora)} |\n|---|{'---|' * len(corpora)}")
    for name in dict.fromkeys(name for _, name in found):
        shares = [(found[corpus, name] < limit_s).mean() for corpus in corpora]
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in shares)} |")


def show_sounds(found: dict[tuple[str, float], np.ndarray], limit_s: float) -> None:
    """Print the share without a detected voice, a line a kind, a column a length."""
    print(f"\n| no voice heard in sounds of | {' | '.join(f'{s:g} s' for s in SOUNDS_S)} |")
    print(f"|---|{'---|' * len(SOUNDS_S)}")
    kinds = list(dict.fromkeys(kind for kind, _ in found))
    for kind in kinds:
        shares = [(found[kind, seconds] < limit_s).mean() for seconds in SOUNDS_S]
        print(f"| {kind} | {' | '.join(f'{share:.2f}' for share in shares)} |")
    means = [
        sum((found[kind, seconds] < limit_s).mean() for kind in kinds) / len(kinds) for seconds in SOUNDS_S
    ]
    print(f"| **all kinds alike** | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def show_limits(
    spoken: dict[tuple[str, str], np.ndarray], others: dict[tuple[str, float], np.ndarray]
) -> None:
    """Print, a line a limit, what it misses and what it takes for a voice."""
    import numpy as np

    print(
        "\n| least voice in a second | speech missed: mean, worst | sounds without a voice | of them chords |"
    )
    print("|---|---|---|---|")
    for limit_s in LIMITS_S:
        missed = {place: float((rows < limit_s).mean()) for place, rows in spoken.items()}
        worst = max(missed, key=missed.__getitem__)
        right = {place: (rows < limit_s).mean() for place, rows in others.items()}
        chords = np.mean([share for (kind, _), share in right.items() if kind == "chords"])
        misses = f"{np.mean(list(missed.values())):.4f}, {missed[worst]:.3f} ({', '.join(worst)})"
        print(f"| {limit_s:g} s | {misses} | {np.mean(list(right.values())):.3f} | {chords:.2f} |")


def show_weights(detect: Detector) -> None:
    """Print how many answers stay the same with silence around, by the power of the voice in the weights."""
    import numpy as np

    from shared.audio import voice_presence as presence
    from shared.audio.recorder import with_silence
    from shared.audio.synthesis import wav_bytes
    from shared.limits import decode_limits
    from shared.models.serving.classifier import Classifier
    from shared.models.serving.encoders import feature_maker
    from shared.models.serving.registry import folder_of, verify
    from shared.models.serving.runtimes import load_network

    settings = Settings()
    manifest = verify(settings.model_folders, VERSION)
    network = load_network(folder_of(settings.model_folders, VERSION), manifest, "onnx", 1, "cpu")
    limits = decode_limits(settings)
    make = feature_maker(manifest.feature_spec)
    classifiers = {"without a detector": Classifier(manifest, make, network, limits)}
    classifiers |= {
        f"voice to the power {power}": Classifier(manifest, make, network, limits, detect) for power in POWERS
    }
    chosen = recordings("ravdess", 10**6, 0)[::EVERY][:100]
    print(f"\n| {VERSION} accepts, of {len(chosen)} | {' | '.join(AROUND)} |\n|---|{'---|' * len(AROUND)}")
    power_of_product = presence.POWER
    for power, (name, classifier) in zip((power_of_product, *POWERS), classifiers.items(), strict=True):
        presence.POWER = power
        shown, first = [], np.array([])
        for before_s, behind_s in AROUND.values():
            clips = [
                (path, wav_bytes(with_silence(samples, 16_000, before_s, behind_s), 16_000))
                for path, samples in chosen
            ]
            emotions = np.array([result.emotion or "" for result in classifier.classify(clips)])
            first = emotions if not len(first) else first
            shown.append(
                f"{(emotions != '').sum()} ({((emotions == first) & (emotions != '')).sum()} the same)"
            )
        print(f"| {name} | {' | '.join(shown)} |", flush=True)
    presence.POWER = power_of_product


def cost(detect: Detector) -> None:
    """Print the time for 3 s and for a window, in ms."""
    import numpy as np

    for seconds in (3.0, 6.4):
        noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)
        times = []
        for _ in range(RUNS):
            started = time.perf_counter()
            detect(noise)
            times.append(time.perf_counter() - started)
        print(f"{min(times) * 1000:.1f} ms for {seconds} s")


def main(
    clips: Annotated[int, typer.Option(help="Recordings of each corpus.")] = CLIPS,
    seed: Annotated[int, typer.Option(help="Which recordings and sounds.")] = SEED,
    parts: Annotated[
        str, typer.Option(help="Some of speech, sounds, weights, cost.")
    ] = "speech,sounds,weights,cost",
    slower: Annotated[float, typer.Option(help="By what factor it hears slower; 0: as always.")] = 0.0,
) -> None:
    """Measure, and print."""
    from shared.audio import voice_presence as presence
    from shared.models.serving.detectors import SILERO, detector

    presence.SLOWER = slower or presence.SLOWER
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    detect = detector(SILERO)
    wanted: Sequence[str] = parts.split(",")
    if "cost" in wanted:
        cost(detect)
    others = sounds(detect, SOUND_CLIPS, seed) if "sounds" in wanted else {}
    if others:
        show_sounds(others, presence.LEAST_S)
    spoken = speech(detect, clips, seed) if "speech" in wanted else {}
    if spoken:
        show_speech(spoken, presence.LEAST_S)
    if spoken and others:
        show_limits(spoken, others)
    if "weights" in wanted and (DATA / "ravdess").is_dir():
        show_weights(detect)


if __name__ == "__main__":
    run(main)
