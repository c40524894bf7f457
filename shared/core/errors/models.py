"""Errors of models, their training and their data."""

from __future__ import annotations

from shared.core.errors.base import VoxmoodError
from shared.core.errors.infrastructure import InfrastructureError
from voxmood.errors import WrongLabels as WrongLabels


class NoLabelStored(VoxmoodError):
    """None of the {count} labels could be stored. The first: {reason}."""


class NotEnoughLabels(VoxmoodError):
    """Too few labels: training takes two emotions with {minimum} labelled recordings each
    (VOXMOOD_RETRAIN_MIN_EXAMPLES). Available: {there}.
    """


class ModelExists(VoxmoodError):
    """Model version {version} exists already in {folder}; versions never change. Choose another name."""


class DamagedModel(VoxmoodError):
    """Model version {version} is damaged: {reason}. Restore its folder {folder}."""


class DamagedArtefact(DamagedModel):
    """The {kind} {name} is damaged: {reason}. Restore its folder {folder}, or make it anew with
    make {kind}.
    """


class UnsafeModel(VoxmoodError):
    """{file} is not loaded: it names {what}, and a model may name nothing but layers that Keras itself brings
    and operators of ONNX: no code of the file's own, and no other file. Train the version anew, or take it
    from where it came.
    """


class DoesNotRun(VoxmoodError):
    """{file} does not run on ONNX Runtime: {reason}. With VOXMOOD_RUNTIME=tensorflow it is not needed."""


class NoGpu(InfrastructureError):
    """VOXMOOD_DEVICE=gpu demands a GPU, but {lack}. With VOXMOOD_DEVICE=cpu none is needed."""


class GpuDiffers(InfrastructureError):
    """{file} is sound, but this GPU answers its probe {difference} otherwise than the CPU, more than the
    {tolerance} that results may differ. Set VOXMOOD_DEVICE=cpu.
    """


class NotExported(VoxmoodError):
    """Model version {version} is not made, since ONNX Runtime does not run its network alike: {reason}.
    Train a network of other layers, or with a release of tf2onnx that knows these.
    """


class ModelReplaced(VoxmoodError):
    """Model version {version} has other weights now than when this database met it; a version never changes.
    Restore its folder, or give the new weights a version name of their own.
    """


class ChampionFrozen(VoxmoodError):
    """The champion is frozen: it stays {champion} until `voxmood models freeze --off` lets it move."""


class NothingToRollBack(VoxmoodError):
    """No promotion can be undone: the champion is {champion}, as VOXMOOD_CHAMPION says."""


class UnknownNetwork(VoxmoodError):
    """There is no network {network}. Available: {known}."""


class UnknownEmotion(VoxmoodError):
    """{emotion} is no emotion of these recordings. Available: {known}."""


class UnknownSpeaker(VoxmoodError):
    """{speaker} is no speaker of these recordings. Available: {known}."""


class WrongVersionName(VoxmoodError):
    """{version} cannot name a model version: take letters, digits, dots, dashes and underscores, and
    begin with a letter or digit.
    """


class NoRecordings(VoxmoodError):
    """{folder} holds no labelled recordings: neither files named as RAVDESS names them nor a
    labels.csv with the columns path, emotion and speaker.
    """


class ForeignNames(VoxmoodError):
    """{file} is named as RAVDESS names its recordings, but {corpus} has no {field} {value}. Where the names
    mean something else, as BanglaSER's do, a labels.csv (path, emotion, speaker) says what.
    """


class TooFewRecordings(VoxmoodError):
    """{emotion} has {clips} usable recordings; training takes at least {minimum} of each emotion, and two
    emotions. Add recordings, or leave it out with --drop.
    """


class TooFewSpeakers(VoxmoodError):
    """{part} has {speakers} speaker(s), and it takes at least {minimum}: some learn, others choose or judge.
    Add recordings of other people.
    """


class TooFewUnknowns(VoxmoodError):
    """The open-set protocol takes at least two emotions to leave out: the threshold is set on one and judged
    by the other. Name them, as in --drop sad,surprised.
    """


class UnknownCondition(VoxmoodError):
    """There is no condition {condition}. Available: {known}."""


class HeardSpeakers(VoxmoodError):
    """{version} learnt from {speakers}, so their recordings would flatter it. Name others with --speakers, or
    say --foreign if these are other people whose names are the same.
    """


class NobodyJudges(VoxmoodError):
    """No recording is left to judge {what}: {reason}."""


class TooFewCorpora(VoxmoodError):
    """To train on all corpora but one it takes two at least; name each, as in --corpus ravdess=DIR."""


class WrongCorpus(VoxmoodError):
    """{corpus} is no corpus: say NAME=DIR, each name once. Those named {known} are read by their own files'
    names, all others by the labels.csv in their folder.
    """


class WrongFolds(VoxmoodError):
    """{file}, line {line}: {reason}. A line is a fold: its speakers, separated by commas."""


class Leak(VoxmoodError):
    """The fold {fold} is not run: {what} is both in its part {first} and in its part {second}, so that its
    figures would flatter. Divide the recordings otherwise.
    """


class DatasetUnreachable(VoxmoodError):
    """The recordings could not be fetched from {url}: {reason}. What has arrived is kept; run the same
    command again to go on.
    """


class WrongChecksum(VoxmoodError):
    """{name} arrived damaged (MD5 {md5} instead of {expected}) and was removed. Download it again."""
