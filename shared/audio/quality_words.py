"""What a recording's quality is called; apart from what measures it, which the API need not load."""

from __future__ import annotations

from voxmood.states import QualityWord as Word

__all__ = ["SAID", "Word"]

# As a sentence about a recording says them.
SAID = {Word.narrow_band: "telephone bandwidth", Word.noisy: "noisy", Word.little_voice: "little voice"}
