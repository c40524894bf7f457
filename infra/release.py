# ruff: noqa: T201
"""A release: `make release VERSION=0.2.0`. Version, changelog, commit and tag; prints the notes.

What has changed stands in CHANGELOG.md under `## [Unreleased]`, as Keep a Changelog has it. Nothing is
pushed: the last line says how.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

UNRELEASED = "## [Unreleased]"
PROJECTS = ("pyproject.toml", "client/pyproject.toml")  # server and client have one version
VERSION_LINE = re.compile(r'^version = "(?P<version>[^"]+)"$', re.MULTILINE)


def released(changelog: str, version: str, day: str) -> tuple[str, str]:
    """The changelog with the unreleased section under this version, and that section, the notes.

    Raises ValueError where nothing has changed.
    """
    head, found, rest = changelog.partition(UNRELEASED + "\n")
    notes, _, older = rest.partition("\n## ")
    if not found or not notes.strip():
        raise ValueError(
            f"CHANGELOG.md has nothing under {UNRELEASED}; write what has changed, then try again."
        )
    older = f"\n## {older}" if older else ""
    return f"{head}{UNRELEASED}\n\n## [{version}] - {day}\n{notes}{older}", notes.strip()


def numbered(project: str, version: str) -> str:
    """pyproject.toml with this version. Raises ValueError where it is no version, or not a later one."""
    found = VERSION_LINE.search(project)
    if found is None:
        raise ValueError("pyproject.toml names no version.")
    try:
        is_later = Version(version) > Version(found["version"])
    except InvalidVersion:
        raise ValueError(f"{version} is no version; write it as in 0.2.0.") from None
    if not is_later and version != found["version"]:
        raise ValueError(f"{version} is not later than {found['version']}, which pyproject.toml has.")
    return VERSION_LINE.sub(f'version = "{version}"', project, count=1)


def git(folder: Path, *words: str) -> str:
    """What git prints, stripped. Raises ValueError with what it says when it fails."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ValueError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def release(folder: Path, version: str) -> str:
    """Make the release in a clean checkout; returns the notes. Raises ValueError, having changed nothing."""
    if git(folder, "status", "--porcelain"):
        raise ValueError("the work tree has changes; commit or stash them, then try again.")
    if git(folder, "tag", "--list", f"v{version}"):
        raise ValueError(f"there is a tag v{version} already.")
    changelog = folder / "CHANGELOG.md"
    projects = [folder / name for name in PROJECTS]
    newer = [numbered(project.read_text(encoding="utf-8"), version) for project in projects]
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    text, notes = released(changelog.read_text(encoding="utf-8"), version, day)
    for project, changed in zip(projects, newer, strict=True):
        project.write_text(changed, encoding="utf-8")
    changelog.write_text(text, encoding="utf-8")
    git(folder, "commit", "--quiet", "-m", f"Release {version}", *PROJECTS, "CHANGELOG.md")
    git(folder, "tag", "--annotate", f"v{version}", "-m", notes)
    return notes


def main(version: str = "") -> int:
    """Release a version; exit status 1, with the reason, where it cannot be."""
    try:
        notes = release(Path(), version)
    except ValueError as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    print(notes)
    print(f"\nCommitted and tagged. To publish it: git push --follow-tags origin main (tag v{version})")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
