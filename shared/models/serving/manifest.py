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
# The test clips of a training like the baseline's, and of all manifests that do not name theirs.
RANDOM_FIFTH = "the test part, a stratified fifth of the clips, drawn at random"


def _kind(value: Any) -> str:
    """The kind of a feature spec; manifests from before there were two kinds name none."""
    return str(value.get("kind", "seed") if isinstance(value, dict) else value.kind)


AnyFeatureSpec = Annotated[
    Annotated[BaselineSpec, Tag("seed")]
    | Annotated[VoiceSpec, Tag("voice")]
    | Annotated[EncodedSpec, Tag("encoded")],
    Discriminator(_kind),
]


class ThresholdRule(BaseModel):
    """The rule that gave a threshold.

    Attributes:
        name: of the rule.
        text: the rule for people.
        unknown_clips: how many clips of unknown emotions it used.
        unclipped: what it gave before its bounds; None if there was nothing to clip.
        curve: thresholds with their coverage and risk on the clips of the validation.
    """

    name: str
    text: str
    unknown_clips: int
    unclipped: float | None
    curve: list[tuple[float, float, float]] = []


class Metrics(BaseModel):
    """How good a version was at the end of its training.

    All but train_accuracy are of the clips that `Manifest.judged` names.

    Attributes:
        class_accuracy: by label.
        confusion_matrix: rows true, columns predicted, in the order of the labels.
        ece: the expected calibration error, in 15 bins; None in older manifests.
        rejected: the share of test clips below the threshold.
        unknown_rejected: the share of clips of unknown emotions below it; None if there were none.
        epochs: how many were trained.
        best_epoch: whose weights were kept, from 1.
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
    """Which speakers were in the training part and in the test part, and which were kept out of both."""

    training: list[str]
    test: list[str]
    reserve: list[str]


class Data(BaseModel):
    """The data that a version was trained on.

    Attributes:
        fingerprint: from shared.models.data.datasets.fingerprint.
        left_out: recordings that could not be used.
        licence: of the recordings.
        credit: whom to name.
    """

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
    """Everything there is to know of a model version.

    Attributes:
        base: the version that it was trained to follow, if any.
        unknown_labels: emotions that were left out of training.
        hears_no_voice: whether the network's last output, after those of the labels, means "no voice".
        voice_detector: says whether there is a voice, in place of the network.
        temperature: what the logits have been divided by.
        judged: a phrase that says which clips the metrics are of.
        caveats: what the metrics do not show.
        files: the SHA-256 of each file of the version.
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
