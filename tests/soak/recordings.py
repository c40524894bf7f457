"""Uploads for the soak, sound and bad, each with the paths that must come back as rows."""

from __future__ import annotations

import io
import itertools
import random
import struct
import zipfile
from dataclasses import dataclass

from shared.audio.synthesis import unique_clip
from tests.archive_builders import encrypted_zip, packed_tar, tar_of, zip_of

VOICES = 64
WAV_HEADER_BYTES = 44


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload's body, and its manifest: the paths of all that must get an outcome."""

    name: str
    body: bytes
    paths: list[str]


class Maker:
    """Makes uploads. Their clips are a few voices, each time with other first samples: no duplicates."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._voices = [unique_clip(number, 0.6) for number in range(VOICES)]
        self._numbers = itertools.count()

    def clip(self) -> bytes:
        """A recording of 0.6 s that is like no other of this maker."""
        number = next(self._numbers)
        voice = self._voices[number % VOICES]
        first = struct.pack("<4h", *number.to_bytes(4, "little"))
        return voice[:WAV_HEADER_BYTES] + first + voice[WAV_HEADER_BYTES + len(first) :]

    def sound(self, clips: int) -> Upload:
        """An archive in which nothing is wrong."""
        members = {f"{number:05d}.wav": self.clip() for number in range(clips)}
        kind = self._chance.choice(["zip", "tar", "tar.gz"])
        pack = {"zip": lambda: zip_of(members, 0), "tar": lambda: tar_of(members)}
        body = pack[kind]() if kind in pack else packed_tar(members, "gz")
        return Upload(f"sound.{kind}", body, list(members))

    def odd(self, clips: int) -> Upload:
        """Recordings among a text, silence, a nested archive, an encrypted one and the same one twice."""
        members = {f"{number:05d}.wav": self.clip() for number in range(clips)}
        again = next(iter(members.values()))
        odd = {"notes.txt": b"words", "empty.wav": b"", "in.zip": zip_of({"a": b"a"}), "secret.wav": b"s",
               "again.wav": again}  # fmt: skip
        members |= odd
        return Upload("odd.zip", encrypted_zip(members, "secret.wav"), list(members))

    def truncated(self, clips: int) -> Upload:
        """A zip without its end: what is whole is read, the member that breaks off is a failed clip."""
        members = {f"{number:05d}.wav": self.clip() for number in range(clips)}
        whole = zip_of(members, 0)
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            broken = archive.infolist()[self._chance.randrange(clips)]
        cut = broken.header_offset + broken.compress_size // 2
        return Upload("truncated.zip", whole[:cut], [path for path in members if path <= broken.filename])

    def litter(self) -> Upload:
        """An archive without recordings: the upload fails, the job's others do not."""
        return Upload("litter.zip", zip_of({"__MACOSX/._a": b"x", "folder/": b""}), [])
