"""What manifest.json says of a model version. Needs no network library."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, model_validator

from shared.audio import voice_activity
from shared.audio.spec import BaselineSpec, EncodedSpec, VoiceSpec
from shared.core.settings import Runtime

MANIFEST = "manifest.json"
MODEL = "model.keras"
ONNX = "model.onnx"
PROBE = "probe.npz"
# What the metrics of a training as the seed's are of, and of all manifests that do not say it.
RANDOM_FIFTH = "the test part, a stratified fifth of the clips, drawn at random"


def _kind(value: Any) -> str:
    """Manifests from before there were two kinds of features name none."""
    return str(value.get("kind", "seed") if isinstance(value, dict) else value.kind)


AnyFeatureSpec = Annotated[
    Annotated[BaselineSpec, Tag("seed")]
    | Annotated[VoiceSpec, Tag("voice")]
    | Annotated[EncodedSpec, Tag("encoded")],
    Discriminator(_kind),
]


class ThresholdRule(BaseModel):
    """Where a threshold comes from. unclipped: what the rule gave before its bounds; curve: thresholds with
    the coverage and the risk of each, on the clips that chose.
    """

    name: str
    text: str
    unknown_clips: int
    unclipped: float | None
    curve: list[tuple[float, float, float]] = []


class Metrics(BaseModel):
    """How good a version was at the end of its training; all but train_accuracy on what `judged` says.

    confusion_matrix: rows true, columns predicted, in the order of the labels. ece: of the confidence, in 15
    bins; older manifests have none. rejected and unknown_rejected: shares of test clips and of clips of
    unknown emotions below the threshold.
    """

    train_accuracy: float
    accuracy: float
    f1_weighted: float
    f1_macro: float
    f2_weighted: float
    f2_macro: float
    precision_weighted: float
    precision_macro: float
    recall_weighted: float
    recall_macro: float
    class_accuracy: dict[str, float]
    confusion_matrix: list[list[int]]
    ece: float | None = None
    rejected: float
    unknown_rejected: float | None
    epochs: int
    best_epoch: int


class Speakers(BaseModel):
    """Who was heard in training, who in the test part, and who was kept out of all of it."""

    training: list[str]
    test: list[str]
    reserve: list[str]


class Data(BaseModel):
    """What a version has seen. fingerprint: shared.models.data.datasets.fingerprint of it."""

    fingerprint: str
    clips: int
    training_clips: int
    test_clips: int
    unknown_clips: int
    left_out: int
    licence: str
    credit: str


class DetectorRef(BaseModel):
    """A voice detector: its name, and the SHA-256 of its weights."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str


class Manifest(BaseModel):
    """All that is to be known of a model version. unknown_labels: emotions left out of training.

    hears_no_voice: the network's last output, after those of the labels, is "no voice"; temperature: what its
    logits have been divided by; voice_detector: what says whether there is a voice, in place of the network;
    base: the version that it was trained to follow, if any; files: SHA-256 of each file of the version;
    judged: on what its metrics were taken; caveats: what they do not show.
    """

    version: str
    base: str | None = None
    labels: list[str]
    unknown_labels: list[str]
    hears_no_voice: bool = False
    feature_spec: AnyFeatureSpec
    voice_detector: DetectorRef | None = None
    network: str
    temperature: float = 1.0
    threshold: float
    threshold_rule: ThresholdRule
    class_weights: dict[str, float]
    judged: str = RANDOM_FIFTH
    metrics: Metrics
    speakers: Speakers
    data: Data
    seed: int
    caveats: list[str]
    commit: str | None
    created: datetime
    files: dict[str, str]

    @model_validator(mode="after")
    def _hears_what_its_detector_hears(self) -> Self:
        own, others = self.feature_spec.sampling_rate, voice_activity.SAMPLING_RATE
        if self.voice_detector is not None and own != others:
            raise ValueError(f"its features are of {own} Hz, and voice detectors hear {others}")
        return self

    @property
    def runtimes(self) -> list[Runtime]:
        """What can run it: every version has its Keras network, older ones have no model.onnx."""
        return ["onnx", "tensorflow"] if ONNX in self.files else ["tensorflow"]
