"""Voice detectors on disk, `detectors/NAME/` beside the model versions: each is stored once, for all versions
that name it, and loaded once a process. The folder's README.md is its card.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from shared.audio.threads import one_blas_thread
from shared.audio.voice_activity import VoiceActivity
from shared.audio.voice_presence import Floats, VoicePresence, has_voice, presence
from shared.models.serving.artefacts import ArtefactManifest, Folders, detector_file, verify_artefact
from shared.models.serving.manifest import DetectorRef

# Chunks, a quarter of a second: how far `has_voice` looks ahead.
AHEAD = 10
# What ships, for methods to name.
SILERO = DetectorRef(
    name="silero-vad-6.2", sha256="13f3d83bcafc7686d221d03a39a4cccab57e876e473ae707c71e0cb0d4c39cc2"
)


class Detector:
    """A loaded detector; its answer to a window depends on no other window."""

    def __init__(self, file: Path) -> None:
        """Expects a file whose SHA-256 has been seen."""
        with np.load(file, allow_pickle=False) as weights:
            self._detect = VoiceActivity(weights)

    def __call__(self, samples: Floats) -> VoicePresence:
        """How much voice a window (n,) has, n > 0, 16 kHz, without rumble."""
        with one_blas_thread():
            return presence(self._detect, samples)

    def has_voice(self, samples: Floats) -> bool:
        """Whether there is a voice in it at all, which takes less."""
        with one_blas_thread():
            return has_voice(partial(self._detect.from_the_beginning, at_once=AHEAD), samples)


def detector(named: DetectorRef, models: Folders = ()) -> Detector:
    """The detector of this name and content. models: where it is looked up, before the folders of the
    settings and what ships. Raises DamagedArtefact.
    """
    return _loaded(detector_file(named, models), named.sha256)


def verify_detector(folder: Path) -> ArtefactManifest:
    """The manifest of a detector, once every file's SHA-256 is as it says; else DamagedArtefact."""
    return verify_artefact("detector", folder, ArtefactManifest)


@lru_cache(maxsize=1)
def _loaded(file: Path, _sha256: str) -> Detector:
    return Detector(file)
