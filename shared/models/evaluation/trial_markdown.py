"""The reports of the protocols `conditions` and `corpus` in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from shared.models.evaluation.reports import number, table
from shared.models.evaluation.served_trials import SOUND_S
from shared.models.evaluation.summary import Document

PICTURE = "trials.png"
MEANS = "accuracy", "accepted_share", "no_voice", "ece"
HEADER = ["clips", "right", "accepted", "right of the accepted", "no voice heard", "ECE"]
EXPLAINED = (
    "Right: of all clips, those in which no voice is heard counted as wrong. Accepted: at the threshold of "
    "{limit}. ECE: 15 bins, of those clips that have an answer."
)


def markdown(document: Document) -> str:
    """The report for people, from the content of the JSON."""
    lines = _conditions(document) if "conditions" in document else _corpora(document)
    return "\n".join([*lines, "", f"![The figures as bars]({PICTURE})"]) + "\n"


def _conditions(document: Document) -> Iterator[str]:
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
        [metrics["text"] + (" *" if metrics["is_harsh"] else ""), *_row(metrics)]
        for metrics in found.values()
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
        [kind, str(metrics["clips"]), number(metrics["no_voice"]), str(metrics["accepted"])]
        for kind, metrics in document["sounds"].items()
    ]
    kinds.append(["**all**", "", number(document["no_voice_of_sounds"]), ""])
    yield from table([f"{SOUND_S:g} s each", "clips", "no voice heard", "accepted as an emotion"], kinds)


def _corpora(document: Document) -> Iterator[str]:
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
        [name, ", ".join(metrics["labels"]), *_row(metrics), number(metrics["accuracy_among_shared"]),
         str(metrics["aside"])]
        for name, metrics in found.items()
    ]  # fmt: skip
    yield from table(columns, rows)
    yield ""
    yield "Recall of each emotion:"
    yield ""
    labels = sorted({label for metrics in found.values() for label in metrics["recall"]})
    yield from table(
        ["corpus", *labels],
        [
            [name, *(number(metrics["recall"].get(label)) for label in labels)]
            for name, metrics in found.items()
        ],
    )


def _row(metrics: Document) -> list[str]:
    accepted = (
        "–" if metrics["accepted"] is None else f"{metrics['accepted']} ({metrics['accepted_share']:.0%})"
    )
    return [
        str(metrics["clips"]),
        number(metrics["accuracy"]),
        accepted,
        number(metrics["right_of_accepted"]),
        number(metrics["no_voice"]),
        number(metrics["ece"]),
    ]
