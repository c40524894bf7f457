"""Servers and recordings that tests share: started once a run, at the first test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.planting import environment
from tests.postgres import new_database, running_postgres
from tests.recordings import RAVDESS
from tests.servers import Store, running_store, running_valkey
from tests.stacks import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack with two classifying workers, ready. Ends without leaving a process."""
    with running_stack(tmp_path_factory.mktemp("stack") / "state", "--workers", "2") as running:
        yield running


@pytest.fixture(scope="session")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that tests may kill, beside the session's, with places for faults (tests/faults/planting.py).

    Its jobs have many shards, its leases are short, and what is lost is soon found again.
    """
    folder = tmp_path_factory.mktemp("own")
    settings = {"VOXMOOD_SHARD_CLIPS": "16", "VOXMOOD_LEASE_S": "3", "VOXMOOD_SWEEP_EVERY_S": "1"}
    planted = environment(folder / "planted")
    with running_stack(folder / "state", "--workers", "2", **settings, **planted) as running:
        yield running


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """The address of a Valkey server: redis://…"""
    with running_valkey() as address:
        yield address


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """A SeaweedFS store with the bucket `voxmood`."""
    with running_store() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The SQLAlchemy address of a PostgreSQL cluster's first database."""
    with running_postgres() as address:
        yield address


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The SQLAlchemy address of an empty database of the test's own."""
    with new_database(postgres) as address:
        yield address


@pytest.fixture(scope="session")
def ravdess() -> list[Path]:
    """All 2,036 recordings of actors 01–20, sorted; skips where they are not there."""
    if not RAVDESS.is_dir():
        pytest.skip(f"no recordings in {RAVDESS}")
    return sorted(RAVDESS.rglob("*.flac"))
