"""The pictures beside a version and in the report of a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from shared.models.metrics.calibration import Reliability
from shared.models.serving.rejection import RiskCoverage

INK = "#1f4e79"
WARM = "#c8553d"
SOFT = "#8fb8a8"


def plot_confusion_matrix(matrix: Sequence[Sequence[int]], labels: Sequence[str], file: Path) -> None:
    """Plot a confusion matrix: counts in the cells, shades by the share of the true class.

    Args:
        matrix: rows true, columns predicted.
        labels: in the order of the rows.
        file: where the picture is written.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Test clips")
    figure.savefig(file, dpi=110)


def plot_training_curves(history: Mapping[str, Sequence[float]], best_epoch: int, file: Path) -> None:
    """Plot accuracy and loss by epoch, as far as they are known.

    Args:
        history: values by epoch; those that begin with `val_` are of the validation.
        best_epoch: counted from 1; it is marked.
        file: where the picture is written.
    """
    names = [name for name in ("accuracy", "loss") if name in history]
    figure = Figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        epochs = range(1, len(history[name]) + 1)
        axes.plot(epochs, history[name], color=INK, label="training (augmented, with dropout)")
        if f"val_{name}" in history:
            axes.plot(epochs, history[f"val_{name}"], color=WARM, label="test")
        axes.axvline(best_epoch, color="grey", linestyle=":", label=f"weights of epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_title(name)
    panels[0].legend(frameon=False, loc="lower right" if names[0] == "accuracy" else "upper right")
    figure.savefig(file, dpi=110)


def plot_reliability(reliability: Reliability, file: Path) -> None:
    """Plot accuracy against confidence in each bin that has clips, and how many they are."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    has_clips = reliability.counts > 0
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as it should be")
    axes.plot(reliability.confidence[has_clips], reliability.accuracy[has_clips], "o-", color=INK)
    axes.set_ylabel("share of right answers")
    axes.set_ylim(0, 1)
    axes.set_title(f"Test clips, calibration error {reliability.error:.3f}")
    axes.legend(frameon=False)
    bins = len(reliability.counts)
    below.bar((np.arange(bins) + 0.5) / bins, reliability.counts, width=0.9 / bins, color=INK)
    below.set_xlabel("confidence")
    below.set_ylabel("clips")
    below.set_xlim(0, 1)
    figure.savefig(file, dpi=110)


def plot_risk_coverage(curves: Mapping[str, RiskCoverage], file: Path) -> None:
    """Plot the share of wrong answers among those given, against how many are given.

    Args:
        curves: at most two, by name.
        file: where the picture is written.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for colour, (name, curve) in zip((INK, WARM), curves.items(), strict=False):
        axes.plot(curve.coverage, curve.risk, color=colour, label=f"{name}: AURC {curve.area:.3f}")
    for risk in (0.05, 0.10):
        axes.axhline(risk, color="grey", linestyle=":")
    axes.set_xlabel("coverage: share of clips that are answered")
    axes.set_ylabel("risk: share of wrong answers")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(file, dpi=110)


def plot_class_bars(parts: Mapping[str, Mapping[str, Any]], labels: Sequence[str], file: Path) -> None:
    """Plot the recall of each class, mean and standard deviation over folds.

    Args:
        parts: recalls by class for all clips, speech and song.
        labels: in the order of the bars.
        file: where the picture is written.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(parts)
    for place, ((name, recalls), colour) in enumerate(zip(parts.items(), (INK, WARM, SOFT), strict=False)):
        found = [(x, recalls[label]) for x, label in enumerate(labels) if recalls[label] is not None]
        axes.bar(
            [x + (place - (len(parts) - 1) / 2) * width for x, _ in found],
            [recall["mean"] for _, recall in found],
            yerr=[recall["sd"] or 0 for _, recall in found],
            width=width,
            color=colour,
            ecolor="grey",
            label=name,
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("recall")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, ncols=len(parts), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(file, dpi=110)


def plot_trials(rows: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Plot accuracy and accepted share of each condition or corpus as bars, and how much of that was right.

    Args:
        rows: metrics by condition or corpus.
        file: where the picture is written.
    """
    height = 0.36
    figure = Figure(figsize=(8, 1.4 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))[::-1]
    for key, label, shift, colour in (
        ("accuracy", "right, of all", height / 2, INK),
        ("accepted_share", "accepted, of all", -height / 2, SOFT),
    ):
        values = [row[key] or 0.0 for row in rows.values()]
        axes.barh(places + shift, values, height=height, color=colour, label=label)
    marks = [
        (place, row["right_of_accepted"])
        for place, row in zip(places, rows.values(), strict=True)
        if row["right_of_accepted"] is not None
    ]
    axes.plot(
        [right for _, right in marks],
        [place for place, _ in marks],
        "D",
        color=WARM,
        label="right, of the accepted",
    )
    axes.set_yticks(places, list(rows))
    axes.set_xlim(0, 1.02)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("share of clips")
    axes.axvline(0.9, color="grey", linestyle=":")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.35, 1.0))
    figure.savefig(file, dpi=110)
