"""The locks: the client's has the server's versions and none of its packages; no lock names our own."""

from __future__ import annotations

import re

from shared.core.settings import REPOSITORY

REQUIREMENTS = REPOSITORY / "requirements"
# Of the server alone; `make client-test` proves that the client does without.
SERVER = {"numpy", "boto3", "celery", "fastapi", "sqlalchemy", "tensorflow-cpu", "librosa", "pyarrow"}


def locked(name: str) -> set[tuple[str, str]]:
    """Packages and versions of a lock."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", text, re.MULTILINE))


def test_the_client_gets_the_versions_that_are_tested_here() -> None:
    assert locked("client") <= locked("client-test")
    assert locked("client") <= locked("dev")
    assert locked("runtime") <= locked("dev")


def test_the_client_gets_nothing_of_the_server() -> None:
    names = {name for name, _ in locked("client")}
    assert {"httpx", "pydantic", "rich", "typer"} <= names
    assert not names & SERVER


def test_our_own_distributions_are_in_no_lock() -> None:
    for lock in REQUIREMENTS.glob("*.lock"):
        assert not {name for name, _ in locked(lock.stem)} & {"voxmood", "voxmood-server"}, lock
