"""What a process must know of other processes: its parent's death, and who bears a number now."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # <malloc.h>
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send `signal_number` to this process when the thread that started it ends.

    The wish does not pass on to children: each calls this again, right after its fork. A parent that
    was gone before the call sends nothing any more; therefore `parent`, its process number, is compared
    afterwards, and this process ends itself when it has been inherited by another. Called in `parent`
    itself (a Celery pool without children does) it changes nothing.

    Raises:
        OSError: the kernel refused (prctl(2)).
    """
    if parent == os.getpid():
        return
    if _libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def start_time(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot (/proc/PID/stat, field 22); None if it has ended.

    A process number is used again, a number together with its start time is not (until the next boot).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command's name in brackets and may itself hold brackets and spaces.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def bound_memory(more_bytes: int) -> None:
    """From now on this process gets at most `more_bytes` of memory on top of what it has: then MemoryError.

    RLIMIT_DATA, not RLIMIT_AS: TensorFlow reserves gigabytes of addresses that it never touches.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    taken = int(status.split("VmData:")[1].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = taken + more_bytes
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def give_buffers_back(least_bytes: int) -> None:
    """Have memory of buffers from `least_bytes` on given back to the system as soon as they are free.

    glibc raises the threshold to the largest buffer ever freed, and then keeps what is below it. Before the
    first thread, which would get a heap of its own. Elsewhere than with glibc it changes nothing.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_MMAP_THRESHOLD, least_bytes)
        _libc.mallopt(M_ARENA_MAX, 2)


def trim_memory() -> None:
    """Give what is free below that back as well, where it makes whole pages."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
