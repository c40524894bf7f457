"""The reports of the protocols `conditions` and `corpus`: JSON, Markdown and a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.audio.conditions import Condition
from shared.core.states import Outcome
from shared.models.data.corpora import JoinedCorpora
from shared.models.data.datasets import Dataset, Example, fingerprint
from shared.models.evaluation.corpus_trials import CorpusTrial
from shared.models.evaluation.plan import Protocol
from shared.models.evaluation.predictions import Predictions
from shared.models.evaluation.reports import JSON, MARKDOWN, number, table
from shared.models.evaluation.served_trials import SOUND_S, JudgingClips
from shared.models.evaluation.summary import Figures, share
from shared.models.metrics.plots import plot_trials
from shared.models.serving.manifest import Manifest

PICTURE = "trials.png"
MEANS = "accuracy", "accepted_share", "no_voice", "ece"
HEADER = ["clips", "right", "accepted", "right of the accepted", "no voice heard", "ECE"]
EXPLAINED = (
    "Right: of all clips, those in which no voice is heard counted as wrong. Accepted: at the threshold of "
    "{limit}. ECE: 15 bins, of those clips that have an answer."
)


def conditions_report(
    manifest: Manifest,
    those: JudgingClips,
    heard: Mapping[Condition, Predictions],
    missing: Sequence[Condition],
    without_voice: Mapping[str, Predictions],
    seed: int,
) -> Figures:
    """The document of `conditions`. missing: conditions that this installation cannot make."""
    found = {
        condition.name: {"text": condition.text, "is_harsh": condition.is_harsh, **replies.figures()}
        for condition, replies in heard.items()
    }
    harsh = [figures for figures in found.values() if figures["is_harsh"]]
    rights = {
        name: figures["right_of_accepted"]
        for name, figures in found.items()
        if figures["right_of_accepted"] is not None
    }
    return {
        **_about(manifest, Protocol.CONDITIONS),
        "seed": seed,
        **_clips(those.examples),
        "fingerprint": those.fingerprint,
        "failed": sorted({path for replies in heard.values() for path in _failed(replies)}),
        "missing": [condition.name for condition in missing],
        "conditions": found,
        "harsh": [name for name, figures in found.items() if figures["is_harsh"]],
        "harsh_mean": {
            key: float(np.mean([figures[key] for figures in harsh if figures[key] is not None]))
            for key in MEANS
            if any(figures[key] is not None for figures in harsh)
        },
        "most_no_voice": max(found, key=lambda name: found[name]["no_voice"]),
        "worst": min(rights, key=lambda name: rights[name]) if rights else None,
        "sounds": {
            kind: {
                "clips": len(replies.paths),
                "no_voice": share(replies.outcomes == Outcome.NO_VOICE),
                "accepted": replies.figures()["accepted"],
            }
            for kind, replies in without_voice.items()
        },
        "no_voice_of_sounds": _share_of_sounds(without_voice),
    }


def corpora_report(
    manifest: Manifest, heard: Mapping[str, tuple[Dataset, JudgingClips, Predictions]], seed: int
) -> Figures:
    """The document of `corpus` for a version that ships."""
    found = {}
    for name, (dataset, those, replies) in heard.items():
        shared = sorted(set(replies.emotions.tolist()))
        found[name] = {
            "labels": shared,
            "aside": sum(example.emotion not in manifest.labels for example in dataset.examples),
            "licence": dataset.licence,
            **_clips(those.examples),
            "fingerprint": those.fingerprint,
            "failed": _failed(replies),
            **{key: value for key, value in replies.figures(shared).items() if key != "failed"},
        }
    return {**_about(manifest, Protocol.CORPUS), "seed": seed, "corpora": found}


def corpus_trials_report(
    corpora: dict[str, Dataset],
    crossed: Sequence[CorpusTrial],
    left_out: Sequence[str],
    network: str,
    epochs: int | None,
    seed: int,
) -> Figures:
    """The document of `corpus` for a network that was trained without each corpus in turn."""
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
                "aside": one.aside,
                "train_clips": one.train_clips,
                "threshold": None if np.isnan(one.replies.threshold) else float(one.replies.threshold),
                "speakers": len({example.speaker for example in corpora[one.corpus].examples}),
                **one.replies.figures(one.shared),
            }
            for one in crossed
        },
    }


def write(document: Figures, folder: Path) -> None:
    """report.json, report.md and the picture."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = document["conditions" if "conditions" in document else "corpora"]
    plot_trials({figures.get("text", name): figures for name, figures in rows.items()}, folder / PICTURE)
    (folder / JSON).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text(markdown(document), encoding="utf-8")


def markdown(document: Figures) -> str:
    """The report for people."""
    lines = _conditions(document) if "conditions" in document else _corpora(document)
    return "\n".join([*lines, "", f"![The figures as bars]({PICTURE})"]) + "\n"


def _conditions(document: Figures) -> Iterator[str]:
    found = document["conditions"]
    yield f"# {document['version']}, protocol `{document['protocol']}`"
    yield ""
    yield (
        "The same clips of speakers that the version never heard, as they are and altered as recordings are: "
        "decoded, altered, written as a file of 16 bits, classified as when served. Noise lies so many "
        "decibels below the level of the voiced part (20 ms frames within 30 dB of the loudest twentieth); "
        "rooms are exponentially decaying noise behind the direct sound, as strong as it; silence is zeros. "
        + EXPLAINED.format(limit=f"the version, {document['threshold']:.2f}")
    )
    yield ""
    yield (
        f"{document['clips']} clips of {len(document['speakers'])} speakers "
        f"({', '.join(document['speakers'])}), seed {document['seed']}; data `{document['fingerprint']}`."
    )
    if document["missing"]:
        yield ""
        yield f"Left out, since PyAV (the extra `av`) is not installed: {', '.join(document['missing'])}."
    yield ""
    rows = [
        [figures["text"] + (" *" if figures["is_harsh"] else ""), *_row(figures)]
        for figures in found.values()
    ]
    if mean := document["harsh_mean"]:
        shares = [number(mean.get(key)) for key in MEANS]
        rows.append(["**mean of the harsh (*)**", "", shares[0], shares[1], "", shares[2], shares[3]])
    yield from table(["", *HEADER], rows)
    if document["worst"] is not None:
        worst = found[document["worst"]]
        yield ""
        yield (
            f"Of the accepted the fewest are right under *{worst['text']}*: "
            f"{number(worst['right_of_accepted'])} of {worst['accepted']}."
        )
    most = found[document["most_no_voice"]]
    if most["no_voice"]:
        yield ""
        yield f"Most often no voice is heard under *{most['text']}*: in {number(most['no_voice'])} of all."
    yield ""
    yield "## Sounds without a voice"
    yield ""
    kinds = [
        [kind, str(figures["clips"]), number(figures["no_voice"]), str(figures["accepted"])]
        for kind, figures in document["sounds"].items()
    ]
    kinds.append(["**all**", "", number(document["no_voice_of_sounds"]), ""])
    yield from table([f"{SOUND_S:g} s each", "clips", "no voice heard", "accepted as an emotion"], kinds)


def _corpora(document: Figures) -> Iterator[str]:
    found = document["corpora"]
    is_version = document["version"] is not None
    yield f"# {document['version'] or document['network']}, protocol `{document['protocol']}`"
    yield ""
    if is_version:
        yield (
            "A version judged by corpora that it never saw, by those of their emotions that it knows. Right "
            "among the shared: where the answer must be one of the emotions that the corpus has. "
            + EXPLAINED.format(limit=f"the version, {document['threshold']:.2f}")
        )
    else:
        yield (
            "All corpora but one teach, and that one judges, by the emotions that they share; the answer "
            "must be one of these. Temperature and threshold come from the corpora that teach. "
            + EXPLAINED.format(limit="each training")
        )
    yield ""
    if is_version:
        yield f"Seed {document['seed']}; data `{'`, `'.join(one['fingerprint'] for one in found.values())}`."
    else:
        taught = ", ".join(f"{one['train_clips']:,} without {name}" for name, one in found.items())
        epochs = "its own number of" if document["epochs"] is None else f"at most {document['epochs']}"
        yield (
            f"Clips that teach: {taught}; {epochs} epochs, seed {document['seed']}; "
            f"data `{document['fingerprint']}`."
        )
    yield ""
    columns = ["corpus", "emotions", *HEADER, "right among the shared", "other clips, left aside"]
    rows = [
        [name, ", ".join(figures["labels"]), *_row(figures), number(figures["accuracy_among_shared"]),
         str(figures["aside"])]
        for name, figures in found.items()
    ]  # fmt: skip
    yield from table(columns, rows)
    yield ""
    yield "Recall of each emotion:"
    yield ""
    labels = sorted({label for figures in found.values() for label in figures["recall"]})
    yield from table(
        ["corpus", *labels],
        [
            [name, *(number(figures["recall"].get(label)) for label in labels)]
            for name, figures in found.items()
        ],
    )


def _row(figures: Figures) -> list[str]:
    accepted = (
        "–" if figures["accepted"] is None else f"{figures['accepted']} ({figures['accepted_share']:.0%})"
    )
    return [
        str(figures["clips"]),
        number(figures["accuracy"]),
        accepted,
        number(figures["right_of_accepted"]),
        number(figures["no_voice"]),
        number(figures["ece"]),
    ]


def _about(manifest: Manifest, protocol: Protocol) -> Figures:
    return {
        "protocol": protocol.value,
        "network": manifest.network,
        "version": manifest.version,
        "drop": manifest.unknown_labels,
        "labels": manifest.labels,
        "threshold": manifest.threshold,
        "model_sha256": manifest.files,
    }


def _clips(examples: Sequence[Example]) -> Figures:
    return {"clips": len(examples), "speakers": sorted({example.speaker for example in examples})}


def _failed(replies: Predictions) -> list[str]:
    return [str(path) for path in replies.paths[replies.outcomes == Outcome.FAILED]]


def _share_of_sounds(without_voice: Mapping[str, Predictions]) -> float | None:
    outcomes = [replies.outcomes == Outcome.NO_VOICE for replies in without_voice.values()]
    return share(np.concatenate(outcomes)) if outcomes else None
