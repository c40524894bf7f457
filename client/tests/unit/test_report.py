"""The report of a job: counted row by row, names from outside escaped."""

from __future__ import annotations

from builders import job, row
from voxmood.cli.report import MOST_EXAMPLES, Summary, page

DOCUMENT = job(
    id=7,
    name="<b>Tapes</b>",
    state="done",
    counts={"clips": 40, "done": 40, "classified": 20, "rejected": 19, "failed": 1},
)


def test_rows_are_counted_and_the_most_doubtful_kept() -> None:
    summary = Summary()
    for number in range(20):
        summary.add(row(path=f"c{number}", outcome="classified", confidence=1.0, emotion="angry"))
        summary.add(row(path=f"r{number}", outcome="rejected", confidence=number / 25))
    summary.add(
        row(path="x.txt", outcome="failed", error_code="not_audio", error="x.txt is not readable audio.")
    )
    assert summary.outcomes == {"classified": 20, "rejected": 20, "failed": 1}
    assert summary.bins["classified"][-1] == 20
    assert sum(summary.bins["rejected"]) == 20
    assert [path for _, path, _ in summary.doubtful] == [f"r{n}" for n in range(20 - MOST_EXAMPLES, 20)]


def test_the_page_holds_its_plots_and_escapes_names() -> None:
    summary = Summary()
    summary.add(row(path="<script>.wav", outcome="rejected", confidence=0.7))
    summary.add(row(path="hair.wav", outcome="rejected", confidence=0.7999))
    summary.add(
        row(
            path="a.txt",
            outcome="failed",
            error_code="not_audio",
            error="<i>a.txt</i> is not readable audio.",
        )
    )
    html = page(DOCUMENT, summary, "seed-v6")
    assert "<svg" in html
    assert "<td>0.70 &lt; 0.80</td>" in html
    assert "<td>0.7999 &lt; 0.8000</td>" in html
    assert "&lt;script&gt;.wav" in html
    assert "&lt;i&gt;a.txt&lt;/i&gt; is not readable audio." in html
    assert "<b>Tapes" not in html
    assert "src=" not in html


def test_a_job_without_rows_has_a_page_too() -> None:
    assert "None." in page(DOCUMENT, Summary(), "seed-v6")
