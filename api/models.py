"""Model versions: which there are, under which names, and the retraining that makes more."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from api.access import Admin, Reader
from api.services import Services, Wired
from shared.database import labels
from shared.database.tables import alias
from shared.jobs import retraining
from shared.models.serving import registry
from shared.models.serving.manifest import Manifest

router = APIRouter(prefix="/v1", tags=["models"])
CHAMPION = "champion"


class ModelDocument(BaseModel):
    """One version."""

    version: str
    aliases: list[str] = Field(description="the movable names that mean it now: champion, candidate")
    base: str | None = Field(description="the champion that it was trained to follow")
    labels: list[str]
    unknown_labels: list[str] = Field(description="emotions that it does not know, and should reject")
    threshold: float
    accuracy: float = Field(description="on the test part of its own training")
    training_clips: int
    runtimes: list[str] = Field(
        description="what can run it; versions without an ONNX form: tensorflow alone"
    )
    created: datetime


class RetrainingDocument(BaseModel):
    """The retraining's state."""

    is_running: bool
    is_asked: bool = Field(description="somebody asked for one, and it has not ended yet")
    newly_labelled: int = Field(description="clips labelled since the last trained version")
    wanted: int = Field(description="so many of them begin a retraining by themselves")
    ended_at: datetime | None = Field(description="when it last looked")
    text: str | None = Field(description="what came of it")


class Models(BaseModel):
    """All versions, and the retraining."""

    models: list[ModelDocument]
    retraining: RetrainingDocument


@router.get("/models")
def list_models(services: Wired, _: Reader) -> Models:
    """The versions that ship and those trained here, with their aliases."""
    folders = services.settings.model_folders
    names = aliases(services)
    found = [registry.read_manifest(folders, version) for version in registry.versions(folders)]
    documents = [_document(manifest, names) for manifest in found]
    return Models(models=documents, retraining=_retraining(services))


@router.post("/retrain", status_code=202)
def retrain(services: Wired, _: Admin) -> RetrainingDocument:
    """Train a candidate from the labels that there are, however few are new; look at it with GET models."""
    retraining.ask(services.database)
    services.ring([retraining.BELL])
    return _retraining(services)


def aliases(services: Services) -> dict[str, str]:
    """Which version each movable name means now."""
    with services.database.read() as connection:
        moved = dict(connection.execute(select(alias.c.name, alias.c.version)).all())
    return moved | {CHAMPION: services.settings.champion}


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
        row = retraining.state(connection, services.database)
        new = labels.newly_labelled(connection)
    return RetrainingDocument(
        is_running=row.is_running,
        is_asked=row.asked_at is not None,
        newly_labelled=new,
        wanted=services.settings.retrain_min_labels,
        ended_at=None if row.ended_at is None else datetime.fromtimestamp(row.ended_at, UTC),
        text=row.text,
    )
