"""Errors as problem documents (RFC 9457): `application/problem+json`, with the error's code."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.statuses import status_of
from shared.core import logs
from shared.core.errors.base import VoxmoodError
from shared.database.sessions import UnfitValue
from voxmood.documents import Problem
from voxmood.wording import fault_in_words

log = logging.getLogger(__name__)


PAGE = "/problems"
# What is no class of shared.core.errors: code, status, sentence.
GENERAL = {
    "http_error": (404, "There is no such path, or it does not take this method."),
    "invalid_request": (
        422,
        "A parameter or a field of this request is missing, unknown or has a wrong value.",
    ),
    "broken_off": (400, "The request broke off inside its body."),
    "internal_error": (500, "Something went wrong in the server; its log says what."),
}


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused; `detail` says why",
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
}


_HEADERS: dict[int, dict[str, str]] = {
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "5"},
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
}


def problem(status: int, detail: str, code: str, **members: object) -> JSONResponse:
    """The document that every error answers with; members: what else it has (RFC 9457, 3.2)."""
    body = {"type": f"{PAGE}#{code}", "title": HTTPStatus(status).phrase, "status": status, "detail": detail,
            "code": code, "request_id": logs.known("request"), **members}  # fmt: skip
    return JSONResponse(body, status, _HEADERS.get(status), media_type="application/problem+json")


def problem_of(error: VoxmoodError, **members: object) -> JSONResponse:
    """The document of an error of ours; members: what else it has."""
    return problem(status_of(type(error)), str(error), error.code, **members)


async def _expected(_: Request, error: Exception) -> JSONResponse:
    return problem_of(cast("VoxmoodError", error))


async def _refused(_: Request, error: Exception) -> JSONResponse:
    known = cast("HTTPException", error)
    return problem(known.status_code, str(known.detail), "http_error")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    known = cast("RequestValidationError", error)
    faults = (
        f"{'.'.join(str(part) for part in fault['loc'])} {fault_in_words(fault)}" for fault in known.errors()
    )
    return problem(422, "; ".join(faults).rstrip(".") + ".", "invalid_request")


async def _gone(_: Request, _error: Exception) -> JSONResponse:
    # Nobody reads this, and it is nobody's fault: the log need not say it.
    return problem(*_general("broken_off"))


async def _unstorable(_: Request, _error: Exception) -> JSONResponse:
    # PostgreSQL's word for NUL in a text, and for numbers beyond a column's.
    detail = "A text of this request has a NUL character, or a number of it is too large to be stored."
    return problem(422, detail, "invalid_request")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # Starlette asks this outside of all our middleware.
    number = getattr(request.state, "request_id", "")
    with logs.about(request=number):
        log.exception("unexpected error", exc_info=error)
        answer = problem(*_general("internal_error"))
    answer.headers["X-Request-Id"] = number
    return answer


def _general(code: str) -> tuple[int, str, str]:
    status, sentence = GENERAL[code]
    return status, sentence, code


def install(app: FastAPI) -> None:
    """Have every error of `app` answered by a problem document."""
    app.add_exception_handler(VoxmoodError, _expected)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(UnfitValue, _unstorable)
    app.add_exception_handler(Exception, _unexpected)
