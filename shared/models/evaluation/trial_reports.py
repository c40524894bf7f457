"""The reports of the protocols `conditions` and `corpus`: JSON, Markdown and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.audio.conditions import Condition
from shared.core.states import Outcome
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Dataset, Example, fingerprint
from shared.models.evaluation.corpus_trials import CorpusTrial
from shared.models.evaluation.plan import Protocol
from shared.models.evaluation.predictions import Predictions
from shared.models.evaluation.reports import JSON, MARKDOWN
from shared.models.evaluation.served_trials import TestClips
from shared.models.evaluation.summary import Document, share
from shared.models.evaluation.trial_markdown import MEANS, PICTURE, markdown
from shared.models.metrics.plots import plot_trials
from shared.models.serving.manifest import Manifest


def conditions_report(
    manifest: Manifest,
    clips: TestClips,
    answers: Mapping[Condition, Predictions],
    missing: Sequence[Condition],
    sounds: Mapping[str, Predictions],
    seed: int,
) -> Document:
    """The content of report.json for `conditions`.

    Args:
        manifest: of the version.
        clips: that were tested.
        answers: by condition.
        missing: conditions that this installation cannot compute.
        sounds: the answers to sounds without a voice, by kind.
        seed: of the random numbers.
    """
    found = {
        condition.name: {"text": condition.text, "is_harsh": condition.is_harsh, **predictions.metrics()}
        for condition, predictions in answers.items()
    }
    harsh = [metrics for metrics in found.values() if metrics["is_harsh"]]
    rights = {
        name: metrics["right_of_accepted"]
        for name, metrics in found.items()
        if metrics["right_of_accepted"] is not None
    }
    return {
        **_about(manifest, Protocol.CONDITIONS),
        "seed": seed,
        **_clips(clips.examples),
        "fingerprint": clips.fingerprint,
        "failed": sorted({path for predictions in answers.values() for path in _failed(predictions)}),
        "missing": [condition.name for condition in missing],
        "conditions": found,
        "harsh": [name for name, metrics in found.items() if metrics["is_harsh"]],
        "harsh_mean": {
            key: float(np.mean([metrics[key] for metrics in harsh if metrics[key] is not None]))
            for key in MEANS
            if any(metrics[key] is not None for metrics in harsh)
        },
        "most_no_voice": max(found, key=lambda name: found[name]["no_voice"]),
        "worst": min(rights, key=lambda name: rights[name]) if rights else None,
        "sounds": {
            kind: {
                "clips": len(predictions.paths),
                "no_voice": share(predictions.outcomes == Outcome.NO_VOICE),
                "accepted": predictions.metrics()["accepted"],
            }
            for kind, predictions in sounds.items()
        },
        "no_voice_of_sounds": _share_of_sounds(sounds),
    }


def corpora_report(
    manifest: Manifest, answers: Mapping[str, tuple[Dataset, TestClips, Predictions]], seed: int
) -> Document:
    """The content of report.json for `corpus` and a version.

    Args:
        manifest: of the version.
        answers: by corpus, with its recordings and the clips that were tested.
        seed: of the random numbers.
    """
    found = {}
    for name, (dataset, clips, predictions) in answers.items():
        shared = sorted(set(predictions.emotions.tolist()))
        found[name] = {
            "labels": shared,
            "aside": sum(example.emotion not in manifest.labels for example in dataset.examples),
            "licence": dataset.licence,
            **_clips(clips.examples),
            "fingerprint": clips.fingerprint,
            "failed": _failed(predictions),
            **{key: value for key, value in predictions.metrics(shared).items() if key != "failed"},
        }
    return {**_about(manifest, Protocol.CORPUS), "seed": seed, "corpora": found}


def corpus_trials_report(
    corpora: dict[str, Dataset],
    trials: Sequence[CorpusTrial],
    left_out: Sequence[str],
    network: str,
    epochs: int | None,
    seed: int,
) -> Document:
    """The content of report.json for `corpus` and a network that was trained without each corpus in turn.

    Args:
        corpora: by name.
        trials: their results.
        left_out: sentences about recordings that could not be used.
        network: its name.
        epochs: at most; None: the network's own number.
        seed: of splits and weights.
    """
    joined = JoinedCorpora(corpora)
    return {
        "protocol": Protocol.CORPUS.value,
        "network": network,
        "version": None,
        "drop": [],
        "epochs": epochs,
        "seed": seed,
        "fingerprint": fingerprint(joined, joined.examples),
        "left_out": list(left_out),
        "corpora": {
            one.corpus: {
                "labels": one.shared,
                "taught": one.labels,
                "aside": one.other_clips,
                "train_clips": one.train_clips,
                "threshold": None
                if np.isnan(one.predictions.threshold)
                else float(one.predictions.threshold),
                "speakers": len({example.speaker for example in corpora[one.corpus].examples}),
                **one.predictions.metrics(one.shared),
            }
            for one in trials
        },
    }


def write(document: Document, folder: Path) -> None:
    """Write report.json, report.md and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = document["conditions" if "conditions" in document else "corpora"]
    plot_trials({metrics.get("text", name): metrics for name, metrics in rows.items()}, folder / PICTURE)
    (folder / JSON).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(document), encoding="utf-8")


def _about(manifest: Manifest, protocol: Protocol) -> Document:
    return {
        "protocol": protocol.value,
        "network": manifest.network,
        "version": manifest.version,
        "drop": manifest.unknown_labels,
        "labels": manifest.labels,
        "threshold": manifest.threshold,
        "model_sha256": manifest.files,
    }


def _clips(examples: Sequence[Example]) -> Document:
    return {"clips": len(examples), "speakers": sorted({example.speaker for example in examples})}


def _failed(predictions: Predictions) -> list[str]:
    return [str(path) for path in predictions.paths[predictions.outcomes == Outcome.FAILED]]


def _share_of_sounds(sounds: Mapping[str, Predictions]) -> float | None:
    outcomes = [predictions.outcomes == Outcome.NO_VOICE for predictions in sounds.values()]
    return share(np.concatenate(outcomes)) if outcomes else None
