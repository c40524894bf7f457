"""Log lines: what they are about, that nobody forges one, and that no secret stands in one."""

from __future__ import annotations

import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from shared.core import api_keys as keys
from shared.core import logs

FORGED = "a.wav\n2026-01-01T00:00:00.000Z CRITICAL workers.app all is lost\r\u2028\x1b[2J\u202e"


def line(form: logs.Format, message: str, *values: object, trouble: BaseException | None = None) -> str:
    """The text of a warning of workers.unpack."""
    told = (type(trouble), trouble, trouble.__traceback__) if trouble else None
    record = logging.LogRecord("workers.unpack", logging.WARNING, __file__, 1, message, values, told)
    return logs.formatter(form).format(record)


def test_a_line_names_what_it_is_about_and_the_next_job_s_does_not() -> None:
    with logs.about(unit=40):
        logs.note(job=12)
        with logs.about(shard=17):
            assert "WARNING workers.unpack [job 12 unit 40 shard 17] done" in line("text", "done")
        fields = json.loads(line("json", "%s clips", 3))
        assert fields.pop("time").endswith("Z")
        assert fields == {"level": "WARNING", "logger": "workers.unpack", "message": "3 clips",
                          "job": 12, "unit": 40}  # fmt: skip
    assert "WARNING workers.unpack done" in line("text", "done")


def test_what_a_worker_begins_with_is_all_that_its_lines_name() -> None:
    def work() -> list[str]:
        logs.begin(unit=40)
        logs.note(job=12)
        first = line("text", "done")
        logs.begin(upload=3)
        return [first, line("text", "done")]

    first, second = copy_context().run(work)
    assert "[job 12 unit 40]" in first
    assert "[upload 3]" in second


def test_threads_that_work_for_a_job_name_it_too() -> None:
    with logs.about(job=12), ThreadPoolExecutor(1) as threads:
        assert "[job 12]" in threads.submit(copy_context().run, line, "text", "done").result()
        assert "[job" not in threads.submit(line, "text", "done").result()


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_path_with_line_ends_forges_no_line(form: logs.Format) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        whole = line(form, "%s is damaged", FORGED, trouble=error)
    records = [part for part in whole.splitlines() if not part.startswith("    ")]
    assert len(records) == 1
    assert all(sign == "\n" or sign.isprintable() for sign in whole)
    if form == "json":
        assert json.loads(whole)["message"] == f"{FORGED} is damaged"
        assert "ValueError" in json.loads(whole)["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("cannot connect to redis://:hunter2hunter2@127.0.0.1:6379/0", "hunter2hunter2"),
        ("postgresql+psycopg://me:s3cr%40t@db.example/vox does not answer", "s3cr%40t"),
        ("PUT http://s3/vox/key?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=9", "0123456789abcdef"),
        ("Credential=AKIAVERYSECRET/20261122/us-east-1/s3/aws4_request", "AKIAVERYSECRET"),
        (f"Authorization: Bearer {(key := keys.new_key())}", key),
    ],
)
def test_secrets_are_masked_in_messages_and_tracebacks(form: logs.Format, message: str, secret: str) -> None:
    try:
        raise ConnectionError(message)
    except ConnectionError as error:
        whole = line(form, message, trouble=error)
    assert secret not in whole
    assert "***" in whole


def test_one_set_up_rules_all_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.set_up("INFO", "json")
        logs.set_up("INFO", "json")
        root.handlers[0].setStream(sys.stderr)
        logging.getLogger("httpx").info("GET http://s3/?X-Amz-Signature=0 200")
        logging.getLogger("anything.else").info("heard")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    (heard,) = capsys.readouterr().err.splitlines()
    assert json.loads(heard)["message"] == "heard"
