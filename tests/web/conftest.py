"""Pages of the app, in a Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Error, Page

from tests.support.bad_proxy import BadProxy
from tests.support.browser import AppProcess, HeldSandbox, ScriptedApp
from tests.support.contexts import Contexts, Visits
from tests.support.library_page import go_to_library
from tests.support.library_rows import LibraryRows
from tests.support.page import OpenPage, await_form


@contextmanager
def _expect_no_errors() -> Iterator[Callable[[Page], None]]:
    """Yields what watches a page: at the end no script has broken, none was refused, and nobody's has run."""
    pages: list[Page] = []
    errors: list[str] = []

    def note_error(exc: Error) -> None:
        errors.append(str(exc))

    def note_refusal(said: ConsoleMessage) -> None:
        errors.extend([said.text] if "Security Policy" in said.text else [])

    def watch(page: Page) -> None:
        page.on("pageerror", note_error)
        page.on("console", note_refusal)
        pages.append(page)

    yield watch
    injected = [page.evaluate("window.__pwned") for page in pages if not page.is_closed()]
    for page in pages:
        page.remove_listener("pageerror", note_error)
        page.remove_listener("console", note_refusal)
    assert errors == []
    assert set(injected) <= {None}


@pytest.fixture
def open_page(contexts: Contexts) -> Iterator[OpenPage]:
    """Opens a page as a new visitor; at the end no script has broken, none was refused, and nobody's has run.

    `prepare` gets the tab before the page is in it. If that adds scripts, or needs an empty cache, the tab must be
    `alone` in a new context, which takes three times the CPU time.
    """
    pages: list[Page] = []

    def open_one(
        app: AppProcess, prepare: Callable[[Page], Any] | None = None, *, alone: bool = False, **context: Any
    ) -> Page:
        page = (contexts.open if alone else contexts.lend)(app.url, **context)
        watch(page)
        pages.append(page)
        if prepare:
            prepare(page)
        page.goto(app.url)
        await_form(page)
        return page

    try:
        with _expect_no_errors() as watch:
            yield open_one
    finally:
        for page in pages:
            contexts.take_back(page)


@pytest.fixture(scope="session")
def held_proxy(held: HeldSandbox) -> Iterator[BadProxy]:
    """In front of `held.app`: at one port for all tests, as a tab at another port would load the page anew."""
    with BadProxy(held.app.port) as running:
        yield running


@pytest.fixture(scope="module")
def visits(contexts: Contexts) -> Iterator[Visits]:
    made = Visits(contexts)
    yield made
    made.end()


@pytest.fixture
def revisit(visits: Visits, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Opens a page, or returns to it as an earlier test of the module left it: loading it is most of a test's time.

    The visitor and the jobs are those of before, the prompt is empty, and the tab is Create. A test that changes other
    settings, opens what stays open, or gives a key, opens a page of its own.
    """
    used: list[Page] = []
    failed_before = request.session.testsfailed

    def go(app: AppProcess, **context: Any) -> Page:
        page = visits.page(app.url, **context)
        watch(page)
        used.append(page)
        return page

    try:
        with _expect_no_errors() as watch:
            yield go
    finally:
        for page in used:
            page.unroute_all(behavior="ignoreErrors")
            if request.session.testsfailed > failed_before:
                visits.forget(page)


@pytest.fixture
def open_library(library_app: ScriptedApp, rows: LibraryRows, open_page: OpenPage) -> OpenPage:
    """Opens the library as a new visitor at this machine."""

    def open_one(**context: Any) -> Page:
        page = open_page(library_app.app, **context)
        go_to_library(page, context.get("locale", "en-US")[:2])
        return page

    return open_one
