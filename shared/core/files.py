"""Files that are there whole or not at all: written under another name, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Give a path to write a file under; the file then gets its own name at once.

    Whoever reads meanwhile finds the old file, or none. If writing fails, nothing is left of it.

    Args:
        file: where it is to be; its folder exists.

    Yields:
        A hidden path in the same folder with the same suffix.
    """
    partial = file.with_name(f".partial-{file.name}")
    try:
        yield partial
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
