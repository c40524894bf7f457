"""The HTTP client: which key it sends."""

from __future__ import annotations

import pytest

from shared.client import Client
from shared.core.api_keys import new_key
from shared.core.errors.access import MalformedKey


def test_a_mistyped_key_is_not_even_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (new_key()[:-1], "schlüssel", "Bearer " + new_key()):
        monkeypatch.setenv("VOXMOOD_API_KEY", wrong)
        with pytest.raises(MalformedKey, match="That is no voxmood key"):
            Client("http://127.0.0.1:9")
