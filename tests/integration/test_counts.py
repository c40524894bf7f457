"""Every surface says the same numbers of a job: status, list, rows, exports, report, page, webhook, SQL."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
import streamlit as st
import uvicorn
from sqlalchemy import select, text
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from api.app import create_app
from shared.audio.synthesis import speech_like, wav_bytes
from shared.core.settings import REPOSITORY, Settings
from shared.core.states import Outcome
from shared.database.tables import job, unit
from shared.jobs import leases, lifecycle
from tests.archive_builders import encrypted_zip, zip_of
from tests.integration.builders import row_of, set_row
from tests.integration.sending import send
from voxmood.cli import worksheet
from voxmood.cli.main import app
from workbooks import cells_of, rows_of_workbook
from workers import ending, notify
from workers.classify import classify
from workers.services import Services
from workers.unpack import unpack

RATE = 16_000
NAME = "/".join(["tapes of the year 1987"] * 7) + "/6.wav"


@pytest.fixture
def server(services: Services) -> Iterator[str]:
    """The API at an address of this machine: commands and page speak HTTP."""
    url = services.database.url.render_as_string(hide_password=False)
    made = create_app(services.settings.model_copy(update={"database_url": url}))
    running = uvicorn.Server(uvicorn.Config(made, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join()


def voice(seed: int) -> bytes:
    return wav_bytes(speech_like("surprised", RATE, 0.6, seed=seed), RATE)


def told(server: str, *arguments: str) -> str:
    """What a command prints, on both its outputs."""
    done = CliRunner().invoke(app, [*arguments, "--server", server], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def cells(table: str, row: str) -> dict[str, str]:
    """The cells of a row of a printed table, by the names of their columns."""
    lines = [line for line in table.splitlines() if line.strip()]
    words = [re.split(r"  +", line.strip()) for line in lines]
    [place] = [place for place, found in enumerate(words) if row in found]
    names, found = words[place - 1], words[place]
    return dict(zip(names, found, strict=True))


def counted(words: str) -> dict[str, int]:
    """The counts in a job's sentence."""
    named = {name: re.search(rf"([\d,]+) {name.replace('_', ' ')}", words) for name in Outcome}
    return {name: int(found[1]) if found else 0 for name, found in named.items()}


def surfaces(services: Services, server: str, job_id: int, tmp_path: Path) -> dict[str, dict[str, int]]:
    """What each surface counts of each outcome."""
    document = httpx.get(f"{server}/v1/jobs/{job_id}", trust_env=False).json()
    assert document["counts"]["done"] == sum(document["counts"][name] for name in Outcome)
    webhook = json.loads(notify._document(services, job_id) or b"")
    listed = httpx.get(f"{server}/v1/jobs", trust_env=False).json()["jobs"][0]
    rows = [json.loads(line) for line in told(server, "results", str(job_id), "--format", "jsonl").split("\n")
            if line.startswith("{")]  # fmt: skip
    assert len(rows) == document["counts"]["done"]
    failed = Counter(row["upload"] for row in rows if row["outcome"] == "failed")
    assert {one["name"]: one["failed"] for one in document["uploads"]} == dict(failed)
    page = httpx.get(f"{server}/v1/jobs/{job_id}/results", params={"limit": 1000}, trust_env=False).json()
    files = {}
    for kind in ("csv", "parquet", "xlsx"):
        files[kind] = tmp_path / f"{job_id}-{len(rows)}.{kind}"
        told(server, "results", str(job_id), "--output", str(files[kind]))
    report = tmp_path / "report.html"
    told(server, "report", str(job_id), "--output", str(report))
    status = told(server, "status", str(job_id))
    uploads = cells(status, "in.zip")
    assert int(uploads["failed"]) == failed["in.zip"]
    assert int(uploads["duplicates"]) == document["counts"]["duplicates"]
    jobs = cells(told(server, "jobs"), str(job_id))
    assert int(jobs["clips"]) == document["counts"]["clips"] == int(uploads["clips"])
    done, found = document["counts"]["done"], document["counts"]["clips"]
    assert (f"{done} clips" if done == found else f"{done} of {found} clips") in status
    of_report = re.findall(r"<tr><td>(\w+)</td><td>(\d+)</td></tr>", report.read_text())
    with services.database.read() as connection:
        view = connection.execute(
            text("SELECT outcome, count(*) FROM results"
                 " WHERE job = :job AND model_version = job_model_version GROUP BY outcome"), {"job": job_id}
        ).all()  # fmt: skip
    st.cache_resource.clear()
    shown = AppTest.from_file(REPOSITORY / "shared" / "page" / "app.py", default_timeout=60)
    shown.query_params["job"] = str(job_id)
    shown.run()
    assert not shown.exception and not shown.error, (shown.exception, shown.error)
    metrics = {one.label.replace(" ", "_"): int(one.value) for one in shown.metric}
    assert metrics.pop("duplicates") == document["counts"]["duplicates"]

    def of_rows(found: list[dict[str, Any]]) -> dict[str, int]:
        return dict(Counter(row["outcome"] for row in found))

    found: dict[str, dict[str, int]] = {
        "status document": document["counts"],
        "webhook": webhook["counts"],
        "list": listed["counts"],
        "rows": of_rows(page["results"]),
        "jsonl": of_rows(rows),
        "csv": of_rows(list(csv.DictReader(io.StringIO(files["csv"].read_text("utf-8-sig"))))),
        "parquet": of_rows(pq.read_table(files["parquet"]).to_pylist()),
        "xlsx": of_rows(rows_of_workbook(files["xlsx"])),
        "status command": counted(status),
        "jobs command": {name: int(jobs[name.replace("_", " ")]) for name in Outcome},
        "report's sentence": counted(report.read_text()),
        "report's table": {name: int(count) for name, count in of_report if name in set(Outcome)},
        "page": metrics,
        "SQL": {name: int(count) for name, count in view},
    }
    return {name: {outcome: counts.get(outcome, 0) for outcome in Outcome} for name, counts in found.items()}


def agreed(found: dict[str, dict[str, int]]) -> dict[str, int]:
    """The numbers, which are the same everywhere."""
    first = found["SQL"]
    assert {name: counts for name, counts in found.items() if counts != first} == {}, first
    return first


def test_all_surfaces_count_alike_while_a_job_is_cancelled_and_when_it_is_whole(
    services: Services, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXMOOD_URL", server)
    before = st.get_option
    here = {"server.address": "127.0.0.1"}
    monkeypatch.setattr(st, "get_option", lambda name: here.get(name) or before(name))
    members = {
        "1.wav": voice(1), "2.txt": b"words", "3.wav": voice(3),
        "3 again.wav": voice(3), "2 again.txt": b"words", "4.wav": voice(4),
        "5.wav": voice(5), "6.wav": voice(6), "7.wav": voice(7), "7 again.wav": voice(7),
        "locked.wav": voice(8),
    }  # fmt: skip
    job_id, upload_id = send(services, encrypted_zip(members, "locked.wav"))
    champion = Settings().champion
    set_row(
        services.database, job, job_id, name="tapes", model_version=champion, threshold=0.0, started_at=1.0
    )
    unpack(services, upload_id)
    with services.database.read() as connection:
        units = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id).order_by(unit.c.id))
        first, second, third, fourth = units.scalars()
    nothing = agreed(surfaces(services, server, job_id, tmp_path))
    assert nothing == {"classified": 0, "rejected": 0, "no_voice": 0, "failed": 1}, "no copy is ahead of time"
    classify(services, first)
    assert agreed(surfaces(services, server, job_id, tmp_path)) == {
        "classified": 3, "rejected": 0, "no_voice": 0, "failed": 3
    }  # fmt: skip
    set_row(services.database, job, job_id, threshold=1.0)
    classify(services, second)
    looks = iter(range(10))

    def cancelled_meanwhile() -> None:
        if next(looks) == 1:
            lifecycle.cancel(services.database, job_id)

    # A unit that cost a child its life goes clip by clip: of its clips one has an outcome already.
    set_row(services.database, unit, third, crashes=1)
    with monkeypatch.context() as patch:
        patch.setattr(ending, "check", cancelled_meanwhile)
        classify(services, third)
    cancelled = agreed(surfaces(services, server, job_id, tmp_path))
    assert cancelled == {"classified": 3, "rejected": 2, "no_voice": 0, "failed": 3}
    document = httpx.get(f"{server}/v1/jobs/{job_id}", trust_env=False).json()
    assert document["state"] == "cancelled"
    assert document["counts"]["duplicates"] == 2, "the third has no outcome"
    assert document["progress"]["fraction"] < 1
    assert document["progress"]["seconds_left"] is None

    lifecycle.retry(services.database, job_id, [])
    document = httpx.get(f"{server}/v1/jobs/{job_id}", trust_env=False).json()
    assert (document["progress"]["done"], document["progress"]["clips_per_s"]) == (0, None), "it begins anew"
    # Seven stand; the failed two, three that were interrupted, and 7.wav with its copy are ahead.
    assert document["counts"]["done"] + document["progress"]["expected"] == document["counts"]["clips"] == 11
    for one in (first, third, fourth):
        classify(services, one)
    assert leases.close_job(services.database, job_id) == "done"
    whole = agreed(surfaces(services, server, job_id, tmp_path))
    assert whole == {"classified": 3, "rejected": 5, "no_voice": 0, "failed": 3}
    document = httpx.get(f"{server}/v1/jobs/{job_id}", trust_env=False).json()
    assert document["progress"]["done"] == document["progress"]["expected"] == 5
    ended = row_of(services.database, job, job_id)
    assert document["progress"]["clips_per_s"] == pytest.approx(5 / (ended.ended_at - ended.run_started_at))

    lifecycle.reclassify(services.database, job_id, "v8-six")
    document = httpx.get(f"{server}/v1/jobs/{job_id}", trust_env=False).json()
    assert document["progress"] | {"clips_per_s": None} == {
        "done": 0, "expected": 10, "fraction": 0.0, "clips_per_s": None, "seconds_left": None
    }  # fmt: skip
    assert document["counts"]["done"] == 11


def test_tables_fit_a_usual_terminal_and_a_workbook_has_room_or_is_refused(
    services: Services, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"1.wav": voice(1), "2.txt": b"words", NAME: voice(3), "=1+1.wav": voice(4)}
    job_id, upload_id = send(services, zip_of(members), f"{'a long name of an archive ' * 4}.zip")
    name = "tapes of the year 1987, second half, from the attic"
    set_row(services.database, job, job_id, model_version=Settings().champion, name=name, started_at=1.0)
    unpack(services, upload_id)
    with services.database.read() as connection:
        units = connection.execute(select(unit.c.id).where(unit.c.job_id == job_id)).scalars().all()
    for one in units:
        classify(services, one)
    for command in (["jobs"], ["status", str(job_id)], ["results", str(job_id)]):
        done = CliRunner().invoke(app, [*command, "--server", server], env={"COLUMNS": "80"})
        assert done.exit_code == 0
        assert "…" not in done.stdout
        table = [line for line in done.stdout.splitlines() if not line.startswith("Job")]
        assert max(map(len, table)) <= 80

    file = tmp_path / "out.xlsx"
    told(server, "results", str(job_id), "--output", str(file))
    assert [row["path"] for row in rows_of_workbook(file)] == list(members)
    told(server, "results", str(job_id), "--output", str(file), "--outcome", "no_voice")
    assert cells_of(file)[0]["A"] == "path"
    assert len(cells_of(file)) == 1
    file.unlink()
    monkeypatch.setattr(worksheet, "MOST_ROWS", 3)
    arguments = ["results", str(job_id), "--output", str(file), "--server", server]
    refused = CliRunner().invoke(app, arguments)
    assert "more rows than a worksheet of Excel holds (3)" in str(refused.exception)
    assert list(tmp_path.glob("out*")) == []
    told(server, *arguments[:-2], "--outcome", "failed")  # of the four, these have room
    assert [row["path"] for row in rows_of_workbook(file)] == ["2.txt"]
