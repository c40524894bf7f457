"""The HTTP status of each error that a request can meet: the errors themselves know nothing of HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from shared.core.errors import access, infrastructure, models, requests, uploads, webhooks, windows
from shared.core.errors.base import VoxmoodError

OTHERWISE = 400
# A class's own entry counts, else that of the class that it is derived from.
STATUSES: Mapping[type[VoxmoodError], int] = {
    access.KeyExpired: 401,
    access.KeyNeeded: 401,
    access.KeyNeededBehindProxy: 401,
    access.MalformedKey: 401,
    access.UnknownKey: 401,
    access.ForeignHost: 403,
    access.ForeignOrigin: 403,
    access.HostNotAllowed: 403,
    access.MissingScope: 403,
    requests.SourceRefused: 403,
    requests.NoAudio: 404,
    requests.SourceEmpty: 404,
    requests.UnknownClip: 404,
    requests.UnknownJob: 404,
    requests.UnknownModel: 404,
    requests.UnknownUpload: 404,
    requests.BodyStalled: 408,
    models.ChampionFrozen: 409,
    models.ModelReplaced: 409,
    models.NothingToRollBack: 409,
    requests.JobNotOpen: 409,
    requests.JobWithoutUploads: 409,
    requests.NoPublicStore: 409,
    requests.NoSegments: 409,
    requests.UploadExists: 409,
    requests.UploadOffset: 409,
    requests.UploadReplaced: 409,
    requests.UploadUnfinished: 409,
    requests.WrongJobState: 409,
    access.TooManyBytes: 413,
    requests.BodyTooLarge: 413,
    uploads.UploadTooLarge: 413,
    uploads.UnknownArchive: 415,
    requests.WrongRange: 416,
    access.FormWithoutSize: 422,
    models.NoLabelStored: 422,
    requests.KeyUsedAgain: 422,
    requests.LabelsUnnamed: 422,
    requests.UnknownParameter: 422,
    requests.WrongFilter: 422,
    uploads.UnknownEncoding: 422,
    uploads.UploadError: 422,
    webhooks.WebhookPrivate: 422,
    webhooks.WrongWebhook: 422,
    windows.HopTooLong: 422,
    windows.WindowTooLong: 422,
    windows.WindowUnasked: 422,
    access.TooManyJobs: 429,
    requests.TooManyExports: 429,
    requests.TooManyUploads: 429,
    infrastructure.InfrastructureError: 503,
    infrastructure.DatabaseFull: 507,
    infrastructure.SpoolFull: 507,
    infrastructure.StoreFull: 507,
}


def status_of(error: type[VoxmoodError]) -> int:
    """The status with which an API answers an error of this class."""
    return next((STATUSES[kind] for kind in error.__mro__ if kind in STATUSES), OTHERWISE)
