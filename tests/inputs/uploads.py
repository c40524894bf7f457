"""Uploads: archives of every kind, single recordings, and what is neither."""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Callable
from typing import NamedTuple

from shared.audio.synthesis import flac_bytes
from tests.archive_builders import (
    LINK,
    PACKERS,
    ZIP_PACKERS,
    Raw,
    deflate64_bomb,
    encrypted_zip,
    many_in_a_zip,
    overlapping_zip,
    packed_tar,
    raw_zip,
    tar_header,
    tar_of,
    unicode_path,
    without_end,
    zip64_of,
    zip_of,
)
from tests.inputs.recordings import RATE, voice, wav


class Upload(NamedTuple):
    """state: of the upload, or `refused` while it is sent; rows: its clips, by path, and their codes."""

    content: Callable[[], bytes]
    rows: dict[str, str | None]
    state: str = "done"
    code: str | None = None
    sentence: str | None = None


SOUND = {"one.wav": wav()(), "folder/two.flac": flac_bytes(voice(), RATE)}
GOOD: dict[str, str | None] = dict.fromkeys(SOUND)
TAKEN = "Send a zip, tar, tar.gz, tar.bz2, tar.xz or tar.zst archive, or a single recording."
LITTER = {"__MACOSX/._one.wav": b"x", ".DS_Store": b"x", "Thumbs.db": b"x", "desktop.ini": b"x"}
NO_DIRECTORY = "its directory is missing or unreadable, as when a download was cut off"


def refused(name: str, kind: str, head: bytes) -> tuple[str, Upload]:
    sentence = f"{name} is {kind}, which is not accepted. {TAKEN}"
    return name, Upload(lambda: head + bytes(600), {}, "refused", "unknown_archive", sentence)


def unpacked_file(name: str, kind: str, ending: str) -> tuple[str, Upload]:
    sentence = f"{name} is {kind} without a tar archive in it, which is not accepted. {TAKEN}"
    content = PACKERS[ending]
    return name, Upload(lambda: content(SOUND["one.wav"]), {}, "failed", "unknown_archive", sentence)


def cut(archive: bytes) -> bytes:
    return archive[: len(archive) - len(archive) // 4]


def as_method(method: int) -> bytes:
    return raw_zip(
        Raw(name.encode(), body, method, ZIP_PACKERS[method](body)) for name, body in SOUND.items()
    )


def bad_checksum() -> bytes:
    archive = bytearray(zip_of(SOUND, zipfile.ZIP_STORED))
    archive[archive.find(b"WAVE") + 2_000] ^= 0xFF
    return bytes(archive)


UPLOADS: dict[str, Upload] = {
    "stored.zip": Upload(lambda: zip_of(SOUND, zipfile.ZIP_STORED), GOOD),
    "deflate.zip": Upload(lambda: zip_of(SOUND), GOOD),
    "bzip2.zip": Upload(lambda: zip_of(SOUND, zipfile.ZIP_BZIP2), GOOD),
    "LZMA.zip": Upload(lambda: zip_of(SOUND, zipfile.ZIP_LZMA), GOOD),
    "zip64.zip": Upload(lambda: zip64_of(SOUND), GOOD),
    "plain.tar": Upload(lambda: tar_of(SOUND), GOOD),
    "stream without an end.tar": Upload(lambda: without_end(tar_of(SOUND)), GOOD),
    **{f"packed.tar.{ending}": Upload(lambda ending=ending: packed_tar(SOUND, ending), GOOD)  # type: ignore[misc]
       for ending in PACKERS},
    "zip named.wav": Upload(lambda: zip_of(SOUND), GOOD),
    "loose.wav": Upload(lambda: SOUND["one.wav"], {"loose.wav": None}),
    "from a Mac.zip": Upload(lambda: zip_of(LITTER | SOUND), GOOD),
    "odd names.zip": Upload(
        lambda: zip_of(dict.fromkeys(["../../up.wav", "/root.wav", "gnol\u202e.wav"], SOUND["one.wav"])),
        dict.fromkeys(["../../up.wav", "/root.wav", "gnol\u202e.wav"]),
    ),
    "one is encrypted.zip": Upload(
        lambda: encrypted_zip(SOUND, "one.wav"), {"one.wav": "encrypted", "folder/two.flac": None}
    ),
    "one is damaged.zip": Upload(bad_checksum, {"one.wav": "damaged_member", "folder/two.flac": None}),
    "without directory.zip": Upload(
        lambda: zip_of(SOUND)[:-40], GOOD, "done", "damaged_archive",
        f"without directory.zip is damaged: {NO_DIRECTORY}. 2 recordings before the damage were kept.",
    ),
    "cut off.zip": Upload(
        lambda: cut(zip_of(SOUND, zipfile.ZIP_STORED)),
        {"one.wav": None, "folder/two.flac": "damaged_member"}, "done", "damaged_archive",
        f"cut off.zip is damaged: {NO_DIRECTORY}. 2 recordings before the damage were kept.",
    ),
    "cut off.tar": Upload(
        lambda: cut(without_end(tar_of(SOUND))), {"one.wav": None, "folder/two.flac": "damaged_member"},
        "done", "damaged_archive",
        "cut off.tar is damaged: it ends inside a member. 2 recordings before the damage were kept.",
    ),
    "cut off.tar.gz": Upload(
        lambda: cut(packed_tar(SOUND, "gz")), {"one.wav": None, "folder/two.flac": "damaged_member"},
        "done", "damaged_archive",
        "cut off.tar.gz is damaged: Compressed file ended before the end-of-stream marker was reached. "
        "2 recordings before the damage were kept.",
    ),
    "Deflate64.zip": Upload(lambda: as_method(9), GOOD),
    "Zstandard.zip": Upload(lambda: as_method(93), GOOD),
    "xz.zip": Upload(lambda: as_method(95), GOOD),
    "packed.tar.lzma": Upload(lambda: lzma.compress(tar_of(SOUND), lzma.FORMAT_ALONE), GOOD),
    "from Linux.zip": Upload(
        lambda: raw_zip([Raw("Grüße.wav".encode(), SOUND["one.wav"])]), {"Grüße.wav": None}
    ),
    "Unicode path field.zip": Upload(
        lambda: raw_zip([Raw(b"x.wav", SOUND["one.wav"], extra=unicode_path(b"x.wav", "å.wav"))]),
        {"å.wav": None},
    ),
    "from Japan.zip": Upload(
        lambda: raw_zip([Raw("怒.wav".encode("cp932"), SOUND["one.wav"])]), {"ô{.wav": None}, "done",
        "names_guessed",
        "from Japan.zip does not say how its names are encoded; they were read as cp437, as the format "
        "prescribes (ô{.wav). If they look wrong, send it again with `voxmood submit --encoding cp932` "
        "(Japanese; gbk: Chinese, cp866: Russian).",
    ),
    "from PowerShell.zip": Upload(
        lambda: raw_zip([Raw(b"day one\\", b""), Raw(b"day one\\a.wav", SOUND["one.wav"])]),
        {"day one\\a.wav": None},
    ),
    "self-extracting.exe": Upload(
        lambda: raw_zip([Raw(b"a.wav", SOUND["one.wav"])], before=b"MZ" + bytes(3000), adjusted=True),
        {"a.wav": None},
    ),
    "two bytes before.zip": Upload(lambda: b"\r\n" + zip_of(SOUND), GOOD),
    "a link.zip": Upload(
        lambda: raw_zip([Raw(b"a.wav", SOUND["one.wav"]), Raw(b"b.wav", b"a.wav", attributes=LINK)]),
        {"a.wav": None, "b.wav": "not_a_file"},
    ),
    "split.z01": Upload(
        lambda: b"PK\x07\x08" + zip_of(SOUND)[:9000], {}, "failed", "split_archive",
        "split.z01 is part of a split archive: join the parts and send the whole. (`zip -s 0 parts.zip --out "
        "whole.zip` joins .z01, .z02 and .zip; `cat` joins .zip.001, .zip.002 and so on.)",
    ),
    "bomb in Deflate64.zip": Upload(
        lambda: raw_zip([Raw(b"bomb.wav", b"", 9, deflate64_bomb(200), size=2**31)]), {}, "failed",
        "unlikely_ratio",
        "bomb in Deflate64.zip unpacks to over 1000 times its size (VOXMOOD_MAX_UNPACK_RATIO), as archives "
        "built to do harm do. 0 recordings before that were kept.",
    ),
    "empty.zip": Upload(
        lambda: zip_of({"folder/": b""}), {}, "failed", "empty_archive",
        "empty.zip holds no recordings: nothing but folders and system files was found in it.",
    ),
    "overlapping.zip": Upload(
        lambda: overlapping_zip(SOUND["one.wav"]), {}, "failed", "overlapping_members",
        "overlapping.zip has members that overlap (a.wav), as archives built to do harm have; it is refused.",
    ),
    "250,001 members.zip": Upload(
        lambda: many_in_a_zip(250_001, 1), {}, "failed", "too_many_members",
        "250,001 members.zip has over 250000 members (VOXMOOD_MAX_MEMBERS); send it as several archives. "
        "0 recordings before that were kept.",
    ),
    "bomb.tar.zst": Upload(
        lambda: PACKERS["zst"](without_end(tar_of(SOUND)) + tar_header("bomb.wav", 2**40))
        + PACKERS["zst"](bytes(2**24)) * 30,
        GOOD, "done", "unlikely_ratio",
        "bomb.tar.zst unpacks to over 1000 times its size (VOXMOOD_MAX_UNPACK_RATIO), as archives built to "
        "do harm do. 2 recordings before that were kept.",
    ),
    "wide window.tar.zst": Upload(
        lambda: b"\x28\xb5\x2f\xfd\x00\x90" + b"\x01\x00\x00", {}, "failed", "window_too_large",
        "wide window.tar.zst takes over 134217728 bytes of memory to unpack (VOXMOOD_MAX_WINDOW_BYTES); pack "
        "it again with a smaller window, as `xz -9` or `zstd -19` do. 0 recordings before that were kept.",
    ),
    **dict([
        unpacked_file("one.wav.gz", "a gzip file", "gz"),
        unpacked_file("one.wav.bz2", "a bzip2 file", "bz2"),
        unpacked_file("one.wav.xz", "an xz file", "xz"),
        unpacked_file("one.wav.zst", "a zstd file", "zst"),
        refused("archive.7z", "a 7z archive", b"7z\xbc\xaf\x27\x1c"),
        refused("archive.rar", "a rar archive", b"Rar!\x1a\x07\x00"),
        refused("archive.cab", "a cab archive", b"MSCF\x00\x00\x00\x00"),
    ]),
    "nothing.zip": Upload(lambda: b"", {}, "refused", "empty_upload", "nothing.zip has no bytes."),
}  # fmt: skip
