"""Names and sentences on the page as they are."""

from __future__ import annotations

import re
import string


def plain(text: str) -> str:
    r"""Markdown that shows `text` itself: else a recording's name could be a picture from elsewhere.

    >>> plain("![x](y)")
    '\\!\\[x\\]\\(y\\)'
    """
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", text)
