"""What a process must know of other processes, and of its own memory."""

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
    """Have the kernel send a signal to this process when the thread that started it ends.

    Children do not inherit this: each calls this again, right after its fork. A parent that ended before the
    call cannot cause a signal any more; so afterwards `parent` is compared with the number of the present
    parent, and this process ends itself if they differ. Called in `parent` itself (a Celery pool without
    children does) it changes nothing.

    Args:
        parent: the process number of the parent.
        signal_number: the signal.

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
    """When a process started, in clock ticks since boot; None if it has ended.

    A process number is used again, but not together with its start time (until the next boot).

    Source: /proc/PID/stat, field 22 (proc(5)).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command's name in brackets and may itself hold brackets and spaces.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def bound_memory(more_bytes: int) -> None:
    """Bound the memory that this process may take from now on; beyond it there is MemoryError.

    RLIMIT_DATA, not RLIMIT_AS: TensorFlow reserves gigabytes of addresses that it never uses.

    Args:
        more_bytes: on top of what it has.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    taken = int(status.split("VmData:")[1].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = taken + more_bytes
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def give_buffers_back(least_bytes: int) -> None:
    """Have glibc give large buffers back to the system as soon as they are freed.

    Otherwise glibc raises its threshold to the largest buffer ever freed, and keeps everything below it. To
    be called before the first thread, which would get a heap of its own. Without glibc it changes nothing.

    Args:
        least_bytes: the size from which on buffers are given back.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_MMAP_THRESHOLD, least_bytes)
        _libc.mallopt(M_ARENA_MAX, 2)


def trim_memory() -> None:
    """Give free memory below that size back as well, where it makes whole pages."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
