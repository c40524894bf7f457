"""Archives for tests, sound and odd."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return file.getvalue()


def tar_of(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar (`w`) or tar.gz (`w:gz`) of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def encrypted_zip(members: Mapping[str, bytes], encrypted: str) -> bytes:
    """A zip in which one member carries the flag of encryption, in both its headers."""
    body = bytearray(zip_of(members, zipfile.ZIP_STORED))
    name = encrypted.encode()
    local = body.find(b"PK\x03\x04")
    while local >= 0:
        length = struct.unpack_from("<H", body, local + 26)[0]
        if body[local + 30 : local + 30 + length] == name:
            body[local + 6] |= 1
        local = body.find(b"PK\x03\x04", local + 4)
    central = body.find(b"PK\x01\x02")
    while central >= 0:
        length = struct.unpack_from("<H", body, central + 28)[0]
        if body[central + 46 : central + 46 + length] == name:
            body[central + 8] |= 1
        central = body.find(b"PK\x01\x02", central + 4)
    return bytes(body)


def overlapping_zip(body: bytes) -> bytes:
    """A zip whose directory names one member's bytes twice."""
    single = zip_of({"a.wav": body}, zipfile.ZIP_STORED)
    start = single.find(b"PK\x01\x02")
    end = single.find(b"PK\x05\x06")
    entry = single[start:end]
    record = bytearray(single[end:])
    struct.pack_into("<HHI", record, 8, 2, 2, 2 * len(entry))
    return single[:start] + entry + entry + bytes(record)
