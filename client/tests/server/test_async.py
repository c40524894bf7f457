"""The client for asyncio does as the other does, several things at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from voxmood.client import AsyncClient, Client
from voxmood.documents import JobDocument
from voxmood.errors import RequestRefused, ServerUnreachable, WaitTimedOut
from voxmood.packing import FileToSend
from voxmood.submission import Sent


def test_jobs_are_sent_and_followed_side_by_side(client: Client, archive: Path) -> None:
    sent: list[Sent] = []

    async def send(number: int) -> JobDocument:
        async with AsyncClient() as own:
            begun = await own.submit(archive, name=f"side {number}", on_sent=sent.append)
            return await own.wait(begun.id, timeout_s=120)

    async def both() -> list[JobDocument]:
        return await asyncio.gather(send(1), send(2))

    ended = asyncio.run(both())
    assert sorted(job.name or "" for job in ended) == ["side 1", "side 2"]
    assert {job.counts.done for job in ended} == {4}
    assert sent[-1].done == archive.stat().st_size


def test_results_are_those_of_the_other_client(client: Client, done: JobDocument, tmp_path: Path) -> None:
    async def read() -> None:
        async with AsyncClient() as own:
            rows = [row async for row in own.results(done.id, page_rows=5)]
            assert rows == list(client.results(done.id))
            segments = [row async for row in own.segments(done.id, page_rows=5)]
            assert segments == list(client.segments(done.id))
            exported = [block async for block in own.export(done.id, "jsonl")]
            assert b"".join(exported) == b"".join(client.export(done.id, "jsonl"))
            file = await own.export_to(tmp_path / "rows.csv", done.id)
            assert file.read_bytes() == b"".join(client.export(done.id))
            frame = await own.audformat(done.id)
            assert frame.equals(client.audformat(done.id))
            assert await own.audio(rows[0].clip_id, 10) == client.audio(rows[0].clip_id, 10)
            assert (await anext(own.jobs())).id == next(client.jobs()).id
            assert [label async for label in own.labels(job=done.id)] == []
            assert await own.model("champion") == client.model("champion")
            assert (await own.ready()).ready

    asyncio.run(read())


def test_errors_are_the_same(client: Client, archive: Path) -> None:
    async def fail() -> None:
        async with AsyncClient() as own:
            with pytest.raises(RequestRefused, match="There is no job"):
                await own.job(2**40)
            job = (await own.create_job()).id
            content = FileToSend(archive)
            assert (await own.put_upload(job, "a.zip", content)).bytes == content.size
            with pytest.raises(WaitTimedOut, match="is still open"):
                await own.wait(job, timeout_s=0)
            assert (await own.delete(job)).id == job
        async with AsyncClient("http://127.0.0.1:9") as nobody:
            with pytest.raises(ServerUnreachable, match="No voxmood answers"):
                await nobody.job(1)

    asyncio.run(fail())
