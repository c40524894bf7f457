"""The report of a protocol: JSON for programs, Markdown and pictures for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from shared.models.data.audio_data import AudioData
from shared.models.data.datasets import Recordings, fingerprint
from shared.models.data.folds import Validation
from shared.models.evaluation.fold_results import FoldResult, Part
from shared.models.evaluation.plan import EvaluationPlan, Protocol
from shared.models.evaluation.protocols import validation_of
from shared.models.evaluation.summary import TOP, Document, closed_set, open_set, pooled, right
from shared.models.metrics.calibration import Reliability
from shared.models.metrics.plots import (
    plot_class_bars,
    plot_confusion_matrix,
    plot_reliability,
    plot_risk_coverage,
)
from shared.models.serving.rejection import RiskCoverage

JSON, MARKDOWN = "report.json", "report.md"
HONEST, HABIT = "chosen inside training", "chosen on the test part"
HELD_OUT = {
    Protocol.BASELINE: "A stratified fifth of the clips, drawn at random: every speaker is on both sides. "
    "Twins stay on one.",
    Protocol.SPEAKER: "Whole speakers are held out: nobody who judges was heard before.",
    Protocol.OPEN_SET: "Whole speakers are held out, and the emotions {drop} from all learning. Each of "
    "these sets thresholds, and is judged by the others.",
}

CHOSEN_BY = {
    Validation.HELD_OUT: "Epoch and temperature come from speakers held out inside the training side.",
    Validation.CROSS: "Temperature and thresholds come from the speakers who learn, each told by what the "
    "others taught; nobody chooses an epoch.",
    Validation.NONE: "Nobody chooses: the number of epochs is fixed beforehand, and the temperature is 1.",
}


def write_report(
    plan: EvaluationPlan,
    recordings: Recordings,
    data: AudioData,
    results: Sequence[FoldResult],
    folder: Path,
) -> Document:
    """Write report.json, report.md and their pictures.

    Args:
        plan: what was evaluated.
        recordings: on what.
        data: its features.
        results: of all folds.
        folder: where the report is written.

    Returns:
        The content of the JSON.
    """
    variants = {
        HONEST: [result for result in results if not result.facts.selects_on_test],
        HABIT: [result for result in results if result.facts.selects_on_test],
    }
    honest = variants[HONEST]
    document: Document = {
        "protocol": plan.protocol.value,
        "network": plan.network,
        "drop": sorted(plan.drop),
        "seeds": plan.seeds,
        "chosen_by": validation_of(plan).value,
        "epochs": max(result.facts.epochs for result in results),
        "labels": honest[0].facts.labels,
        "clips": len(data.examples),
        "speakers": sorted({example.speaker for example in data.examples}),
        "left_out": list(data.left_out),
        "fingerprint": fingerprint(recordings, data.examples),
        "results": {name: closed_set(some) for name, some in variants.items() if some},
        "folds": [_fold(result) for result in results],
    }
    if plan.protocol is Protocol.OPEN_SET:
        document["open_set"] = open_set(honest)
    folder.mkdir(parents=True, exist_ok=True)
    _draw(plan, honest, document, folder)
    (folder / JSON).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(document), encoding="utf-8")
    return document


def _fold(result: FoldResult) -> Document:
    facts = result.facts
    return {
        "test_clips": len(result.parts[Part.TEST].paths),
        "accuracy": float(right([result]).mean()),
        **facts.model_dump(exclude={"labels"}),
    }


def _draw(plan: EvaluationPlan, honest: Sequence[FoldResult], document: Document, folder: Path) -> None:
    metrics = document["results"][HONEST]
    is_right, confidences = right(honest), pooled(honest, Part.TEST, TOP)
    matrix = metrics["all"]["pooled"]["confusion_matrix"]
    plot_confusion_matrix(matrix, document["labels"], folder / "confusion_matrix.png")
    plot_reliability(Reliability.of(confidences, is_right), folder / "reliability.png")
    curves = {"known emotions": RiskCoverage.of(confidences, is_right)}
    if plan.protocol is Protocol.OPEN_SET:
        unknown = pooled(honest, Part.UNKNOWN, TOP)
        curves["with unknown ones, all wrong"] = RiskCoverage.of(
            [*confidences, *unknown], [*is_right, *([False] * len(unknown))]
        )
    plot_risk_coverage(curves, folder / "risk_coverage.png")
    bars = {name: part["folds"]["recall"] for name, part in metrics.items()}
    plot_class_bars(bars, document["labels"], folder / "class_recall.png")


def markdown(document: Document) -> str:
    """The report for people, from the content of the JSON."""
    drop = " and ".join(document["drop"])
    lines = [
        f"# {document['network']}, protocol `{document['protocol']}`" + (f", without {drop}" if drop else ""),
        "",
        HELD_OUT[Protocol(document["protocol"])].format(drop=drop)
        + " "
        + CHOSEN_BY[Validation(document["chosen_by"])],
        "",
        f"{document['clips']} clips of {len(document['speakers'])} speakers, {len(document['folds'])} "
        f"trainings of at most {document['epochs']} epochs, {document['seeds']} seed(s); "
        f"data `{document['fingerprint']}`.",
    ]
    if len(document["results"]) > 1:
        lines += ["", *_side_by_side(document["results"])]
    for name, metrics in document["results"].items():
        epoch = f", epoch {name}" if Validation(document["chosen_by"]) is Validation.HELD_OUT else ""
        lines += ["", f"## Known emotions{epoch}", "", *_closed(metrics, document["labels"])]
    if "open_set" in document:
        lines += ["", "## Unknown emotions and sounds without a voice", "", *_open(document["open_set"])]
    lines += ["", "## Folds", "", *_folds(document["folds"]), ""]
    pictures = "confusion_matrix", "reliability", "risk_coverage", "class_recall"
    lines += [f"![{picture.replace('_', ' ').capitalize()}]({picture}.png)" for picture in pictures]
    return "\n".join(lines) + "\n"


def _side_by_side(results: Document) -> list[str]:
    parts = [metrics["all"] for metrics in results.values()]
    rows = [
        ["accuracy, pooled", *(number(part["pooled"]["accuracy"]) for part in parts)],
        ["accuracy, mean ± sd over seeds", *(_mean(part["folds"]["accuracy"]) for part in parts)],
        ["UAR, pooled", *(number(part["pooled"]["uar"]) for part in parts)],
    ]
    return table(["", *(f"epoch {name}" for name in results)], rows)


def _closed(metrics: Document, labels: Sequence[str]) -> list[str]:
    parts, pooled_ = list(metrics), [metrics[name]["pooled"] for name in metrics]
    folds = [metrics[name]["folds"] for name in metrics]
    rows = [
        ["clips", *(str(metrics[name]["clips"]) for name in parts)],
        ["accuracy, pooled", *(number(one["accuracy"]) for one in pooled_)],
        ["accuracy, mean ± sd over folds", *(_mean(one["accuracy"]) for one in folds)],
        ["UAR, pooled", *(number(one["uar"]) for one in pooled_)],
        ["UAR, mean ± sd over folds", *(_mean(one["uar"]) for one in folds)],
        ["heard as no voice", *(number(one["no_voice"]) for one in pooled_)],
        ["F1 weighted / macro", *(f"{one['f1_weighted']:.3f} / {one['f1_macro']:.3f}" for one in pooled_)],
        ["F2 weighted / macro", *(f"{one['f2_weighted']:.3f} / {one['f2_macro']:.3f}" for one in pooled_)],
        ["precision weighted", *(number(one["precision_weighted"]) for one in pooled_)],
        ["ECE (15 bins) / without temperature",
         *(f"{one['ece']:.3f} / {one['ece_uncalibrated']:.3f}" for one in pooled_)],
        ["AURC", *(number(one["aurc"]) for one in pooled_)],
        ["coverage at 5 % / 10 % risk",
         *(f"{one['coverage_at_5%_risk']:.3f} / {one['coverage_at_10%_risk']:.3f}" for one in pooled_)],
        ["accuracy of the surest half / 65 %",
         *(f"{one['accuracy_of_surest_half']:.3f} / {one['accuracy_of_surest_65%']:.3f}" for one in pooled_)],
        *([f"recall of {label}, mean [95 %] over folds", *(interval(one["recall"][label]) for one in folds)]
          for label in labels),
    ]  # fmt: skip
    return table(["", *parts], rows)


def _open(metrics: Document) -> list[str]:
    scores = metrics["scores"]
    emotions = list(scores[TOP]["by_emotion"])
    kinds = list(scores[TOP]["by_kind"])
    rows = [
        ["AUROC, pooled", *(_of(one["unknown"], "auroc") for one in scores.values())],
        ["AUROC, mean ± sd over folds", *(_mean(one["unknown_folds"]["auroc"]) for one in scores.values())],
        ["FPR at 95 % TPR", *(_of(one["unknown"], "fpr95") for one in scores.values())],
        *([f"AUROC of {name}", *(_of(one["by_emotion"][name], "auroc") for one in scores.values())]
          for name in emotions),
        ["AUROC of non-speech", *(_of(one["non_speech"], "auroc") for one in scores.values())],
        *([f"AUROC of {kind}", *(_of(one["by_kind"][kind], "auroc") for one in scores.values())]
          for kind in kinds),
        *([f"{what}, {title}", *(number(one["risk_coverage"][name][key]) for one in scores.values())]
          for name, title in (("known", "known only"), ("known_and_unknown", "unknown counted as wrong"))
          for key, what in (("aurc", "AURC"), ("coverage_at_5%_risk", "coverage at 5 % risk"),
                            ("coverage_at_10%_risk", "coverage at 10 % risk"))),
    ]  # fmt: skip
    thresholds = [
        [rule["rule"], rule["score"], rule["set_on"], " ".join(rule["judged_on"]), _mean(rule["value"]),
         f"{rule['reached_in']} of {rule['folds']}", number(rule["coverage"]),
         number(rule["accepted_accuracy"]), number(rule["unknown_let_through"]),
         number(rule["non_speech_let_through"])]
        for rule in metrics["thresholds"]
    ]  # fmt: skip
    header = ["rule", "score", "set on", "judged on", "threshold", "reached", "coverage of known",
              "accuracy of accepted known", "unknown let through", "non-speech let through"]  # fmt: skip
    notes = [
        "",
        "Thresholds, each fold's own. Reached: in how many folds the rule gave its threshold as it is; in "
        "the others `risk` found none with 10 % wrong among the accepted and took the lowest risk at a "
        "coverage of 0.2 or more, and `seed` ran into its bounds of 0.60 and 0.85.",
        "",
    ]
    return [*table(["", *scores], rows), *notes, *table(header, thresholds)]


def _folds(folds: Sequence[Document]) -> list[str]:
    rows = [
        [fold["name"], str(fold["train_clips"]), str(fold["test_clips"]), number(fold["train_accuracy"]),
         number(fold["accuracy"]), f"{fold['best_epoch']} of {fold['epochs']}", f"{fold['temperature']:.2f}"]
        for fold in folds
    ]  # fmt: skip
    header = ["fold", "clips to fit", "to test", "train accuracy", "accuracy", "epoch", "temperature"]
    return table(header, rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def number(value: float | None) -> str:
    """A number with three digits; a dash for None."""
    return "–" if value is None else f"{value:.3f}"


def _of(metrics: Document | None, name: str) -> str:
    return number(None if metrics is None else metrics[name])


def _mean(values: Document | None) -> str:
    if values is None:
        return "–"
    return f"{values['mean']:.3f}" + ("" if values["sd"] is None else f" ± {values['sd']:.3f}")


def interval(values: Document | None) -> str:
    """A mean with its 95 % interval, if there are several values."""
    if values is None:
        return "–"
    interval = "" if values["sd"] is None else f" [{max(0, values['low']):.3f}, {min(1, values['high']):.3f}]"
    return f"{values['mean']:.3f}{interval}"
