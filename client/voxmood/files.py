"""Files that are there whole or not at all, and what is in their way as a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voxmood.errors import CannotWrite, NoSuchFolder


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Write a file under the path that this gives; it then gets its own name at once.

    Whoever reads meanwhile finds the old file, or none. Where the writing fails nothing is left of it.

    Args:
        file: where it is to be; its folder exists.

    Yields:
        A path in the same folder with the same suffix, hidden.
    """
    partial = file.with_name(f".partial-{file.name}")
    try:
        yield partial
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def check_folder(file: Path) -> None:
    """NoSuchFolder where the folder of this file is missing: to be asked before the work."""
    if not file.parent.is_dir():
        raise NoSuchFolder(folder=file.parent, name=file.name)


@contextmanager
def written(file: Path) -> Iterator[Path]:
    """The same as `written_whole`, with the errors of a command.

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
