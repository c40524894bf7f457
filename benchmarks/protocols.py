"""The metrics of the networks under every protocol, side by side, from their reports.

`python -m benchmarks.protocols` reads what `voxmood evaluate` wrote below docs/reports, trains nothing, and
prints Markdown: the tables of docs/figures.md, with `--short` that of README.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from shared.core.settings import REPOSITORY
from shared.models.evaluation.plan import Protocol
from shared.models.evaluation.reports import HABIT, HONEST, JSON, interval, number, table
from shared.models.evaluation.summary import TOP, Document, spread

REPORTS = REPOSITORY / "docs" / "reports"
NETWORKS = "seed", "v7", "v8", "v8-small"
# What the author of the baseline published of each experiment, by the emotions left out.
PUBLISHED = {(): 0.7862, ("sad",): 0.8341, ("surprised",): 0.8075, ("sad", "surprised"): 0.8621}
UNKNOWNS = ("sad", "surprised")
VERSIONS = "v7", "v8", "v8-small"  # tested under conditions and on corpora that they were not trained on
TRAINED = ", trained without each corpus in turn"
STRANGE = "emospeech"

Reports = dict[tuple[Protocol, str, tuple[str, ...]], Document]


def read_reports(folder: Path = REPORTS) -> Reports:
    """All reports below a folder, by protocol, network or version, and emotions that were left out."""
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob(f"*/{JSON}"))]
    return {(Protocol(one["protocol"]), _who(one), tuple(one["drop"])): one for one in documents}


def _who(document: Document) -> str:
    """The name of a version; of a training without a version, that of the network."""
    if version := document.get("version"):
        return str(version)
    return str(document["network"]) + (TRAINED if document["protocol"] == Protocol.CORPUS else "")


def known(reports: Reports) -> Iterator[str]:
    """Random clips beside unseen speakers: accuracy by experiment."""
    rows = []
    networks = [network for network in NETWORKS if (Protocol.SPEAKER, network, ()) in reports]
    for drop, published in PUBLISHED.items():
        name = f"without {' and '.join(drop)}" if drop else "all eight emotions"
        of_clips = [reports.get((Protocol.BASELINE, network, drop)) for network in networks]
        accuracies = [_accuracy(of_clips[0], HABIT), *(_accuracy(one, HONEST) for one in of_clips)]
        rows.append([f"random clips, {name}", number(published), *accuracies])
    of = {network: reports[Protocol.SPEAKER, network, ()]["results"][HONEST] for network in networks}
    for name, part, figure in (
        ("all eight emotions, accuracy", "all", "accuracy"),
        ("the spoken ones alone, average recall", "speech", "uar"),
        ("the sung ones alone, accuracy", "song", "accuracy"),
        ("right among the surest half of all", "all", "accuracy_of_surest_half"),
        ("right among the surest 65 %", "all", "accuracy_of_surest_65%"),
        ("ECE (15 bins)", "all", "ece"),
    ):
        figures = [f"**{number(of[network][part]['pooled'].get(figure))}**" for network in networks]
        rows.append([f"**unheard speakers**, {name}", "–", "–", *figures])
    header = ["", "seed, published", "seed, epoch chosen on the test", *networks]
    yield from table(header, rows)
    yield ""
    for one, other in (("v7", "seed"), ("v8", "v7")):
        if {one, other} <= set(networks):
            yield _paired(reports, one, other)


def _paired(reports: Reports, network: str, other: str) -> str:
    folds = [
        {fold["name"]: fold["accuracy"] for fold in reports[Protocol.SPEAKER, name, ()]["folds"]}
        for name in (network, other)
    ]
    gained = [folds[0][name] - folds[1][name] for name in folds[0]]
    over = spread(gained) or {}
    return (
        f"Fold by fold {network} is {over['mean']:+.3f} from {other} on unheard speakers (95 % interval "
        f"{over['low']:+.3f} to {over['high']:+.3f}, {over['n']} folds, each between {min(gained):+.3f} and "
        f"{max(gained):+.3f})."
    )


def experiments(reports: Reports, network: str) -> Iterator[str]:
    """The recall of each remaining class in the four experiments, over the seeds."""
    of_drops = (reports.get((Protocol.BASELINE, network, drop)) for drop in PUBLISHED)
    by_drop = dict(zip(PUBLISHED, of_drops, strict=True))
    rows = []
    for label in reports[Protocol.BASELINE, network, ()]["labels"]:
        recalls = (
            one and one["results"][HONEST]["all"]["folds"]["recall"].get(label) for one in by_drop.values()
        )
        rows.append([label, *(interval(recall) for recall in recalls)])
    header = ["all eight", *(f"without {' and '.join(drop)}" for drop in by_drop if drop)]
    yield from table([f"recall by {network}", *header], rows)


def unknown(reports: Reports) -> Iterator[str]:
    """Unknown emotions and sounds without a voice, each metric with its score."""
    columns = {
        network: _refused(document)
        for network in NETWORKS
        if (document := reports.get((Protocol.OPEN_SET, network, UNKNOWNS)))
    }
    names = next(iter(columns.values()))
    yield from table(
        ["", *columns], [[name, *(column[name] for column in columns.values())] for name in names]
    )


def _refused(document: Document) -> dict[str, str]:
    scores, pooled = document["open_set"]["scores"], document["results"][HONEST]["all"]["pooled"]
    column = {
        "accuracy of the six known emotions": number(pooled["accuracy"]),
        "ECE (15 bins)": number(pooled["ece"]),
        **{
            f"AUROC, known against unknown emotions, by {score}": number(figures["unknown"]["auroc"])
            for score, figures in scores.items()
        },
        "FPR at 95 % TPR, by top probability": number(scores[TOP]["unknown"]["fpr95"]),
        "AUROC, known against sounds without a voice": number(scores[TOP]["non_speech"]["auroc"]),
        "right among the surest half, known": number(pooled["accuracy_of_surest_half"]),
        "coverage at 5 % / 10 % risk, known": " / ".join(
            number(pooled[f"coverage_at_{risk}%_risk"]) for risk in (5, 10)
        ),
    }
    for rule in document["open_set"]["thresholds"]:
        if rule["score"] == TOP:
            name = f"rule `{rule['rule']}`, set on {rule['set_on']}, judged on {' '.join(rule['judged_on'])}"
            column[f"{name}: coverage / right among accepted"] = (
                f"{number(rule['coverage'])} / {number(rule['accepted_accuracy'])}"
            )
            column[f"{name}: unknown let through"] = number(rule["unknown_let_through"])
    return column


def altered(reports: Reports) -> Iterator[str]:
    """Versions under each condition: right of all, accepted, and right of the accepted."""
    of = _of_versions(reports, Protocol.CONDITIONS)
    first = next(iter(of.values()))
    rows = [
        [figures["text"] + (" *" if figures["is_harsh"] else ""),
         *(_trial(document["conditions"][name]) for document in of.values())]
        for name, figures in first["conditions"].items()
    ]  # fmt: skip
    means = [number(document["harsh_mean"]["accuracy"]) for document in of.values()]
    sounds = [number(document["no_voice_of_sounds"]) for document in of.values()]
    rows += [["**mean of the harsh (*)**", *means], ["sounds without a voice: no voice heard", *sounds]]
    yield from table(["right / accepted / right of the accepted", *of], rows)


def foreign(reports: Reports) -> Iterator[str]:
    """Versions on corpora that they were not trained on."""
    of = _of_versions(reports, Protocol.CORPUS)
    first = next(iter(of.values()))
    rows = [
        [f"{name}: {', '.join(figures['labels'])} ({figures['clips']:,} clips)",
         *(_trial(document["corpora"].get(name)) for document in of.values())]
        for name, figures in first["corpora"].items()
    ]  # fmt: skip
    yield from table(["right / accepted / right of the accepted", *of], rows)


def _of_versions(reports: Reports, protocol: Protocol) -> dict[str, Document]:
    return {version: document for version in VERSIONS if (document := reports.get((protocol, version, ())))}


def _trial(figures: Document | None) -> str:
    """The metrics of a corpus; a version is not tested on a corpus of its training."""
    if figures is None:
        return "taught it"
    shares = figures["accuracy"], figures["accepted_share"], figures["right_of_accepted"]
    return " / ".join(number(one) for one in shares)


def _accuracy(document: Document | None, chosen: str) -> str:
    """Mean ± standard deviation over the folds, if there are any with this choice of the epoch."""
    if document is None or chosen not in document["results"]:
        return "–"
    values = document["results"][chosen]["all"]["folds"]["accuracy"]
    return number(values["mean"]) + ("" if values["sd"] is None else f" ± {values['sd']:.3f}")


def tables(reports: Reports) -> list[str]:
    """All tables, with empty lines between them."""
    blocks: Sequence[Iterator[str]] = [
        known(reports),
        *(experiments(reports, name) for name in NETWORKS if (Protocol.BASELINE, name, ()) in reports),
        unknown(reports),
        altered(reports), foreign(reports),
    ]  # fmt: skip
    return list(chain.from_iterable([*block, ""] for block in blocks))[:-1]


def short(reports: Reports) -> list[str]:
    """The metrics that matter most."""
    shown = NETWORKS
    rows: dict[str, list[str]] = {}

    def add(name: str, protocol: Protocol, of: Callable[[Document], str]) -> None:
        documents = [reports.get((protocol, network, ())) for network in shown]
        rows[name] = ["–" if one is None else of(one) for one in documents]

    def unheard(part: str, figure: str) -> Callable[[Document], str]:
        return lambda one: number(one["results"][HONEST][part]["pooled"].get(figure))

    add(
        "right, of random clips by people it has heard", Protocol.BASELINE, lambda one: _accuracy(one, HONEST)
    )
    add("right, of clips by people it has never heard", Protocol.SPEAKER, unheard("all", "accuracy"))
    add("… the surest 65 % of these", Protocol.SPEAKER, unheard("all", "accuracy_of_surest_65%"))
    add(
        "right in noise, rooms, overdriven, by telephone (mean of eight conditions)",
        Protocol.CONDITIONS,
        lambda one: number(one["harsh_mean"]["accuracy"]),
    )
    add(
        "right, of what is accepted: as recorded / in the worst of 25 conditions",
        Protocol.CONDITIONS,
        _accepted_and_right,
    )
    add(
        "of a corpus like nothing that taught it: accepted / right of these",
        Protocol.CORPUS,
        lambda one: " / ".join(
            number(one["corpora"][STRANGE][figure]) for figure in ("accepted_share", "right_of_accepted")
        ),
    )
    return list(table(["", *shown], [[name, *values] for name, values in rows.items()]))


def _accepted_and_right(document: Document) -> str:
    conditions = document["conditions"]
    clean = conditions["clean"]["right_of_accepted"]
    rights = [one["right_of_accepted"] for one in conditions.values() if one["right_of_accepted"] is not None]
    return f"{number(clean)} / {number(min(rights))}"


if __name__ == "__main__":
    printed = short if "--short" in sys.argv else tables
    sys.stdout.write("\n".join(printed(read_reports())) + "\n")
