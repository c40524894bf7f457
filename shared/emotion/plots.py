"""The pictures beside a version: confusion matrix and training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

INK = "#1f4e79"
WARM = "#c8553d"


def plot_confusion_matrix(matrix: Sequence[Sequence[int]], labels: Sequence[str], file: Path) -> None:
    """Counts in the cells, shades by the share of the true class."""
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
    """Accuracy and loss of each epoch on both sides; best_epoch, counted from 1, is marked."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("accuracy", "loss"), strict=True):
        epochs = range(1, len(history[name]) + 1)
        axes.plot(epochs, history[name], color=INK, label="training (augmented, with dropout)")
        axes.plot(epochs, history[f"val_{name}"], color=WARM, label="test")
        axes.axvline(best_epoch, color="grey", linestyle=":", label=f"weights of epoch {best_epoch}")
        axes.set_xlabel("epoch")
        axes.set_title(name)
    panels[0].legend(frameon=False, loc="lower right")
    figure.savefig(file, dpi=110)
