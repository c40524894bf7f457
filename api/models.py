"""Model versions: which there are, under which names, and the retraining that makes more."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from api.access import Admin, Reader
from api.services import Services, Wired
from shared.database import labels, models
from shared.database.retrainings import retraining_row
from shared.jobs import retraining
from shared.models.serving import registry
from shared.models.serving.manifest import Manifest
from voxmood.documents import CHAMPION, ModelDocument, Models, RetrainingDocument

router = APIRouter(prefix="/v1", tags=["models"])


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
        return models.aliases(connection) | {CHAMPION: services.settings.champion}


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
        ended_at=None if row.ended_at is None else datetime.fromtimestamp(row.ended_at, UTC),
        text=row.text,
    )
