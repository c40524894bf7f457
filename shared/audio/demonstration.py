"""The demonstration archive: recordings of people, speech-like clips, odd files and system litter as one zip.

The recordings of people ship beside the weights, under the same licence.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from shared.audio.synthesis import COLOURS, flac_bytes, speech_like, wav_bytes

# Its README.md has their credit and licence, and who they are: none was in the training of a version that
# ships.
RECORDINGS = Path(__file__).resolve().parents[2] / "saved_models" / "demonstration"


class Take(NamedTuple):
    """A way to record.

    Attributes:
        folder: in the archive.
        sampling_rate: in Hz.
        channels: how many there are.
        suffix: of the file.
        subtype: of the samples, as soundfile names it.
    """

    folder: str
    sampling_rate: int
    channels: int
    suffix: str
    subtype: str


TAKES = (
    Take("phone", 8000, 1, "wav", "PCM_16"),
    Take("meeting", 16000, 1, "flac", "PCM_16"),
    Take("radio/1998", 22050, 1, "wav", "PCM_16"),
    Take("studio/süd", 44100, 2, "flac", "PCM_24"),
    Take("studio/nord", 48000, 2, "wav", "PCM_24"),
    Take("meeting", 16000, 4, "wav", "FLOAT"),
)


def _oddities(rng: np.random.Generator) -> dict[str, bytes]:
    """Files that cannot be classified, each for another reason, by their paths."""
    n = 16000
    speech = speech_like("neutral", n, 1.0, seed=1)
    not_finite = speech.copy()
    not_finite[n // 2] = np.nan
    return {
        "odd/silent.wav": wav_bytes(np.zeros(n, np.float32), n),
        "odd/broken.wav": wav_bytes(speech, n)[:16] + rng.bytes(4000),
        "odd/empty.wav": wav_bytes(speech[:0], n),
        "odd/too short.wav": wav_bytes(speech[:800], n),
        "odd/not a number.wav": wav_bytes(not_finite, n, "FLOAT"),
        "odd/text.wav": b"These are the minutes of the meeting, and no recording of it.\n",
        "odd/cut off.flac": flac_bytes(speech, n)[:30],
    }


LITTER = {
    "__MACOSX/phone/._take 01.wav": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
    "phone/.DS_Store": b"\x00\x00\x00\x01Bud1",
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
}


def demonstration_archive(file: BinaryIO, clips: int = 24, seed: int = 0) -> int:
    """Write a zip of recordings of people, speech-like clips, seven odd files and system litter.

    The recordings of people give `classified`; the odd files give each kind of `failed` and one `no_voice`.
    There are never fewer than these. The litter becomes no row.

    Args:
        file: where the zip is written.
        clips: how many recordings it shall have.
        seed: of the speech-like clips; the same seed gives the same bytes.

    Returns:
        How many recordings are in it.
    """
    rng = np.random.default_rng(seed)
    odd = _oddities(rng)
    members = recordings_of_people()
    for i in range(max(0, clips - len(odd) - len(members))):
        take = TAKES[i % len(TAKES)]
        emotion = tuple(COLOURS)[i % len(COLOURS)]
        duration_s = float(rng.uniform(2.5, 4.5))
        mono = speech_like(emotion, take.sampling_rate, duration_s, seed=int(rng.integers(2**32)))
        gains = np.linspace(1.0, 0.8, take.channels, dtype=np.float32)
        encode = flac_bytes if take.suffix == "flac" else wav_bytes
        members[f"{take.folder}/take {i + 1:02}.{take.suffix}"] = encode(
            mono[:, None] * gains, take.sampling_rate, take.subtype
        )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**members, **odd, **LITTER}.items():
            # A fixed date, so that the same seed gives the same bytes.
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return len(members) + len(odd)


def recordings_of_people(folder: Path = RECORDINGS) -> dict[str, bytes]:
    """The recordings of people by their paths in the archive; none where their folder does not exist."""
    return {f"people/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.flac"))}
