"""`make release`: version, changelog, commit and tag, or a sentence and nothing changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from infra.release import PROJECTS, git, numbered, release, released
from shared.core.settings import REPOSITORY

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Tea.\n\n## [0.1.0] - 2026-01-01\n\n- Water.\n"
PROJECT = '[project]\nname = "kettle"\nversion = "0.1.0"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path)], check=True)
    git(tmp_path, "config", "user.name", "Tester")
    git(tmp_path, "config", "user.email", "tester@example.org")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "client").mkdir()
    for name in PROJECTS:
        (tmp_path / name).write_text(PROJECT)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "Begin")
    return tmp_path


def test_a_release_is_a_commit_a_tag_and_a_new_section(checkout: Path) -> None:
    assert release(checkout, "0.2.0") == "### Added\n\n- Tea."
    assert all('version = "0.2.0"' in (checkout / name).read_text() for name in PROJECTS)
    text = (checkout / "CHANGELOG.md").read_text()
    assert (
        text.index("## [Unreleased]")
        < text.index("## [0.2.0] - ")
        < text.index("- Tea.")
        < text.index("## [0.1.0]")
    )
    assert git(checkout, "tag", "--list") == "v0.2.0"
    assert git(checkout, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert not git(checkout, "status", "--porcelain")


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("0.0.9", "not later than 0.1.0"), ("new", "is no version"), ("", "is no version")],
)
def test_a_version_that_is_none_or_not_later_changes_nothing(
    checkout: Path, version: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        release(checkout, version)
    assert (checkout / "CHANGELOG.md").read_text() == CHANGELOG
    assert not git(checkout, "status", "--porcelain")


def test_a_changed_work_tree_an_old_tag_and_an_empty_section_are_refused(checkout: Path) -> None:
    release(checkout, "0.2.0")
    with pytest.raises(ValueError, match=r"a tag v0\.2\.0 already"):
        release(checkout, "0.2.0")
    with pytest.raises(ValueError, match="nothing under"):
        release(checkout, "0.3.0")
    (checkout / "note.txt").write_text("unfinished")
    with pytest.raises(ValueError, match="has changes"):
        release(checkout, "0.3.0")


def test_the_changelog_and_the_project_here_can_be_released() -> None:
    _, notes = released((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), "99.0.0", "2099-01-01")
    assert notes
    for name in PROJECTS:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert 'version = "99.0.0"' in numbered(text, "99.0.0")
