"""`voxmood report`: what a job found, as one HTML file that needs nothing else."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxmood.cli.console import Server, progress, say
from voxmood.documents import JobDocument, ResultRow
from voxmood.errors import LibraryMissing
from voxmood.files import check_folder, written
from voxmood.states import Outcome
from voxmood.words import below, job_sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20
MOST_EXAMPLES = 10


@dataclass
class Summary:
    """What the rows of a job add up to; memory does not grow with their number."""

    outcomes: Counter[str] = field(default_factory=Counter)
    emotions: Counter[str] = field(default_factory=Counter)
    bins: dict[str, list[int]] = field(default_factory=dict)  # outcome: clips by confidence
    failures: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)  # error code: a sentence
    doubtful: list[tuple[float, str, str]] = field(default_factory=list)  # just below the threshold

    def add(self, row: ResultRow) -> None:
        """Count one result row."""
        self.outcomes[row.outcome] += 1
        if row.emotion:
            self.emotions[row.emotion] += 1
        if row.error_code is not None and row.outcome == Outcome.FAILED:
            self.failures[row.error_code] += 1
            self.examples.setdefault(row.error_code, row.error or "")
        if row.confidence is None:
            return
        place = min(int(row.confidence * BINS), BINS - 1)
        self.bins.setdefault(row.outcome, [0] * BINS)[place] += 1
        if row.outcome == Outcome.REJECTED and row.threshold is not None:
            one = (row.confidence, row.path, below(row.confidence, row.threshold))
            self.doubtful = sorted([*self.doubtful, one])[-MOST_EXAMPLES:]


def report(
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's id.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="HTML file. Default: voxmood-job-JOB.html.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model version. Default: the job's.")] = None,
    server: Server = None,
) -> None:
    """Write a report of a job: outcomes, emotions, confidence, what failed, what to listen to first."""
    from voxmood.client import Client

    if find_spec("matplotlib") is None:
        raise LibraryMissing(what="A report", library="matplotlib")
    file = output or Path(f"voxmood-job-{job}.html")
    check_folder(file)
    summary = Summary()
    with Client(server) as client, progress("rows") as bar:
        document = client.job(job)
        task = bar.add_task(f"Job {job}", total=document.counts.done)
        for row in client.results(job, model=model):
            summary.add(row)
            bar.advance(task)
    with written(file) as partial:
        partial.write_text(page(document, summary, model or document.model_version), encoding="utf-8")
    say(f"{file}: open it in a browser.")


def page(document: JobDocument, summary: Summary, model: str) -> str:
    """The report as HTML; every name from outside is escaped."""
    title = f"Job {document.id}" + (f": {document.name}" if document.name else "")
    sections = [
        f"<h1>{escape(title)}</h1><p>{escape(job_sentence(document))}</p>",
        f"<p>Model version {escape(model)}.</p>",
        _table("Outcomes", ((name, summary.outcomes[name]) for name in Outcome)),
        f"<h2>Emotions and confidence</h2>{_plots(summary)}",
        _table("Just below the threshold: listen to these first",
               ((path, said) for _, path, said in reversed(summary.doubtful))),
        _table("What failed", ((f"{code} ({count:,})", summary.examples[code])
                               for code, count in summary.failures.most_common())),
    ]  # fmt: skip
    style = (
        "body{font:16px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "td{padding:.2em 1em .2em 0;vertical-align:top}svg{max-width:100%;height:auto}"
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(sections)}</body></html>\n'


def _table(title: str, rows: Iterable[tuple[object, object]]) -> str:
    cells = "".join(f"<tr><td>{escape(str(a))}</td><td>{escape(str(b))}</td></tr>" for a, b in rows)
    return f"<h2>{escape(title)}</h2>" + (f"<table>{cells}</table>" if cells else "<p>None.</p>")


def _plots(summary: Summary) -> str:
    """Clips by emotion, and by confidence, side by side, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.5), layout="constrained")
    emotions, confidence = figure.subplots(1, 2)
    names, counts = zip(*summary.emotions.most_common()[::-1], strict=True) if summary.emotions else ((), ())
    emotions.barh(names, counts)
    emotions.set_xlabel("classified clips")
    emotions.xaxis.get_major_locator().set_params(integer=True)
    _histogram(confidence, summary)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()[text.getvalue().index("<svg") :]


def _histogram(axes: Axes, summary: Summary) -> None:
    edges = [place / BINS for place in range(BINS)]
    bottom = [0] * BINS
    for outcome in (Outcome.CLASSIFIED, Outcome.REJECTED):
        heights = summary.bins.get(outcome, [0] * BINS)
        axes.bar(edges, heights, 1 / BINS, bottom, align="edge", label=outcome)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    axes.set_xlabel("confidence")
    axes.set_ylabel("clips")
    axes.margins(y=0.1)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
