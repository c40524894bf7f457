"""The running stack's API, stacks of one's own, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.jobs import Api
from tests.stacks import Stack, running_stack

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH (chromium, chromium-browser or google-chrome)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a browser that remembers nothing."""
    opened = browser.new_page(viewport={"width": 1600, "height": 580})
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def api(stack) -> Api:
    """The API of the session's stack."""
    return Api(stack.api_url)


@pytest.fixture(scope="module")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[Stack]]:
    """Makes stacks with settings of their own: `new_stack("--workers", "1", VOXMOOD_LEASE_S="5")`."""
    return lambda *arguments, **settings: running_stack(
        tmp_path_factory.mktemp("own") / "state", *arguments, **settings
    )
