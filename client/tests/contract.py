"""What the client sends and reads, against the OpenAPI document of a server."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from voxmood import documents, endpoints
from voxmood.endpoints import JobOptions
from voxmood.packing import OpenFile
from voxmood.requests import Request

CHOICE: dict[str, Any] = {
    "model": "v8",
    "outcome": ["rejected"],
    "emotion": "calm",
    "quality": "good",
    "confidence": (0.1, None),
    "path_prefix": "a/",
}
LABELS: dict[str, Any] = {"job": 1, "clip_id": 2, "path": "a.wav", "labeller": "anna"}
OPTIONS = dict.fromkeys(JobOptions.__annotations__, "x")
FILE = OpenFile(io.BytesIO(b"recording"), 9)


def requests() -> list[Request[Any]]:
    """Each request that the clients send, with all that it may say."""
    export = endpoints.export_params("csv", CHOICE, segments=True)
    return [
        endpoints.create_job("tapes", OPTIONS, "once"),
        endpoints.put_upload(1, "a b/tapes.zip", FILE, 3, lambda _: None),
        endpoints.show_upload(1, "tapes.zip"),
        endpoints.create_form(1, "tapes.zip", 9),
        endpoints.add_source(1, "s3://tapes/"),
        endpoints.start_job(1),
        endpoints.show_job(1),
        endpoints.cancel_job(1),
        endpoints.retry_job(1),
        endpoints.reclassify_job(1, "v8"),
        endpoints.delete_job(1),
        endpoints.list_jobs(100).first,
        endpoints.list_labels(LABELS).first,
        endpoints.list_results(1, CHOICE).first,
        endpoints.list_segments(1, CHOICE).first,
        Request("GET", endpoints.export_path(1), BaseModel, params=export),
        endpoints.audio(1, 1000),
        endpoints.store_labels([documents.Label(clip_id=1, emotion="calm", speaker="19", labeller="anna")]),
        endpoints.delete_labels(LABELS),
        endpoints.list_models(),
        endpoints.agreement(LABELS),
        endpoints.review_queue(1, 50, "v8"),
        endpoints.model_drift("v8", 7.0),
        endpoints.promote_model("v8"),
        endpoints.roll_back_champion(),
        endpoints.freeze_champion(frozen=False),
        endpoints.retrain(),
        endpoints.ready(),
    ]


def faults(document: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing in which a server's document and this client differ."""
    asked = set()
    for request in requests():
        found = [path for path in document["paths"] if _fits(path, request.path)]
        name = f"{request.method} {request.path}"
        if not found or request.method.lower() not in document["paths"][found[0]]:
            yield f"{name}: the server has no such path"
            continue
        operation = document["paths"][found[0]][request.method.lower()]
        asked.add((request.method, found[0]))
        yield from _parameters(name, request, operation)
        yield from _body(name, request, operation, document)
        yield from _answer(name, request, operation, document)
    for path, operations in document["paths"].items():
        for method in operations:
            if (method.upper(), path) not in asked and path != "/health/live":
                yield f"{method.upper()} {path}: the client does not send it"


def _fits(template: str, path: str) -> bool:
    pattern = re.escape(template).replace(r"\{name\}", ".+")
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", pattern), path) is not None


def _parameters(name: str, request: Request[Any], operation: Mapping[str, Any]) -> Iterator[str]:
    declared = {(one["in"], one["name"].lower()) for one in operation.get("parameters", ())}
    for parameter in request.params:
        if ("query", parameter) not in declared:
            yield f"{name}: the server knows no parameter {parameter}"
    for header in request.headers:
        if header != "Content-Length" and ("header", header.lower()) not in declared:
            yield f"{name}: the server knows no header {header}"
    for kind, parameter in declared:
        if kind == "query" and parameter not in {*request.params, "cursor", "after", "before", "segments"}:
            yield f"{name}: the client never says {parameter}"


def _body(
    name: str, request: Request[Any], operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    if request.json is None:
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = request.json
    if schema.get("type") == "array":
        schema, body = schema["items"], body[0]
    declared = _resolved(schema, document)["properties"].keys()
    if declared != body.keys():
        yield f"{name}: the server takes {sorted(declared)}, the client says {sorted(body)}"


def _answer(
    name: str, request: Request[Any], operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[str]:
    if request.answer is BaseModel:  # bytes
        return
    good = next(status for status in operation["responses"] if status.startswith("2"))
    schema = operation["responses"][good]["content"]["application/json"]["schema"]
    declared = _resolved(schema, document)
    if request.answer is documents.ResultPage:  # its rows travel as they are, and are declared by these two
        kinds = (documents.SegmentRow, documents.ResultRow)
        rows = [_without_nulls(kind.model_json_schema()) for kind in kinds]
        if declared["properties"]["results"]["items"]["anyOf"] != rows:
            yield f"{name}: the server's rows are not those that the client reads"
        return
    known = _without_nulls(request.answer.model_json_schema(mode="serialization"))
    yield from _differences(name, declared, known, document, known)


def _without_nulls(schema: Any) -> Any:
    """As FastAPI writes it."""
    if isinstance(schema, dict):
        return {name: _without_nulls(value) for name, value in schema.items() if value is not None}
    return [_without_nulls(one) for one in schema] if isinstance(schema, list) else schema


def _differences(
    name: str, declared: Any, known: Any, document: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[str]:
    """Where two schemas say something else, references followed."""
    declared, known = _resolved(declared, document), _resolved(known, own)
    if isinstance(declared, dict) and isinstance(known, dict):
        for key in declared.keys() | known.keys():
            if key in declared and key in known:
                yield from _differences(f"{name}.{key}", declared[key], known[key], document, own)
            elif key not in ("$defs", "title"):
                yield f"{name}: {key} is only {'there' if key in declared else 'here'}"
    elif isinstance(declared, list) and isinstance(known, list) and len(declared) == len(known):
        for one, other in zip(declared, known, strict=True):
            yield from _differences(name, one, other, document, own)
    elif declared != known:
        yield f"{name}: {declared!r} there, {known!r} here"


def _resolved(schema: Any, document: Mapping[str, Any]) -> Any:
    while isinstance(schema, dict) and "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema
