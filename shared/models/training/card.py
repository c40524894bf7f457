"""The card of a version: a README beside its files, for those who find only the folder."""

from __future__ import annotations

from shared.models.serving.manifest import Manifest

FEW_SPEAKERS = 40  # to be named one by one; RAVDESS has 24

CARD = """\
# {version}

A network that hears one of {n_labels} emotions ({labels}) in speech or song, or refuses to answer.
{dropped}

| | |
|---|---|
| input | {covered} {seconds:g} s at {khz:g} kHz, mono, as features `{spec}` {shape} |
| network | `{network}` |
| whether there is a voice | {voice} |
| threshold | {threshold:.2f}: {rule} |
| trained | {created:%Y-%m-%d}, commit {commit}, seed {seed} |
| data | {training_clips} clips to train, {test_clips} to test, {unknown_clips} of unknown emotions for \
the threshold; fingerprint `{fingerprint}` |
| speakers | in training: {training}; who judge: {test}; kept out of everything: {reserve} |

## Figures

On {judged}:

| train accuracy | accuracy | F1 (weighted, macro) | F2 (weighted, macro) | precision | recall |
|---|---|---|---|---|---|
| {train_accuracy:.4f} | {accuracy:.4f} | {f1_weighted:.4f}, {f1_macro:.4f} | {f2_weighted:.4f}, \
{f2_macro:.4f} | {precision_weighted:.4f} | {recall_weighted:.4f} |

| emotion | class accuracy{weight} |
|---|---{line}|
{classes}

The threshold rejects {rejected:.1%} of these clips{unknown_rejected}.{calibration}

**What these figures do not show.**
{caveats}

What the network is worth under each protocol of `voxmood evaluate` stands in voxmood's `docs/reports`.

![Confusion matrix](confusion_matrix.png)
![Reliability](reliability.png)
![Risk and coverage](risk_coverage.png)
![Training curves](training_curves.png)

## Use

`voxmood classify FILE --model {version}`. The files: `model.keras` (the network), `model.onnx` (the same
for ONNX Runtime), `probe.npz` (what it answers to a few inputs: it is asked again whenever it is loaded),
`labels.json` (its outputs in order), `manifest.json` (everything about it, and the SHA-256 of each file),
`class_weights.json`, and `labels.pkl`, a scikit-learn LabelEncoder for programs that expect one; voxmood
never opens it.

Emotions acted by a few speakers are not the emotions of people at large. Do not decide about people by this.
The EU AI Act, Art. 5(1)(f), forbids inferring emotions at work and in education.

## Licence

Of the weights, because of the recordings they were trained on: {licence}. Recordings: {credit}.
"""


def card(manifest: Manifest) -> str:
    """The card of a version in Markdown."""
    metrics, spec = manifest.metrics, manifest.feature_spec
    unknown = " and ".join(manifest.unknown_labels)
    dropped = f"Recordings of {unknown} were left out of its training: they are its unknowns."
    unknown_rejected = (
        "" if metrics.unknown_rejected is None else f", and {metrics.unknown_rejected:.1%} of {unknown}"
    )
    weights = {label: f" | {weight:.3f}" for label, weight in manifest.class_weights.items()}
    classes = (
        f"| {label} | {metrics.class_accuracy[label]:.4f}{weights.get(label, '')} |"
        for label in manifest.labels
    )
    return CARD.format(
        **metrics.model_dump(exclude={"unknown_rejected", "ece"}),
        **manifest.data.model_dump(),
        version=manifest.version,
        n_labels=len(manifest.labels),
        labels=", ".join(manifest.labels),
        dropped=dropped if unknown else "",
        judged=manifest.judged,
        covered="the first" if spec.covers == "start" else "all of it, in windows of",
        seconds=spec.seconds,
        khz=spec.sampling_rate / 1000,
        spec=spec.name,
        shape=" × ".join(map(str, spec.shape)) + (" numbers" if len(spec.shape) == 1 else ""),
        network=manifest.network,
        voice=_voice(manifest),
        threshold=manifest.threshold,
        rule=manifest.threshold_rule.text,
        created=manifest.created,
        commit=manifest.commit or "unknown",
        seed=manifest.seed,
        training=_some(manifest.speakers.training),
        test="the same"
        if manifest.speakers.test == manifest.speakers.training
        else _some(manifest.speakers.test),
        weight=" | class weight" if weights else "",
        line="|---" if weights else "",
        calibration=""
        if metrics.ece is None
        else f" Their confidence is off by {metrics.ece:.3f} (ECE, 15 bins).",
        reserve=", ".join(manifest.speakers.reserve) or "none",
        classes="\n".join(classes),
        unknown_rejected=unknown_rejected,
        caveats="\n".join(f"- {caveat}" for caveat in manifest.caveats),
    )


def _voice(manifest: Manifest) -> str:
    if manifest.voice_detector is not None:
        return f"`{manifest.voice_detector.name}` says it"
    return "the network says it" if manifest.hears_no_voice else "nobody says it, but of digital silence"


def _some(speakers: list[str]) -> str:
    """The names of a few speakers, else how many there are."""
    return ", ".join(speakers) if len(speakers) <= FEW_SPEAKERS else f"{len(speakers)} speakers"
