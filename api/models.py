"""Model versions: which there are, which is the champion, and the retraining that makes more."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Query

from api.access import Admin, Caller, Reader
from api.services import Services, Wired
from shared.database import labels, models, promotions
from shared.database.retrainings import retraining_row
from shared.jobs import champions, drift, retraining
from shared.models.serving import registry, version_pins
from shared.models.serving.manifest import Manifest
from voxmood.documents import (
    CHAMPION,
    ChampionDocument,
    DriftDocument,
    ModelDocument,
    Models,
    PromotionDocument,
    RetrainingDocument,
)

router = APIRouter(prefix="/v1", tags=["models"])
SHOWN_PROMOTIONS = 10


@router.get("/models")
def list_models(services: Wired, _: Reader) -> Models:
    """The versions that ship and those trained here, with their aliases."""
    folders = services.settings.model_folders
    names = aliases(services)
    found = [registry.read_manifest(folders, version) for version in registry.versions(folders)]
    documents = [_document(manifest, names) for manifest in found]
    return Models(models=documents, champion=_champion(services), retraining=_retraining(services))


@router.get("/models/{version}/drift")
def model_drift(
    version: str, services: Wired, caller: Reader, days: Annotated[float, Query(gt=0, le=3650)] = 7.0
) -> DriftDocument:
    """How far a version's confidences of the last days are from those that its threshold was set on.

    A shift says that recordings are of another kind: label some of them, as `GET /v1/jobs/{id}/review` asks.
    """
    version = aliases(services).get(version, version)
    manifest = registry.read_manifest(services.settings.model_folders, version)
    return drift.drift(services.database, manifest, days, caller.only)


@router.post("/models/{version}/promote")
def promote_model(version: str, services: Wired, caller: Admin) -> ChampionDocument:
    """Make a version the champion: jobs that are made from now on have it, all others keep theirs.

    It may be named by an alias, as `candidate`. Repeated, it changes nothing.
    """
    settings = services.settings
    version = aliases(services).get(version, version)
    version_pins.confirm(services.database, registry.verify(settings.model_folders, version))
    champions.promote(services.database, version, settings.champion, _name(caller))
    return _champion(services)


@router.post("/models/rollback")
def roll_back_champion(services: Wired, _: Admin) -> ChampionDocument:
    """Make the champion before the last promotion the champion again, and freeze it."""
    champions.roll_back(services.database, services.settings.champion)
    return _champion(services)


@router.post("/models/freeze")
def freeze_champion(
    services: Wired, _: Admin, frozen: Annotated[bool, Body(embed=True)] = True
) -> ChampionDocument:
    """Have the champion stay what it is, whatever is trained; with `{"frozen": false}`, let it move again."""
    champions.freeze(services.database, frozen=frozen)
    return _champion(services)


@router.post("/retrain", status_code=202)
def retrain(services: Wired, _: Admin) -> RetrainingDocument:
    """Train a candidate from the labels that there are, however few are new; look at it with GET models."""
    retraining.ask(services.database)
    services.ring([retraining.BELL])
    return _retraining(services)


def aliases(services: Services) -> dict[str, str]:
    """Which version each movable name means now."""
    with services.database.read() as connection:
        return {CHAMPION: services.settings.champion} | models.aliases(connection)


def _name(caller: Caller) -> str:
    return "the owner" if caller.key_id is None else f"key {caller.key_id}"


def _champion(services: Services) -> ChampionDocument:
    with services.database.read() as connection:
        version = promotions.champion(connection, services.settings.champion)
        frozen_at = promotions.frozen_since(connection)
        moves = promotions.promotions(connection, SHOWN_PROMOTIONS)
    return ChampionDocument(
        version=version,
        frozen_at=_moment(frozen_at),
        promotions=[
            PromotionDocument(
                **asdict(move)
                | {"promoted_at": _moment(move.promoted_at), "undone_at": _moment(move.undone_at)}
            )
            for move in moves
        ],
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _document(manifest: Manifest, names: dict[str, str]) -> ModelDocument:
    return ModelDocument(
        **manifest.model_dump(
            include={"version", "base", "labels", "unknown_labels", "threshold", "created"}
        ),
        aliases=sorted(name for name, version in names.items() if version == manifest.version),
        accuracy=manifest.metrics.accuracy,
        training_clips=manifest.data.training_clips,
        runtimes=manifest.runtimes,
    )


def _retraining(services: Services) -> RetrainingDocument:
    with services.database.read() as connection:
        row = retraining_row(connection, services.database)
        new = labels.newly_labelled(connection)
    return RetrainingDocument(
        is_running=row.is_running,
        is_asked=row.asked_at is not None,
        newly_labelled=new,
        wanted=services.settings.retrain_min_labels,
        ended_at=_moment(row.ended_at),
        text=row.text,
    )
