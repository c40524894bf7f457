"""Promise 4: no archive, whatever was changed in it, crashes the reader, hangs it or takes its memory."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.archive_builders import PACKERS, ZIP_PACKERS, Raw, encrypted_zip, raw_zip, tar_of, zip64_of, zip_of
from tests.archive_reading import Reader, reading


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with reading() as read:
        yield read


NAMES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["../../etc/passwd", "/etc/shadow", "a/../../b.wav", "C:\\autoexec.wav", "gepj\u202e.vaw", "a\0.wav",
         ".", "", "n" * 65_535, "\udcff\udcfe.wav", "__MACOSX/._a", "folder/"]
    ),
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=600),
    st.sampled_from([b"RIFF" + bytes(5000), zip_of({"a": b"a"}), tar_of({"a": b"a"}), b"\x1f\x8b\x08"]),
)
MEMBERS = st.dictionaries(NAMES, BODIES, max_size=5)
NUL = "\uffee"  # three bytes in UTF-8, as the NULs that replace them
NEW_METHODS = [9, 93, 95]  # Deflate64, Zstandard, xz
RECIPES = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def odd_zip(members: dict[str, bytes], method: int) -> bytes:
    """As zip_of, with NUL in names; zipfile writes none, nor names that are no text."""
    texts = {name.encode("utf-8", "replace").decode().replace("\0", NUL) or "-": body
             for name, body in members.items()}  # fmt: skip
    return zip_of(texts, method).replace(NUL.encode(), b"\0\0\0")


def tar_in(members: dict[str, bytes], format: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name[:200] if format == tarfile.USTAR_FORMAT else name)
            info.size = len(body)
            try:
                archive.addfile(info, io.BytesIO(body))
            except ValueError:  # longer than this format takes
                continue
    return file.getvalue()


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Archives of every kind, with odd names, then cut, spliced and written over, before or after packing."""
    members = draw(MEMBERS)
    kind = draw(st.sampled_from(["zip", "raw zip", "zip64", "encrypted", "tar", *PACKERS]))
    if kind == "zip":
        return draw(damaged(odd_zip(members, draw(st.sampled_from(RECIPES)))))
    if kind == "raw zip":
        method = draw(st.sampled_from(NEW_METHODS))
        raw = [Raw(name.encode("utf-8", "surrogateescape")[:9999], body, method, ZIP_PACKERS[method](body))
               for name, body in members.items()]  # fmt: skip
        return draw(damaged(raw_zip(raw)))
    if kind == "zip64":
        return draw(damaged(zip64_of({str(n): body for n, body in enumerate(members.values())})))
    if kind == "encrypted":
        return draw(damaged(encrypted_zip({"a": b"1" * 50, "b": b"2"}, "a")))
    tar = draw(damaged(tar_in(members, draw(st.sampled_from([0, 1, 2])))))
    if kind == "tar":
        return tar
    packed = PACKERS[kind](tar)
    return draw(damaged(packed)) if draw(st.booleans()) else packed


@st.composite
def damaged(draw: st.DrawFn, archive: bytes) -> bytes:
    """The same, with up to four changes."""
    body = bytearray(archive)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(0, len(body) - 1)))
        change = draw(st.sampled_from(["cut", "flip", "number", "repeat", "insert", "drop"]))
        length = draw(st.sampled_from([1, 2, 4, 46, 512, 1024]))
        if change == "cut":
            del body[place:]
        elif change == "flip" and body:
            body[place] ^= draw(st.integers(1, 255))
        elif change == "number":
            number = draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, len(body)]))
            body[place : place + 4] = struct.pack("<L", number)
        elif change == "repeat":
            body[place:place] = body[place : place + length] * draw(st.sampled_from([1, 3, 100]))
        elif change == "insert":
            body[place:place] = draw(st.binary(max_size=40))
        else:
            del body[place : place + length]
    return bytes(body)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(archive=archives())
def test_whatever_was_done_to_an_archive_it_ends_with_members_or_a_sentence(
    reader: Reader, archive: bytes
) -> None:
    answer = reader(archive)
    assert answer["ended"] is not None or answer["members"] >= 0
