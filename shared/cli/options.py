"""Options that several of the server's commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

State = Annotated[
    Path | None,
    typer.Option("--state", help="State folder. Default: VOXMOOD_STATE, else ~/.local/state/voxmood."),
]
