"""How good a network is: the metrics of the baseline, as values and as its SUMMARY."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    fbeta_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from shared.models.serving.manifest import Manifest

Indices = NDArray[np.int64]
Values = NDArray[np.float64]

TPR = 0.95


def scores(truth: Indices, predicted: Indices, labels: Sequence[str]) -> dict[str, object]:
    """The fields of `Metrics` that follow from classes.

    Args:
        truth: the true classes, indices of the labels, shape (n,).
        predicted: the predicted classes, shape (n,).
        labels: their names.
    """
    matrix = confusion_matrix(truth, predicted, labels=range(len(labels)))
    of_class = matrix.diagonal() / np.maximum(matrix.sum(axis=1), 1)
    metrics: dict[str, object] = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "class_accuracy": dict(zip(labels, of_class.tolist(), strict=True)),
        "confusion_matrix": matrix.tolist(),
    }
    for average in ("weighted", "macro"):
        # Of the classes that are there: an answer that is none of them is wrong, and no class of its own.
        common = {"average": average, "zero_division": 0, "labels": np.unique(truth)}
        metrics[f"f1_{average}"] = float(f1_score(truth, predicted, **common))
        metrics[f"f2_{average}"] = float(fbeta_score(truth, predicted, beta=2, **common))
        metrics[f"precision_{average}"] = float(precision_score(truth, predicted, **common))
        metrics[f"recall_{average}"] = float(recall_score(truth, predicted, **common))
    return metrics


def average_recall(truth: Indices, predicted: Indices) -> float:
    """UAR: the mean recall over the classes that `truth` has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's, of a class that is only predicted
        return float(balanced_accuracy_score(truth, predicted))


def detection(known: Values, unknown: Values) -> dict[str, float] | None:
    """How well a score separates known clips from unknown ones.

    Args:
        known: the scores of known clips, shape (n,); higher means known.
        unknown: the scores of unknown clips, shape (m,).

    Returns:
        auroc: how often a known clip scores higher than an unknown one. fpr95: the share of unknown clips
        that pass where 95 % of the known ones do. None where either side is empty.
    """
    if not (len(known) and len(unknown)):
        return None
    is_known = np.repeat([1, 0], [len(known), len(unknown)])
    scores = np.concatenate([known, unknown])
    let_through, passed, _ = roc_curve(is_known, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(is_known, scores)),
        "fpr95": float(let_through[np.argmax(passed >= TPR)]),
    }


def summary(manifest: Manifest) -> str:
    """The SUMMARY with which a training of the baseline ends."""
    metrics, labels = manifest.metrics, manifest.labels
    width = max(map(len, labels))
    lines = [
        "=" * 70,
        f"SUMMARY  {manifest.version}",
        "=" * 70,
        f"Train accuracy:       {metrics.train_accuracy:.4f}",
        f"Test accuracy:        {metrics.accuracy:.4f}",
        f"F1 score (weighted):  {metrics.f1_weighted:.4f}    (macro): {metrics.f1_macro:.4f}",
        f"F2 score (weighted):  {metrics.f2_weighted:.4f}    (macro): {metrics.f2_macro:.4f}",
        f"Precision (weighted): {metrics.precision_weighted:.4f}    (macro): {metrics.precision_macro:.4f}",
        f"Recall (weighted):    {metrics.recall_weighted:.4f}    (macro): {metrics.recall_macro:.4f}",
        f"Epochs:               {metrics.epochs}, the best was {metrics.best_epoch}",
        f"Threshold:            {manifest.threshold:.2f} ({manifest.threshold_rule.text})",
        f"Rejected:             {metrics.rejected:.1%} of the test clips" + _unknowns(manifest),
        f"Tested on:            {manifest.judged}",
        "",
        "Class accuracy:",
        *(f"  {label:{width}}  {metrics.class_accuracy[label]:.4f}" for label in labels),
        "",
        "Confusion matrix (rows: true, columns: predicted):",
        *_matrix(metrics.confusion_matrix, labels),
        "",
        "Classification report:",
        _report(metrics.confusion_matrix, labels),
        *(f"Note: {caveat}" for caveat in manifest.caveats),
    ]
    return "\n".join(lines)


def _unknowns(manifest: Manifest) -> str:
    share = manifest.metrics.unknown_rejected
    return "" if share is None else f", {share:.1%} of {' and '.join(manifest.unknown_labels)}"


def _matrix(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> list[str]:
    width = max(map(len, labels)) + 2
    header = " " * width + "".join(f"{label:>{width}}" for label in labels)
    rows = (
        f"{label:<{width}}" + "".join(f"{count:>{width}}" for count in row)
        for label, row in zip(labels, matrix, strict=True)
    )
    return [header, *rows]


def _report(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> str:
    """The report of scikit-learn, from the classes that the matrix counts."""
    counts = np.asarray(matrix)
    truth, predicted = (
        np.repeat(side, counts.ravel()) for side in (i.ravel() for i in np.indices(counts.shape))
    )
    names = {"labels": range(len(labels)), "target_names": list(labels)}
    return str(classification_report(truth, predicted, digits=4, zero_division=0, **names))
