"""What the shell is offered after `voxmood` and TAB."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.stacks import VOXMOOD


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("voxmood do", {"down", "doctor"}),
        ("voxmood dataset download ", {"ravdess"}),
    ],
)
def test_tab_offers_commands_and_values(typed: str, offered: set[str]) -> None:
    words = typed.split(" ")
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), "_VOXMOOD_COMPLETE": "complete_bash"}
    done = subprocess.run([VOXMOOD], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
