"""The child that reads inputs as the product does: `python -m tests.fuzz.reader FOLDER SEED`.

Numbers come on standard input, a line each; a line of JSON answers each. An input may also come as a
file's path. The address space is limited, so that no input takes the machine's memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import sys
import time
import warnings
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from shared import archives
from shared.audio.cutting import windows_of
from shared.audio.decode import Stream, decode
from shared.audio.features import features, fixed_length
from shared.audio.spec import BASELINE_V6
from shared.audio.synthesis import speech_like, wav_bytes
from shared.audio.windows import Windows
from shared.core.errors.base import VoxmoodError
from shared.core.errors.recordings import ClipError
from shared.core.errors.uploads import UploadError
from shared.core.settings import MEBIBYTE, Settings
from shared.limits import archive_limits, decode_limits
from shared.store import shards
from shared.store.objects import Storage
from shared.store.shards import Shard
from tests.fuzz.mutations import mutated

# FFmpeg reserves by what headers claim, up to 2 GiB at once, and gives it back untouched.
ADDRESS_BYTES = 3 * 2**30
# Of a whole recording, so that headers that claim days of it do not take long.
HEARD_WINDOWS = 100
LARGEST_CLIP_BYTES = 8 * MEBIBYTE  # under a shard, so that nothing goes to a store
NAME = "in.wav"


class Broken(Exception):
    """What must never be: the text says what."""


class Reader:
    """Unpack's and classify's way of an upload, but for the store, the database and the network."""

    def __init__(self) -> None:
        settings = Settings(max_unpack_s=20)
        self._storage = Storage(settings)  # only its size of a part is asked for
        self._limits = archive_limits(settings)
        self._decoding = decode_limits(settings)
        self._shard_bytes = settings.shard_bytes

    def outcomes(self, body: bytes) -> Counter[str]:
        """How often each outcome came: `decoded`, `silent`, or the code of an error.

        Raises Broken, and whatever is neither outcome nor error of ours.
        """
        codes: Counter[str] = Counter()
        try:
            source = io.BytesIO(body)
            kind = archives.kind_in(source, NAME)
            for member in archives.members(source, NAME, kind, self._limits):
                codes[self._member(member)] += 1
        except UploadError as error:
            codes[_checked(error)] += 1
        return codes or Counter({"empty_archive": 1})

    def _member(self, member: archives.Member) -> str:
        _check_text(member.path)
        if member.error is not None:
            return _checked(member.error)
        name = f"{member.number:08d}.{archives.extension(member.path)}"
        try:
            gathered = shards.gather(
                member.chunks(), member.path, name, self._storage, "", self._shard_bytes, LARGEST_CLIP_BYTES
            )
        except ClipError as error:
            return _checked(error)
        recording = gathered.recording or b""
        shard = Shard()
        placed = shard.add(name, recording, gathered.sha256)
        stored = bytes(shard.finished()[placed.offset : placed.offset + placed.size])
        if hashlib.sha256(stored).hexdigest() != gathered.sha256:
            raise Broken("the shard holds other bytes than the archive")
        self._hear(stored, member.path)
        return self._decoded(stored, member.path)

    def _hear(self, recording: bytes, path: str) -> None:
        """The windows of all of it, each channel by itself."""
        wanted = Windows("sliding", channels="separate")
        try:
            stream = Stream(
                recording, path, sampling_rate=BASELINE_V6.sampling_rate, seconds=None, limits=self._decoding
            )
            for window in islice(windows_of(stream, BASELINE_V6, wanted), HEARD_WINDOWS):
                if not 0 <= window.start_s < window.end_s <= window.start_s + BASELINE_V6.seconds:
                    raise Broken(f"a window from {window.start_s} to {window.end_s} s")
                if not np.isfinite(window.samples).all():
                    raise Broken("a window that is no numbers")
        except ClipError as error:
            _check_foreseen(error)

    def _decoded(self, recording: bytes, path: str) -> str:
        rate, seconds = BASELINE_V6.sampling_rate, BASELINE_V6.seconds
        try:
            found = decode(recording, path, sampling_rate=rate, seconds=seconds, limits=self._decoding)
        except ClipError as error:
            return _check_foreseen(error)
        if not (found.samples.ndim == 1 and found.samples.dtype == np.float32 and len(found.samples)):
            raise Broken(f"samples of shape {found.samples.shape}, {found.samples.dtype}")
        if len(found.samples) > int(rate * seconds) + 1:
            raise Broken(f"{len(found.samples)} samples, more than asked for")
        if not np.isfinite([found.duration_s, found.peak]).all() or found.duration_s <= 0:
            raise Broken(f"duration {found.duration_s}, peak {found.peak}")
        if not np.isfinite(features(fixed_length(found.samples, BASELINE_V6)[None], BASELINE_V6)).all():
            raise Broken("features that are no numbers")
        return "silent" if found.is_silent else "decoded"


def _check_foreseen(error: ClipError) -> str:
    """`_checked` of what a decoder said."""
    if error.code == "unreadable":
        raise Broken(f"{type(error.__cause__).__name__} in a decoder: {error.__cause__}") from error
    return _checked(error)


def _checked(error: VoxmoodError) -> str:
    """The error's code; its sentence must fit into a column of text."""
    _check_text(str(error))
    return error.code


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Broken(f"NUL in {text!r}")
    text.encode()


def answer(reader: Reader, body: bytes) -> dict[str, Any]:
    """Outcomes, what broke, warnings, processor seconds, peak memory, and bytes that libraries printed."""
    said_before, began = os.fstat(2).st_size, time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    broke = None
    codes: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            codes = reader.outcomes(body)
        except Exception as error:
            broke = f"{type(error).__name__}: {error}"
    return {
        "codes": codes,
        "broke": broke,
        "warnings": sorted({f"{one.category.__name__}: {one.message}" for one in caught}),
        "cpu_s": time.process_time() - began,
        "peak_bytes": _peak_bytes(),
        "said_bytes": os.fstat(2).st_size - said_before,
    }


def _peak_bytes() -> int:
    """The largest resident memory since the peak began anew."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    folder, seed = Path(sys.argv[1]), sys.argv[2]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libsndfile prints some of its complaints
    seeds = [file.read_bytes() for file in sorted(folder.iterdir())]
    reader = Reader()
    reader.outcomes(wav_bytes(speech_like("sad", 48_000, 1.0, seed=1), 48_000))  # loads what loads late
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(answer(reader, b"")), file=answers, flush=True)  # ready, and what it takes at rest
    for line in sys.stdin:
        asked = line.strip()
        body = mutated(seeds, Random(f"{seed} {asked}")) if asked.isdigit() else Path(asked).read_bytes()
        print(json.dumps(answer(reader, body)), file=answers, flush=True)


if __name__ == "__main__":
    main()
