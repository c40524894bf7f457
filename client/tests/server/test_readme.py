"""What the README shows can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voxmood.cli.main import COMMANDS
from voxmood.client import Client

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[-1].strip() for block in BLOCKS])
def test_every_block_of_python_runs(client: Client, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "next(client.jobs())" in block:  # it takes the newest job for one that has rows
        client.wait(client.submit("recordings.zip").id, timeout_s=120)
    exec("from voxmood import Client\n" + block, {})


def test_every_command_is_there() -> None:
    named = {name for name in re.findall(r"`voxmood (\w+)", README) if name not in ("up", "keys")}
    assert named <= COMMANDS.keys()
