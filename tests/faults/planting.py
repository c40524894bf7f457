"""Arms the faults of tests/faults/planted/sitecustomize.py in a stack's processes, and sees them strike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_for

PLANTED = Path(__file__).parent / "planted"


def environment(folder: Path) -> dict[str, str]:
    """What a stack's environment needs, so that its processes look for armed faults in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = filter(None, (str(PLANTED), os.environ.get("PYTHONPATH")))
    return {"PYTHONPATH": os.pathsep.join(paths), "VOXMOOD_PLANTED": str(folder)}


@dataclass(frozen=True)
class Planted:
    """The faults of one stack, by their places."""

    folder: Path

    def arm(self, place: str, signal: str = "KILL") -> None:
        """The next process that comes to `place` gets this signal."""
        for struck in self.folder.glob(f"{place}.[0-9]*"):
            struck.unlink()
        new = self.folder / "new"
        new.write_text(signal)
        new.rename(self.folder / place)

    def struck(self, place: str, limit_s: float = 60) -> int:
        """Wait until the fault has struck; the number of the process."""
        wait_for(lambda: [*self.folder.glob(f"{place}.[0-9]*")], limit_s, f"nobody came to {place}")
        return int(next(self.folder.glob(f"{place}.[0-9]*")).name.rpartition(".")[2])

    @contextmanager
    def doubled_bells(self) -> Iterator[None]:
        """Meanwhile every bell rings twice."""
        (self.folder / "doubled").touch()
        try:
            yield
        finally:
            (self.folder / "doubled").unlink()
