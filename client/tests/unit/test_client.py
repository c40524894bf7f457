"""The client, as far as no server is needed: which key it sends, which server it means."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from voxmood.api_keys import checksum
from voxmood.client import AsyncClient, Client
from voxmood.environment import server_url
from voxmood.errors import MalformedKey, NotRunning, ServerUnreachable

NOWHERE = "http://127.0.0.1:9"
KEY = "vm_" + "a" * 43
KEY += checksum(KEY)


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY[:-1] + "-", "schlüssel", f"Bearer {KEY}"])
def test_a_mistyped_key_is_not_even_sent(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    with pytest.raises(MalformedKey, match="That is no voxmood key"):
        Client(NOWHERE, api_key=wrong)
    monkeypatch.setenv("VOXMOOD_API_KEY", wrong)
    with pytest.raises(MalformedKey, match="That is no voxmood key"):
        Client(NOWHERE)


def test_a_server_that_is_away_is_named() -> None:
    with Client(NOWHERE) as client, pytest.raises(ServerUnreachable, match="No voxmood answers at .*:9"):
        client.job(1)


def test_the_server_is_that_which_is_named_else_that_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOXMOOD_URL", raising=False)
    monkeypatch.setenv("VOXMOOD_STATE", str(tmp_path))
    with pytest.raises(NotRunning, match="No stack runs on"):
        server_url()
    (tmp_path / "stack.json").write_text(json.dumps({"api_url": "http://127.0.0.1:8001"}))
    assert server_url() == "http://127.0.0.1:8001"
    monkeypatch.setenv("VOXMOOD_URL", "http://archive.example:8000/")
    assert server_url() == "http://archive.example:8000"
    assert server_url("http://other.example/") == "http://other.example"


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    names = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    others = {name for name, _ in inspect.getmembers(AsyncClient, inspect.isfunction) if name[0] != "_"}
    assert names == others
    for name in names:
        one, other = (inspect.signature(getattr(kind, name)).parameters for kind in (Client, AsyncClient))
        assert list(one.values()) == list(other.values()), name
        assert inspect.getdoc(getattr(Client, name)), f"{name} says nothing of itself"
