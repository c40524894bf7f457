"""One recording read back, whole and by ranges; a job classified under a second version."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from shared.audio.synthesis import unique_clip
from shared.core.errors.requests import WrongJobState
from shared.database.tables import job, unit
from shared.jobs import lifecycle
from tests.archive_builders import encrypted_zip
from tests.integration.builders import make_job, row_of, set_row
from tests.integration.sending import clips_of, send
from workers.services import Services
from workers.unpack import unpack


@pytest.fixture
def client(services: Services) -> TestClient:
    """An API on the same database and store."""
    url = services.database.url.render_as_string(hide_password=False)
    return TestClient(
        create_app(services.settings.model_copy(update={"database_url": url})), base_url="http://localhost"
    )


def test_a_clip_is_read_back_whole_and_by_ranges(services: Services, client: TestClient) -> None:
    bodies = {f"{n}.wav": unique_clip(n) for n in range(3)}
    _, upload_id = send(services, encrypted_zip(bodies | {"secret.wav": b"s"}, "secret.wav"))
    unpack(services, upload_id)
    rows = {row.path: row for row in clips_of(services, upload_id)}
    body = bodies["1.wav"]
    path = f"/v1/clips/{rows['1.wav'].id}/audio"
    whole = client.get(path)
    assert (whole.status_code, whole.content) == (200, body)
    assert whole.headers["content-type"] == "audio/wav"
    for wanted, part, answered in (
        ("bytes=0-3", body[:4], f"bytes 0-3/{len(body)}"),
        ("bytes=100-", body[100:], f"bytes 100-{len(body) - 1}/{len(body)}"),
        ("bytes=-5", body[-5:], f"bytes {len(body) - 5}-{len(body) - 1}/{len(body)}"),
    ):
        found = client.get(path, headers={"Range": wanted})
        assert (found.status_code, found.content, found.headers["content-range"]) == (206, part, answered)
    for wanted in (f"bytes={len(body)}-", "bytes=-", "lines=1-2"):
        assert client.get(path, headers={"Range": wanted}).status_code == 416
    assert client.get(f"/v1/clips/{rows['secret.wav'].id}/audio").json()["code"] == "no_audio"
    assert client.get("/v1/clips/999999/audio").json()["code"] == "unknown_clip"


def test_a_second_version_gets_units_of_its_own_and_the_job_keeps_its_version(services: Services) -> None:
    made = make_job(services.database, unit_state="done")
    with pytest.raises(WrongJobState, match="only a job that is done or failed or cancelled"):
        lifecycle.reclassify(services.database, made.job, "v2")
    set_row(services.database, job, made.job, state="done")
    bells = lifecycle.reclassify(services.database, made.job, "v2")
    assert [bell.task for bell in bells] == ["classify"]
    with services.database.read() as connection:
        rows = connection.execute(select(unit).where(unit.c.job_id == made.job).order_by(unit.c.id)).all()
    assert [(row.model_version, row.state) for row in rows] == [("seed-v6", "done"), ("v2", "pending")]
    assert row_of(services.database, job, made.job).model_version == "seed-v6"
    set_row(services.database, unit, rows[1].id, state="done")
    set_row(services.database, job, made.job, state="done")
    assert lifecycle.reclassify(services.database, made.job, "v2") == []
