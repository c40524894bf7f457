"""Files that commands write: whole under their own name, or not there, and what is in the way a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.core.errors.infrastructure import CannotWrite, NoSuchFolder
from shared.core.files import written_whole


def check_folder(file: Path) -> None:
    """NoSuchFolder where the folder of this file is missing: to be asked before the work."""
    if not file.parent.is_dir():
        raise NoSuchFolder(folder=file.parent, name=file.name)


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """The path under which to write a file; it gets its own name at the end, or is removed.

    Raises:
        NoSuchFolder: its folder is missing.
        CannotWrite: what the system says of it.
    """
    check_folder(file)
    try:
        with written_whole(file) as partial:
            yield partial
    except OSError as error:
        raise CannotWrite(path=file, reason=error.strerror or error) from error
