"""Time and peak memory of a command and everything it starts: `python3 -m benchmarks.usage make test`.

Only the standard library: it also runs where `make setup` has not run yet. What a command leaves running
counts as long as the command itself runs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from time import monotonic

MARK = "VOXMOOD_USAGE_MARK"
EVERY_S = 0.5


class Watch(threading.Thread):
    """Samples the processes that inherited a mark in their environment."""

    def __init__(self, mark: bytes) -> None:
        super().__init__(daemon=True)
        self.mark = mark
        self.largest = self.all = 0  # bytes: resident of one process; of all, shared pages counted once
        self.ended = threading.Event()

    def run(self) -> None:
        """Sample twice a second until `ended` is set."""
        while not self.ended.wait(EVERY_S):
            found = [memory for folder in Path("/proc").glob("[0-9]*") if (memory := self._memory(folder))]
            self.largest = max([self.largest, *(resident for resident, _ in found)])
            self.all = max(self.all, sum(share for _, share in found))

    def _memory(self, folder: Path) -> tuple[int, int] | None:
        """Resident and proportional bytes of a marked process."""
        with contextlib.suppress(OSError, ValueError):
            if self.mark in (folder / "environ").read_bytes():
                lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
                values = {line.split()[0]: int(line.split()[1]) * 1024 for line in lines}
                return values["Rss:"], values["Pss:"]
        return None


def main(command: list[str]) -> int:
    """Run the command, then print a row of a Markdown table on stderr."""
    mark = uuid.uuid4().hex
    watch = Watch(f"{MARK}={mark}".encode())
    watch.start()
    started = monotonic()
    done = subprocess.run(command, env=os.environ | {MARK: mark}, check=False)
    seconds = monotonic() - started
    watch.ended.set()
    watch.join()
    row = f"{seconds:.0f} s | {watch.largest / 1e6:,.0f} MB | {watch.all / 1e6:,.0f} MB"
    print(f"| `{' '.join(command)}` | {row} |", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
