"""The server that the tests in `server/` ask: that of VOXMOOD_URL, which `make client-test` starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxmood.client import Client


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client with a folder of its own."""
    if "VOXMOOD_URL" not in os.environ:
        pytest.fail("VOXMOOD_URL names no server; `make client-test` starts one for these tests")
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path / "state"))
    with Client() as made:
        yield made
