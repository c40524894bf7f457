"""The documentation: /docs in a browser, whose files come from this server, and what each problem means."""

from __future__ import annotations

import html
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

import voxmood.errors
from api.problems import GENERAL, PAGE
from api.statuses import OTHERWISE, status_of
from shared.core import errors
from shared.core.errors import requests
from shared.core.errors.base import VoxmoodError

router = APIRouter(include_in_schema=False)
OPENAPI = "/v1/openapi.json"
SCRIPT, STYLE, ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"
PATHS = ("/", "/docs", PAGE, *(f"/docs/{name}" for name in (SCRIPT, STYLE, ICON)))
BROWSER_S = 86_400  # for which a browser keeps them
_FORMAT, _COMMAND = re.compile(r"\{(\w+):[^}]*\}"), re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Kind:
    """A code of problem documents: with which status it comes, and its sentence."""

    code: str
    status: int
    sentence: str


def kinds() -> list[Kind]:
    """Every kind of problem, by its code."""
    general = [Kind(code, status, sentence) for code, (status, sentence) in GENERAL.items()]
    of_errors = [Kind(one.code, status_of(one), " ".join((one.__doc__ or "").split())) for one in _errors()]
    return sorted([*general, *of_errors], key=lambda kind: kind.code)


def _errors() -> Iterator[type[VoxmoodError]]:
    """Those that say a status of their own, or are those of requests; the others no request can meet."""
    names = [f"{errors.__name__}.{module.name}" for module in pkgutil.iter_modules(errors.__path__)]
    for name in (voxmood.errors.__name__, *names):
        for one in vars(import_module(name)).values():
            if isinstance(one, type) and issubclass(one, VoxmoodError) and one.__module__ == name:
                has_status = status_of(one) != OTHERWISE
                if (has_status and not one.__subclasses__()) or name == requests.__name__:
                    yield one


@router.get("/")
async def root() -> RedirectResponse:
    """Whoever comes by a browser finds the documentation."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, without a word to any other server."""
    return get_swagger_ui_html(
        openapi_url=OPENAPI,
        title="voxmood",
        swagger_js_url=f"/docs/{SCRIPT}",
        swagger_css_url=f"/docs/{STYLE}",
        swagger_favicon_url=f"/docs/{ICON}",
    )


@router.get(f"/docs/{SCRIPT}")
async def script() -> FileResponse:
    """Swagger UI itself."""
    return _file(SCRIPT)


@router.get(f"/docs/{STYLE}")
async def style() -> FileResponse:
    """How it looks."""
    return _file(STYLE)


@router.get(f"/docs/{ICON}")
async def icon() -> FileResponse:
    """Its sign."""
    return _file(ICON)


def _file(name: str) -> FileResponse:
    found = files("fastapi_offline") / "static" / name
    return FileResponse(str(found), headers={"Cache-Control": f"max-age={BROWSER_S}"})


def _marked_up(sentence: str) -> str:
    """Commands as code, and of placeholders their names alone."""
    plain = _FORMAT.sub(r"{\1}", html.escape(sentence))
    return _COMMAND.sub(r"<code>\1</code>", plain)


@router.get(PAGE)
async def problems_page() -> HTMLResponse:
    """What the `type` of a problem document leads to."""
    rows = "".join(
        f'<tr id="{kind.code}"><td><code>{kind.code}</code><td>{kind.status}<td>{_marked_up(kind.sentence)}'
        for kind in kinds()
    )
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>voxmood: problems</title>"
        "<style>body{font-family:sans-serif;margin:2rem}td{padding:.3rem;vertical-align:top}"
        ":target{background:#ff9}</style><h1>Problems</h1><p>What the API refuses requests with. Words in "
        "braces stand for what each request is about."
        f"<table><tr><th>code<th>status<th>sentence{rows}</table></html>"
    )
