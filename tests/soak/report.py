"""The soak's report: what was broken and what was lost, as Markdown, JSON and a plot."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.soak.load import Account
from tests.soak.memory import Sample, slopes

ABOUT = """\
`make soak MINUTES={minutes:g}` on {database}. A steady load of jobs: archives sound, odd and cut off; jobs
cancelled, retried, deleted, classified under another version; beside them one large job of {clips:,}
clips after the other. First under random kills every few seconds, then in calm, where memory is
measured. At the end every job is held against what was sent."""


@dataclass
class Soak:
    """All that a soak has to tell. Times in seconds after the stack was ready."""

    seed: int
    minutes: float
    database: str
    large_clips: int
    calm_from_s: float = 0.0
    warm_from_s: float = 0.0
    whole_kills_at_s: list[float] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    account: Account = field(default_factory=Account)
    samples: list[Sample] = field(default_factory=list)
    not_ended: int = 0

    @property
    def slopes(self) -> dict[str, float]:
        """MB a minute by part, in the calm after its warm-up."""
        return slopes(self.samples, self.warm_from_s)

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, doubled or counted wrongly."""
        account = self.account
        return not (account.lost or account.doubled or account.wrong or self.not_ended)

    def lines(self) -> list[str]:
        """The figures, one a line."""
        account = self.account
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(account.jobs.items()))
        kills = ", ".join(f"{count} × {kind}" for kind, count in self.kills.most_common())
        slope = f"{sum(self.slopes.values()):+.2f} MB a minute in sum, in the calm after its warm-up"
        return [
            f"clips: {account.clips:,} in {account.jobs.total()} jobs ({fates})",
            f"kills: {self.kills.total()} ({kills})",
            f"lost: {account.lost}",
            f"doubled: {account.doubled}",
            f"wrong counts: {len(account.wrong)}",
            f"jobs that did not end: {self.not_ended}",
            f"memory: {slope if self.slopes else 'not measured, the calm was too short'}",
            f"seed: VOXMOOD_SOAK_SEED={self.seed}, database: {self.database}",
        ]

    def write(self, folder: Path) -> None:
        """soak.md, soak.png and soak.json; on PostgreSQL soak-postgresql.…"""
        folder.mkdir(parents=True, exist_ok=True)
        name = "soak" if self.database == "sqlite" else f"soak-{self.database}"
        self._plot(folder / f"{name}.png")
        document = vars(self) | {"account": vars(self.account), "slopes_mb_per_minute": self.slopes}
        document["samples"] = [
            {"at_s": round(one.at_s), "pss": _rounded(one.pss), "rss": _rounded(one.rss)}
            for one in self.samples
        ]
        (folder / f"{name}.json").write_text(json.dumps(document) + "\n")
        (folder / f"{name}.md").write_text(self._markdown(name))

    def _plot(self, path: Path) -> None:
        figure = Figure(figsize=(10, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(xlabel="minutes", ylabel="PSS, MB")
        axes.set_prop_cycle(color=colormaps["tab20"].resampled(20)(range(20)))  # more parts than colours else
        for part in sorted({name for sample in self.samples for name in sample.pss}):
            known = [(sample.at_s / 60, sample.pss[part]) for sample in self.samples if part in sample.pss]
            axes.plot(*zip(*known, strict=True), label=part, linewidth=1)
        for at_s in self.whole_kills_at_s:
            axes.axvline(at_s / 60, color="0.8", linewidth=0.6, zorder=0)
        axes.axvspan(self.warm_from_s / 60, axes.get_xlim()[1], color="0.95", zorder=-1)
        axes.set_yscale("log")
        axes.set_title("Memory by part. Grey lines: kills of the whole stack; grey field: no kills, slope")
        figure.legend(loc="outside right center", fontsize=8)
        figure.savefig(path, dpi=110)

    def _markdown(self, name: str) -> str:
        ends = {part: self.samples[-1].pss.get(part, 0.0) for part in self.slopes}
        rows = [
            f"| {part} | {ends[part]:.0f} | {slope:+.2f} |" for part, slope in sorted(self.slopes.items())
        ]
        kills = [f"| {kind} | {count} |" for kind, count in self.kills.most_common()]
        wrong = [f"- {line}" for line in self.account.wrong]
        return "\n".join(
            [
                f"# {self.minutes:g} minutes of kills under load",
                "",
                ABOUT.format(minutes=self.minutes, database=self.database, clips=self.large_clips),
                "",
                "```",
                *self.lines(),
                "```",
                "",
                *wrong,
                "| what was broken | how often |",
                "|---|---|",
                *kills,
                "",
                f"![Memory of each part over time]({name}.png)",
                "",
                "| part | MB (PSS) at the end | MB a minute |",
                "|---|---|---|",
                *rows,
                "",
            ]
        )


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}
