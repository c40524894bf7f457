"""The client sends what this server declares, and reads what it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.app import create_app
from contract import faults
from shared.audio import windows
from shared.core.settings import Settings
from voxmood.documents.requests import MINIMUM_S


def test_paths_parameters_and_documents_are_those_of_the_openapi_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path))
    document = create_app(Settings()).openapi()
    assert list(faults(document)) == []


def test_a_document_that_says_something_else_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path))
    document = create_app(Settings()).openapi()
    del document["paths"]["/v1/retrain"]
    document["components"]["schemas"]["JobDocument"]["properties"]["id"]["type"] = "string"
    document["components"]["schemas"]["JobRequest"]["properties"]["colour"] = {"type": "string"}
    said = "\n".join(faults(document))
    assert "POST /v1/retrain: the server has no such path" in said
    assert "'string' there, 'integer' here" in said
    assert "colour" in said


def test_the_shortest_window_is_the_shortest_sound() -> None:
    assert MINIMUM_S == windows.MINIMUM_S
