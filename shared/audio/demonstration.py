"""Recordings of people that the demonstration holds: they ship beside the weights, under the same licence."""

from __future__ import annotations

from pathlib import Path

from shared.core.settings import REPOSITORY

# Its README.md has their credit and licence, and who they are: nobody who taught a version that ships.
RECORDINGS = REPOSITORY / "saved_models" / "demonstration"


def recordings_of_people(folder: Path = RECORDINGS) -> dict[str, bytes]:
    """Their bytes by the path that each has in the demonstration archive; none where the folder is not."""
    return {f"people/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.flac"))}
