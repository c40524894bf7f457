"""The extras of the server's distribution, which many of its processes do without."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from shared.core.errors.stack import ExtraMissing

Extra = Literal["train", "page"]
LIBRARIES: dict[Extra, tuple[str, ...]] = {
    "train": ("tensorflow", "keras", "tf2onnx"),
    "page": ("streamlit",),
}


def require(extra: Extra, what: str) -> None:
    """Say in a sentence what is missing for `what`, before an import does in other words.

    Raises:
        ExtraMissing: a library of this extra is not installed.
    """
    for library in LIBRARIES[extra]:
        if find_spec(library) is None:
            raise ExtraMissing(what=what, library=library, extra=extra)
