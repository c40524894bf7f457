"""Voice detectors on disk, `detectors/NAME/` beside the model versions.

Each is stored once, for all versions that name it, and loaded once a process. The README.md of its folder is
its card.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from shared.audio.arrays import Floats
from shared.audio.threads import one_blas_thread
from shared.audio.voice_activity import VoiceActivity
from shared.audio.voice_presence import VoicePresence, has_voice, presence
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
        """Load the weights.

        Args:
            file: of the weights; its SHA-256 must have been checked.
        """
        with np.load(file, allow_pickle=False) as weights:
            self._detect = VoiceActivity(weights)

    def __call__(self, samples: Floats) -> VoicePresence:
        """How much voice a window has.

        Args:
            samples: without rumble, 16 kHz, shape (n,), n > 0.
        """
        with one_blas_thread():
            return presence(self._detect, samples)

    def has_voice(self, samples: Floats) -> bool:
        """Whether there is a voice in a window at all, which takes less time.

        Args:
            samples: without rumble, 16 kHz, shape (n,), n > 0.
        """
        with one_blas_thread():
            return has_voice(partial(self._detect.from_the_beginning, at_once=AHEAD), samples)


def detector(named: DetectorRef, models: Folders = ()) -> Detector:
    """Load a detector.

    Args:
        named: its name and SHA-256.
        models: folders in which it is looked up first, before those of the settings and what ships.

    Raises:
        DamagedArtefact: it is missing, or another one of this name is there.
    """
    return _loaded(detector_file(named, models), named.sha256)


def verify_detector(folder: Path) -> ArtefactManifest:
    """Read the manifest of a detector and check the SHA-256 of each file.

    Raises:
        DamagedArtefact: a file has changed, or the manifest cannot be read.
    """
    return verify_artefact("detector", folder, ArtefactManifest)


@lru_cache(maxsize=1)
def _loaded(file: Path, _sha256: str) -> Detector:
    return Detector(file)
