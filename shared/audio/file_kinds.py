"""What a file without a recording is, in words, by its first bytes.

People send what lay in a folder: Git LFS pointers, error pages of a download, pictures, archives. Only
recordings are called damaged.
"""

from __future__ import annotations

import re

HEAD_BYTES = 1024

_MAGICS = (
    (b"version https://git-lfs.", "a Git LFS pointer, not the recording; `git lfs pull` fetches it"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n\x1a\n", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"),
    (b"BM", "a picture"), (b"II*\0", "a picture"), (b"MM\0*", "a picture"),
    (b"MThd", "a MIDI file: notes, but no sound"),
    (b"MZ", "a program"), (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a database"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (b"#EXTM3U", "a playlist, not the recordings that it names"),
    (b"[playlist]", "a playlist, not the recordings that it names"),
)  # fmt: skip
# By the first 512 bytes of archives; `archives.kind_of` tells more, but decoding knows nothing of archives.
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0",
             b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"MSCF\0\0\0\0")  # fmt: skip
_PICTURE_BRANDS = (b"heic", b"heix", b"mif1", b"avif", b"msf1")
_ANNEX = re.compile(rb"^(\.\./)*(\.git)?/annex/objects/")
_WEB_PAGE = re.compile(
    rb"^(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def non_recording(head: bytes) -> str | None:
    """What a file is that is no recording; None if it may be one.

    Args:
        head: its first `HEAD_BYTES` bytes.

    >>> non_recording(b"<!DOCTYPE html><title>404</title>")
    'a web page, not a recording'
    """
    if not head:
        return "empty"
    for magic, words in _MAGICS:
        if head.startswith(magic):
            return words
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        return "an archive; `voxmood submit` takes it"
    if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
        return "a picture"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _ANNEX.match(text):
        return "a git-annex pointer, not the recording; `git annex get` fetches it"
    if _WEB_PAGE.match(text):
        return "a web page, not a recording"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if not any(head):
        return "nothing but zeros, as a download that did not end leaves them"
    return "a text file" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    """Whether the head is UTF-8 without control characters; its last character may be cut off."""
    try:
        text = head.decode("utf-8") if len(head) < HEAD_BYTES else head[:-3].decode("utf-8", "strict")
    except UnicodeDecodeError:
        return False
    return all(letter >= " " or letter in "\t\r\n\f" for letter in text)
