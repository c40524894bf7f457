"""Where real recordings lie, if they do: VOXMOOD_TEST_RECORDINGS, else `shared/data` beside the clone."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
DATA = Path(os.environ.get("VOXMOOD_TEST_RECORDINGS") or _BESIDE)
RAVDESS = DATA / "ravdess"
ORIGINAL = DATA / "original"
# Files of the kinds that people have, made from two recordings; its README says what is right.
CASES = DATA.parent / "cases"


def zip_files(paths: Sequence[Path]) -> bytes:
    """A zip of these files, by their names and their folders' names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            archive.write(path, f"{path.parent.name}/{path.name}")
    return file.getvalue()
