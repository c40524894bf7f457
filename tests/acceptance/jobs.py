"""What the acceptance tests ask of a running stack, by plain HTTP as a user's program would."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import httpx


class Api:
    """The API of a stack."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def run(self, uploads: dict[str, bytes], limit_s: float = 120, **options: Any) -> dict[str, Any]:
        """Create a job, send its uploads, start it, wait for its end; returns its document."""
        job = self.create(**options)
        for name, body in uploads.items():
            answer = self.http.put(f"/v1/jobs/{job}/uploads/{name}", content=body)
            assert answer.status_code == 201, answer.text
        self.start(job)
        return self.wait(job, limit_s)

    def create(self, **options: Any) -> int:
        answer = self.http.post("/v1/jobs", json=options)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def start(self, job: int) -> None:
        answer = self.http.post(f"/v1/jobs/{job}/start")
        assert answer.status_code == 200, answer.text

    def wait(self, job: int, limit_s: float = 120) -> dict[str, Any]:
        """Until the job has ended."""
        end = time.monotonic() + limit_s
        while True:
            document: dict[str, Any] = self.http.get(f"/v1/jobs/{job}").json()
            if document["state"] not in ("open", "running"):
                return document
            assert time.monotonic() < end, f"job {job} did not end in {limit_s} s: {document}"
            time.sleep(0.2)

    def rows(self, job: int, limit: int = 1000) -> list[dict[str, Any]]:
        """All result rows, by pages."""
        rows: list[dict[str, Any]] = []
        cursor = None
        while True:
            params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = self.http.get(f"/v1/jobs/{job}/results", params=params).json()
            rows += page["results"]
            if (cursor := page["next"]) is None:
                return rows

    def exported_csv(self, job: int) -> list[dict[str, str]]:
        """The CSV export, as a spreadsheet reads it."""
        answer = self.http.get(f"/v1/jobs/{job}/export", params={"format": "csv"})
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def problem_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and sentence of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert {"type", "title", "detail"} <= set(body)
    return body["status"], body["code"], body["detail"]
