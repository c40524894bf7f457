"""Labels, model versions, and the champion."""

from __future__ import annotations

import pytest

from voxmood.client import Client
from voxmood.documents import JobDocument, Label
from voxmood.errors import RequestRefused, UnknownModel


def test_labels_are_stored_read_and_removed(client: Client, done: JobDocument) -> None:
    rows = [row for row in client.results(done.id) if row.confidence is not None][:3]
    emotion = client.model("champion").labels[0]
    labels = [Label(clip_id=row.clip_id, emotion=emotion, speaker="19", labeller="anna") for row in rows]
    wrong = Label(clip_id=rows[0].clip_id, emotion="bored", labeller="anna")
    stored = client.store_labels([*labels, wrong])
    assert (stored.stored, [(one.place, one.code) for one in stored.refused]) == (3, [(3, "unknown_emotion")])
    told = list(client.labels(job=done.id, labeller="anna"))
    assert [(one.path, one.emotion, one.speaker) for one in told] == [
        (row.path, emotion, "19") for row in rows
    ]
    assert [one.clip_id for one in client.labels(clip_id=rows[1].clip_id)] == [rows[1].clip_id]
    assert client.delete_labels(job=done.id, path=rows[0].path, labeller="anna") == 1
    assert client.delete_labels(job=done.id) == 2
    assert list(client.labels(job=done.id)) == []


def test_labels_that_are_all_wrong_are_refused_each_with_its_reason(client: Client) -> None:
    with pytest.raises(RequestRefused, match="None of the 1 labels could be stored") as refused:
        client.store_labels([Label(clip_id=2**40, emotion="calm")])
    assert refused.value.facts["refused"][0]["code"] == "unknown_clip"  # type: ignore[index]
    with pytest.raises(RequestRefused, match="whose labels"):
        client.delete_labels(labeller="anna")


def test_a_model_is_known_by_its_name_and_by_its_alias(client: Client) -> None:
    models = client.models()
    champion = client.model("champion")
    assert client.model(champion.version) == champion
    assert champion in models.models
    assert models.retraining.is_running is False
    with pytest.raises(UnknownModel, match=f"no model version v0. Available: .*{champion.version}"):
        client.model("v0")


def test_a_version_is_promoted_rolled_back_and_let_go_again(client: Client) -> None:
    before = client.models().champion
    other = next(one.version for one in client.models().models if one.version != before.version)
    told = client.promote(other)
    try:
        assert (told.version, told.promotions[0].previous) == (other, before.version)
        assert client.model("champion").version == other
    finally:
        told = client.roll_back()
    assert told.version == before.version
    assert told.frozen_at is not None
    with pytest.raises(RequestRefused, match="The champion is frozen: it stays"):
        client.promote(other)
    assert client.freeze(frozen=False).frozen_at is None


def test_a_server_says_whether_it_is_ready(client: Client) -> None:
    ready = client.ready()
    assert (ready.ready, ready.database, ready.store) == (True, True, True)
