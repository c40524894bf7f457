"""What has come of an upload and is not yet a part for the store: on disk, for it may come slowly."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from shared.core.errors.infrastructure import SpoolFull


class Spool:
    """Bytes in a file without a name: it is gone with the process, whatever ends that.

    Made at the first byte. Not for two threads at once.
    """

    def __init__(self, folder: Path | None) -> None:
        """folder: where the file is; None: the system's for temporary files."""
        self.size = 0
        self._folder = folder
        self._file: IO[bytes] | None = None

    def add(self, block: bytes | bytearray) -> None:
        """Keep a block; raises SpoolFull."""
        try:
            if self._file is None:
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - see close
            self._file.write(block)
        except OSError as error:
            raise SpoolFull(folder=self._folder or tempfile.gettempdir(), reason=error.strerror) from error
        self.size += len(block)

    def taken(self) -> bytes:
        """All that was added since the last time."""
        if self._file is None:
            return b""
        self._file.seek(0)
        held = self._file.read()
        self._file.seek(0)
        self._file.truncate()
        self.size = 0
        return held

    def close(self) -> None:
        """Give the file up."""
        if self._file is not None:
            self._file.close()
