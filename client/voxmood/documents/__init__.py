"""The documents of the API: what its requests and its answers say, defined once for server and clients."""

from voxmood.documents.jobs import (
    AccuracyDocument,
    Counts,
    JobDocument,
    JobPage,
    Progress,
    ShareDocument,
    UploadDocument,
    UploadForm,
    WebhookDocument,
)
from voxmood.documents.labels import (
    AgreementDocument,
    Code,
    Deleted,
    LabelDocument,
    LabelPage,
    Refusal,
    Stored,
)
from voxmood.documents.models import (
    ChampionDocument,
    DriftBin,
    DriftDocument,
    ModelDocument,
    Models,
    PromotionDocument,
    RetrainingDocument,
)
from voxmood.documents.requests import (
    CHAMPION,
    FormRequest,
    JobRequest,
    Label,
    ReclassifyRequest,
    SourceRequest,
)
from voxmood.documents.results import ResultPage, ResultRow, SegmentRow
from voxmood.documents.review import ReviewClip, ReviewQueue
from voxmood.documents.server import Problem, Readiness

__all__ = [
    "CHAMPION",
    "AccuracyDocument",
    "AgreementDocument",
    "ChampionDocument",
    "Code",
    "Counts",
    "Deleted",
    "DriftBin",
    "DriftDocument",
    "FormRequest",
    "JobDocument",
    "JobPage",
    "JobRequest",
    "Label",
    "LabelDocument",
    "LabelPage",
    "ModelDocument",
    "Models",
    "Problem",
    "Progress",
    "PromotionDocument",
    "Readiness",
    "ReclassifyRequest",
    "Refusal",
    "ResultPage",
    "ResultRow",
    "RetrainingDocument",
    "ReviewClip",
    "ReviewQueue",
    "SegmentRow",
    "ShareDocument",
    "SourceRequest",
    "Stored",
    "UploadDocument",
    "UploadForm",
    "WebhookDocument",
]
