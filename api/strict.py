"""What a request says and nobody knows is refused: a misspelt `threshold` would else run with another one."""

from __future__ import annotations

from fastapi import Request

from shared.core.errors.requests import UnknownParameter


async def known_parameters(request: Request) -> None:
    """UnknownParameter for a query parameter that the OpenAPI document lacks. A dependency of all routes."""
    if not request.query_params:
        return
    path = request.app.openapi()["paths"].get(request.scope["route"].path, {})  # made once, then kept
    if not path:
        return  # pages for people, which no document lists
    parameters = path[request.method.lower()].get("parameters", ())
    known = {one["name"] for one in parameters if one["in"] == "query"}
    for name in request.query_params:
        if name not in known:
            raise UnknownParameter(name=name, known=", ".join(sorted(known)) or "none")
