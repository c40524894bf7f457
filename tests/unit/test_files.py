"""A file is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxmood.files import written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with written_whole(file) as partial:
        partial.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_what_was_not_finished_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    file = tmp_path / "a.txt"
    with pytest.raises(failure), written_whole(file) as partial:
        partial.write_text("half")
        raise failure
    assert not list(tmp_path.iterdir())


def test_the_suffix_stays_since_numpy_would_add_it(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a.npz") as partial:
        np.savez(partial, values=np.arange(3))
    assert np.load(tmp_path / "a.npz")["values"].tolist() == [0, 1, 2]
