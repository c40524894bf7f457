"""What ends a child that hangs, and what it gets that asks for too much memory."""

from __future__ import annotations

import signal
import subprocess
import sys

from shared.core.settings import MEBIBYTE


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def test_the_kernel_ends_who_shows_no_life_in_time() -> None:
    hung = run("from workers.deadman import deadman\nwith deadman(1):\n    import time; time.sleep(30)")
    assert hung.returncode == -signal.SIGALRM


def test_who_shows_life_in_time_is_left_alone_and_so_is_who_has_ended() -> None:
    program = """
import time
from workers.deadman import alive, deadman
with deadman(1):
    for _ in range(4):
        time.sleep(0.4)
        alive()
time.sleep(1.5)
"""
    assert run(program).returncode == 0


def test_a_process_gets_its_allowance_and_not_more_and_lives_on() -> None:
    program = f"""
from shared.core.processes import bound_memory
bound_memory({64 * MEBIBYTE})
assert len(bytearray({32 * MEBIBYTE}))
try:
    bytearray({128 * MEBIBYTE})
except MemoryError:
    print("refused")
"""
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
