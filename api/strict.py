"""What a request says and nobody knows is refused: a misspelt `threshold` would else run with another one."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from shared.errors.requests import UnknownParameter


class RequestModel(BaseModel):
    """The body of a request. A field that it has not is 422."""

    model_config = ConfigDict(extra="forbid")


async def known_parameters(request: Request) -> None:
    """UnknownParameter for a query parameter that the route has not. A dependency of all routes."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        return
    known = {field.alias for field in get_flat_dependant(route.dependant).query_params}
    for name in request.query_params:
        if name not in known:
            raise UnknownParameter(name=name, known=", ".join(sorted(known)) or "none")
