"""Requests as values, and what comes of their answers; nothing here sends anything.

Both clients send these (`voxmood.transport`); which requests there are says `voxmood.endpoints`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from voxmood.environment import version
from voxmood.errors import RequestRefused, UnexpectedAnswer
from voxmood.packing import Content

Answer = TypeVar("Answer", bound=BaseModel)
Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of an upload from `start` on; `on_sent` hears of each block how many bytes it had."""

    content: Content
    start: int
    on_sent: Callable[[int], object]

    def blocks(self) -> Iterator[bytes]:
        """The bytes, as they are to be sent."""
        for block in self.content.read(self.start):
            yield block
            self.on_sent(len(block))

    @property
    def headers(self) -> dict[str, str]:
        """How long it is, and where it goes on."""
        size = self.content.size
        headers = {"Content-Length": str(size - self.start)}
        if self.start:
            headers["Content-Range"] = f"bytes {self.start}-{size - 1}/{size}"
        return headers


@dataclass(frozen=True, slots=True)
class Request(Generic[Answer]):
    """One request, and the document that answers it."""

    method: str
    path: str
    answer: type[Answer]
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    accepted: tuple[int, ...] = ()  # statuses of errors whose body is the document all the same

    def parsed(self, response: httpx.Response) -> Answer:
        """The document of an answer.

        Raises:
            RequestRefused: the server refused it, with its own sentence.
            UnexpectedAnswer: it is no such document.
        """
        if response.is_error and response.status_code not in self.accepted:
            raise refusal(response)
        try:
            return self.answer.model_validate_json(response.content)
        except ValidationError as error:
            raise unexpected(str(response.url), error) from error


def unexpected(url: str, error: ValidationError) -> UnexpectedAnswer:
    """What is said of an answer that is not the document that it should be."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return UnexpectedAnswer(url=url, fault=f"{place or 'the body'}: {first['msg']}", version=version())


def refusal(response: httpx.Response) -> RequestRefused:
    """With all members of the problem document as its facts; a proxy's answer has none but its status."""
    try:
        return RequestRefused(**response.json())
    except (ValueError, KeyError, TypeError):
        status = response.status_code
        return RequestRefused(
            detail=f"The server answered {status} {response.reason_phrase}.", status=int(status)
        )


def content(response: httpx.Response) -> bytes:
    """The bytes of an answer that is no document.

    Raises:
        RequestRefused: the server refused it.
    """
    if response.is_error:
        raise refusal(response)
    return response.content


@dataclass(frozen=True, slots=True)
class Listing(Generic[Answer, Row]):
    """A list that comes in pages: how each is asked for, and what it holds."""

    first: Request[Answer]
    cursor: str  # the parameter that asks for the page behind another
    rows: Callable[[Answer], Sequence[Row]]
    following: Callable[[Answer], str | int | None]

    def read(self, page: Answer) -> Sequence[Row]:
        """What a page holds.

        Raises:
            UnexpectedAnswer: something in it is not what it should be.
        """
        try:
            return self.rows(page)
        except ValidationError as error:
            raise unexpected(self.first.path, error) from error

    def after(self, page: Answer) -> Request[Answer] | None:
        """The request for the page behind this one; None: it is the last."""
        following = self.following(page)
        if following is None:
            return None
        return replace(self.first, params={**self.first.params, self.cursor: following})
