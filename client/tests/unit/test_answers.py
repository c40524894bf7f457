"""What is made of a server's answers: documents, refusals, and what is neither."""

from __future__ import annotations

import httpx
import pytest

from builders import row
from voxmood import endpoints
from voxmood.documents import JobDocument
from voxmood.errors import RequestRefused, UnexpectedAnswer
from voxmood.requests import Request


def answered(status: int, **content: object) -> httpx.Response:
    request = httpx.Request("GET", "http://localhost/v1/jobs/1")
    return httpx.Response(status, request=request, **content)  # type: ignore[arg-type]


def test_a_refusal_has_the_servers_sentence_and_all_it_says() -> None:
    problem = {"detail": "There is no job 1.", "code": "unknown_job", "status": 404, "request_id": "ab"}
    with pytest.raises(RequestRefused, match="^There is no job 1.$") as refused:
        endpoints.show_job(1).parsed(answered(404, json=problem))
    assert (refused.value.reason, refused.value.http_status) == ("unknown_job", 404)
    assert refused.value.facts == problem


@pytest.mark.parametrize("content", [{"text": "<h1>Bad gateway</h1>"}, {"json": []}, {"json": {"error": 1}}])
def test_the_answer_of_a_proxy_has_its_status(content: dict[str, object]) -> None:
    with pytest.raises(RequestRefused, match="The server answered 502 Bad Gateway") as refused:
        endpoints.show_job(1).parsed(answered(502, **content))
    assert (refused.value.reason, refused.value.http_status) == (None, 502)


@pytest.mark.parametrize("content", [{"text": "<h1>Welcome</h1>"}, {"json": {"id": "one"}}])
def test_what_is_no_document_is_said_to_be_none(content: dict[str, object]) -> None:
    with pytest.raises(UnexpectedAnswer, match="does not understand.*Is that a voxmood server"):
        endpoints.show_job(1).parsed(answered(200, **content))


def test_a_row_keeps_columns_that_this_client_does_not_know() -> None:
    one = row(p_calm=0.25, p_happy=None, colour="red")
    assert one.probabilities == {"calm": 0.25}
    assert one.model_dump()["colour"] == "red"


def test_a_page_with_a_row_that_is_none_is_said_to_be_no_answer() -> None:
    listing = endpoints.list_results(1, {})
    page = listing.first.answer.model_validate({"results": [{"path": "a.wav"}], "next": None})
    with pytest.raises(UnexpectedAnswer, match="outcome: Field required"):
        listing.read(page)


def test_a_server_that_is_not_ready_is_no_error() -> None:
    request = endpoints.ready()
    assert request.parsed(answered(503, json={"ready": False})).ready is False
    with pytest.raises(RequestRefused):
        request.parsed(answered(500, text="no"))


def test_a_list_goes_on_with_the_cursor_of_its_last_page() -> None:
    listing = endpoints.list_jobs(10)
    page = listing.first.answer.model_validate({"jobs": [], "next": 7})
    following = listing.after(page)
    assert following == Request("GET", "/v1/jobs", type(page), params={"limit": 10, "before": 7})
    assert listing.after(listing.first.answer.model_validate({"jobs": [], "next": None})) is None
    assert endpoints.show_job(1).answer is JobDocument
