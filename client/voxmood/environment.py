"""What the client takes from where it runs: the server's address, the key for it, its own folder."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path

from voxmood.api_keys import is_key
from voxmood.errors import MalformedKey, NotRunning

DISTRIBUTION = "voxmood"


def default_state_dir() -> Path:
    """Where the one-machine stack keeps everything: VOXMOOD_STATE, else ~/.local/state/voxmood."""
    named = os.environ.get("VOXMOOD_STATE")
    return Path(named) if named else Path.home() / ".local" / "state" / "voxmood"


def server_url(server: str | None = None) -> str:
    """The API's address: the one given, else VOXMOOD_URL, else that of the stack on this state folder.

    Raises:
        NotRunning: none is named, and no stack runs here.
    """
    if named := server or os.environ.get("VOXMOOD_URL"):
        return named.rstrip("/")
    state_dir = default_state_dir()
    try:
        return str(json.loads((state_dir / "stack.json").read_text())["api_url"])
    except (OSError, ValueError, KeyError) as error:
        raise NotRunning(state_dir=state_dir) from error


def api_key(given: str | None = None) -> str | None:
    """The key given, else that of VOXMOOD_API_KEY; None: there is none.

    Raises:
        MalformedKey: it has not the form of a key; it is not sent.
    """
    key = (os.environ.get("VOXMOOD_API_KEY", "") if given is None else given).strip()
    if key and not is_key(key):
        raise MalformedKey
    return key or None


def version() -> str:
    """The installed version of the client; "unknown" where it runs without having been installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
