"""Promise 3: memory of every process is bounded, whatever the archive's size."""

from __future__ import annotations

import pytest

from tests.acceptance.jobs import Api
from tests.acceptance.memory import MemoryWatch
from tests.archive_builders import tar_stream
from tests.stacks import Stack

MEGABYTE = 10**6
API_LIMIT, WORKER_LIMIT = 300 * MEGABYTE, 1_200 * MEGABYTE
GROWTH_LIMIT = 60 * MEGABYTE


def peak_of(api: Api, stack, total_bytes: int) -> dict[str, int]:
    """Send one archive and wait for its end; the most memory of the API and of any worker meanwhile."""
    watch = MemoryWatch(stack.record.supervisor.pid)
    watch.start()
    job = api.create(name=f"{total_bytes / 1e9:.1f} GB")
    answer = api.http.put(f"/v1/jobs/{job}/uploads/large.tar", content=tar_stream(total_bytes), timeout=None)
    assert answer.status_code == 201, answer.text
    api.start(job)
    document = api.wait(job, 900)
    watch.ended.set()
    watch.join()
    assert document["state"] == "done"
    assert document["counts"]["failed"] == 0
    print(f"{total_bytes / 1e9:.2f} GB, {document['counts']['done']} clips:",
          {kind: f"{most / 1e6:.0f} MB" for kind, most in watch.most.items()})  # fmt: skip
    return dict(watch.most)


def check(api: Api, stack: Stack, small: int, large: int) -> None:
    """Both peaks under the limits, and the larger archive's no higher than the smaller one's."""
    first = peak_of(api, stack, small)
    second = peak_of(api, stack, large)
    for peak in (first, second):
        assert peak["api"] < API_LIMIT
        assert peak["worker"] < WORKER_LIMIT
    assert second["api"] - first["api"] < GROWTH_LIMIT
    assert second["worker"] - first["worker"] < GROWTH_LIMIT


def test_memory_does_not_grow_with_the_archive(stack: Stack, api: Api) -> None:
    check(api, stack, 40 * MEGABYTE, 140 * MEGABYTE)  # the difference is more than may grow


@pytest.mark.long
@pytest.mark.timeout(1800)  # four minutes; twenty where another long form runs beside it
def test_memory_is_the_same_for_1_and_3_gigabytes(new_stack) -> None:
    with new_stack("--workers", "2") as stack:
        check(Api(stack.api_url), stack, 1_000 * MEGABYTE, 3_000 * MEGABYTE)
