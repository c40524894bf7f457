"""The running stack's API, and the real recordings where they lie beside the clone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.acceptance.jobs import Api
from tests.recordings import RAVDESS
from tests.servers import Stack, running_stack


@pytest.fixture(scope="session")
def api(stack) -> Api:
    """The API of the session's stack."""
    return Api(stack.api_url)


@pytest.fixture(scope="module")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Stack]]:
    """Makes stacks with settings of their own: `new_stack("--workers", "1", VOXMOOD_LEASE_S="5")`."""
    return lambda *arguments, **settings: running_stack(
        tmp_path_factory.mktemp("own") / "state", *arguments, **settings
    )


@pytest.fixture(scope="session")
def ravdess() -> list[Path]:
    """All 2,036 recordings of actors 01–20, sorted; skips where they are not there."""
    if not RAVDESS.is_dir():
        pytest.skip(f"no recordings in {RAVDESS}")
    return sorted(RAVDESS.rglob("*.flac"))
