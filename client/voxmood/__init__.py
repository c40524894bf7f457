"""Send recordings to a server of voxmood, and read which emotions it hears in them.

>>> import voxmood
>>> with voxmood.Client() as client:
...     job = client.submit("recordings.zip")
...     client.wait(job.id).state
<JobState.DONE: 'done'>

What a server imports of this package (documents, states, errors) brings neither httpx nor the commands.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxmood.client import AsyncClient, Client
    from voxmood.documents import JobDocument, Label, ResultRow, SegmentRow
    from voxmood.errors import VoxmoodError
    from voxmood.states import JobState, Outcome
    from voxmood.webhooks import read_webhook

__all__ = [
    "AsyncClient",
    "Client",
    "JobDocument",
    "JobState",
    "Label",
    "Outcome",
    "ResultRow",
    "SegmentRow",
    "VoxmoodError",
    "read_webhook",
]
_MODULES = {
    "AsyncClient": "client",
    "Client": "client",
    "JobDocument": "documents",
    "JobState": "states",
    "Label": "documents",
    "Outcome": "states",
    "ResultRow": "documents",
    "SegmentRow": "documents",
    "VoxmoodError": "errors",
    "read_webhook": "webhooks",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
