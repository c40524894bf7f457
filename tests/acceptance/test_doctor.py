"""`voxmood doctor` on a running stack."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from shared.jobs.doorbell import QUEUES


def findings(stack) -> list[dict[str, Any]]:
    done = stack.voxmood("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["findings"]


def test_a_sound_stack_has_no_problem(stack) -> None:
    found = findings(stack)
    says = [one["says"] for one in found if one["level"] == "ok"]
    for queue in QUEUES:
        assert f"{queue} is consumed" in says
    for part in ("database", "queue", "store"):
        assert f"The {part}, asked by the API, answers" in says
    for address in (f"The API at {stack.api_url}", stack.flower_url, stack.record.page_url):
        assert f"{address} answers" in says
    assert any("schema" in line and stack.database_url in line for line in says)
    assert "No stack" not in str(found)


def test_a_part_that_was_started_again_is_named_with_its_log(stack) -> None:
    os.kill(stack.record.children["page"].pid, signal.SIGKILL)
    end = time.monotonic() + 60
    warning = None
    while warning is None:  # while it begins again, doctor says that it does not answer
        done = stack.voxmood("doctor", "--json")
        findings = json.loads(done.stdout)["findings"]
        said = (one for one in findings if one["says"].startswith("page ended"))
        warning = next(said, None) if done.returncode == 0 else None
        assert time.monotonic() < end, done.stdout
    assert warning["level"] == "warning"
    assert warning["says"].startswith("page ended and was started again: ")
    assert warning["do"] == f"Why: {stack.state / 'logs' / 'page.log'}"
