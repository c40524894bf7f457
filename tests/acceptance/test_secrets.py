"""No secret of a stack is to be read anywhere but in its credentials; its log lines name their job."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress

import httpx
import psutil

from tests.archive_builders import zip_of
from tests.stacks import processes_of

FLOWER_PAGES = (
    "/",
    "/workers",
    "/tasks",
    "/broker",
    "/tasks/datatable",
    "/metrics",
    "/api/workers",
    "/api/tasks",
)


def test_secrets_stand_in_no_log_no_command_line_no_record_and_nothing_that_flower_shows(stack, api):
    api.run({"damaged.zip": zip_of({"a.wav": b"RIFF", "b.wav": b"no audio"}, 0)[:-30]})
    secrets = json.loads((stack.state / "credentials.json").read_text())
    del secrets["s3_access_key"]  # a name, that every signed request shows; SeaweedFS logs it
    places = {str(log): log.read_text(errors="replace") for log in (stack.state / "logs").iterdir()}
    places["stack.json"] = (stack.state / "stack.json").read_text()
    for process in processes_of(stack.state):
        with suppress(psutil.Error):
            places[f"command line of {process.pid}"] = " ".join(process.cmdline())
    with httpx.Client(base_url=stack.flower_url, trust_env=False) as flower:
        for page in FLOWER_PAGES:
            places[f"Flower {page}"] = flower.get(page).text
    places["API"] = "".join(api.http.get(path).text for path in ("/v1/jobs", "/metrics", "/v1/openapi.json"))
    assert len(places) > 25
    found = {(name, place) for name, secret in secrets.items() for place in places if secret in places[place]}
    assert not found


def test_the_lines_of_a_job_s_tasks_name_it(stack, api):
    job = api.run({"one.zip": zip_of({"a.wav": b"RIFF"}, 0)})["id"]
    ended = re.compile(
        rf"Z INFO celery\.app\.trace \[job {job} (?:upload|unit) \d+.*\] Task \w+\[.*succeeded"
    )
    end = time.monotonic() + 10
    while True:
        lines = [line for log in stack.state.glob("logs/*.log") for line in log.read_text().splitlines()]
        if sum(bool(ended.search(line)) for line in lines) >= 2:
            return
        assert time.monotonic() < end, "\n".join(lines[-40:])
        time.sleep(0.2)
