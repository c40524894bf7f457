"""`voxmood dataset`: recordings to train on, from their public archives."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from shared.core.errors.infrastructure import CannotWrite
from shared.core.errors.models import DatasetUnreachable, WrongChecksum
from voxmood.cli.commands import App
from voxmood.cli.console import say, transfer_progress
from voxmood.files import written_whole

if TYPE_CHECKING:
    import httpx

RAVDESS_RECORD = "https://zenodo.org/api/records/1188976"
# The record's archives of sound alone: how their recordings are named, and how many there are.
RAVDESS_ARCHIVES = {
    "Audio_Speech_Actors_01-24.zip": ("03-01-*.wav", 1440),
    "Audio_Song_Actors_01-24.zip": ("03-02-*.wav", 1012),
}
RAVDESS_MEMBER = re.compile(r"Actor_\d\d/03-0[12](-\d\d){5}\.wav", re.ASCII)
BLOCK_BYTES = 2**16
TRIES = 5  # in a row that bring no byte
PAUSE_S = 1.0  # after the first of them; doubles with each

app = App(help="Recordings to train on.")


class Corpus(StrEnum):
    """What can be downloaded."""

    ravdess = "ravdess"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a record: where it is, its bytes, its MD5 in hexadecimal."""

    name: str
    url: str
    size: int
    md5: str


@app.callback()
def dataset() -> None:
    """Recordings to train on."""


@app.command()
def download(
    corpus: Annotated[Corpus, typer.Argument(help="Which recordings.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="Where to put them.")],
    record: Annotated[str, typer.Option(hidden=True, help="The record's address.")] = RAVDESS_RECORD,
) -> None:
    """Download RAVDESS, speech and song (434 MB), into DIR/Actor_01 … DIR/Actor_24.

    Called again after a break it goes on where it was; what is there already is not downloaded.
    """
    import httpx

    from shared.models.data.datasets import RAVDESS_CREDIT, RAVDESS_LICENCE

    missing = [name for name in RAVDESS_ARCHIVES if not _is_whole(folder, name)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=30.0, follow_redirects=True) as client:
            files = _listed(client, record) if missing else {}
            for name in missing:
                archive = _fetch(client, files[name], folder)
                left_out = _extract(archive, folder)
                archive.unlink()
                if left_out:
                    say(f"Left out of {name}: {left_out} files that are not named as RAVDESS' recordings.")
    except OSError as error:
        raise CannotWrite(path=error.filename or folder, reason=error.strerror) from error
    recordings = sum(1 for pattern, _ in RAVDESS_ARCHIVES.values() for _ in folder.glob(f"Actor_*/{pattern}"))
    say(f"{folder}: {recordings:,} recordings. {RAVDESS_CREDIT}. Licence: {RAVDESS_LICENCE}.")
    say(f"`voxmood train --data {folder}` trains on them.")


def _is_whole(folder: Path, archive: str) -> bool:
    pattern, count = RAVDESS_ARCHIVES[archive]
    return sum(1 for _ in folder.glob(f"Actor_*/{pattern}")) >= count


def _listed(client: httpx.Client, record: str) -> dict[str, RemoteFile]:
    """The files of a Zenodo record, by name.

    Raises:
        DatasetUnreachable: it does not answer, or not as expected.
    """
    import httpx

    try:
        listed = client.get(record).raise_for_status().json()["files"]
        files = {
            file["key"]: RemoteFile(
                file["key"], file["links"]["self"], file["size"], file["checksum"].removeprefix("md5:")
            )
            for file in listed
        }
    except httpx.HTTPError as error:
        raise DatasetUnreachable(url=record, reason=error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetUnreachable(url=record, reason="it is no record of Zenodo's") from error
    if absent := RAVDESS_ARCHIVES.keys() - files.keys():
        raise DatasetUnreachable(url=record, reason=f"it has no {' and no '.join(sorted(absent))}")
    return files


def _fetch(client: httpx.Client, remote: RemoteFile, folder: Path) -> Path:
    """Download a file, going on with what an earlier run has left, and check its MD5.

    Raises:
        DatasetUnreachable: several tries in a row brought nothing.
        WrongChecksum: what came is not what the record names.
    """
    import httpx

    file = folder / f"{remote.name}.partial"
    vain = 0
    with transfer_progress() as bar:
        task = bar.add_task(f"Fetching {remote.name}", total=remote.size)
        while (before := _size(file)) < remote.size:
            reason = "it ended early"
            try:
                _go_on(client, remote, file, bar, task)
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            if (now := _size(file)) >= remote.size:
                break
            vain = 0 if now > before else vain + 1
            if vain == TRIES:
                raise DatasetUnreachable(url=remote.url, reason=reason)
            here = f"{now / 1e6:,.1f} of {remote.size / 1e6:,.1f} MB"
            say(f"The connection broke ({reason}); going on at {here}.")
            time.sleep(PAUSE_S * 2**vain)
        bar.update(task, completed=remote.size)
    with file.open("rb") as content:
        md5 = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if md5 != remote.md5:
        file.unlink()
        raise WrongChecksum(name=remote.name, md5=md5, expected=remote.md5)
    return file


def _go_on(client: httpx.Client, remote: RemoteFile, file: Path, bar: Progress, task: TaskID) -> None:
    """Add what the file lacks, as far as it comes."""
    headers = {"Accept-Encoding": "identity"}
    if have := _size(file):
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", remote.url, headers=headers) as answer:
        answer.raise_for_status()
        # A server that knows no ranges answers 200 and begins anew.
        with file.open("ab" if answer.status_code == 206 else "wb") as partial:
            for block in answer.iter_raw(BLOCK_BYTES):
                partial.write(block)
                bar.update(task, completed=partial.tell())


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _extract(archive: Path, folder: Path) -> int:
    """Put the recordings into their folders, each appearing whole; the number of files left out.

    Only what is named as RAVDESS names its recordings leaves the archive, so that no name leads out of
    the folder.
    """
    left_out = 0
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            if not RAVDESS_MEMBER.fullmatch(member.filename):
                left_out += 1
                continue
            recording = folder / member.filename
            recording.parent.mkdir(exist_ok=True)
            with (
                written_whole(recording) as partial,
                packed.open(member) as source,
                partial.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
    return left_out
