"""Real Chromium tabs among the sessions of `benchmarks.repeated_requests`: held keys, lost responses, and reloads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from playwright.sync_api import Browser, Error, Page, Route

from benchmarks.process_stats import chromium

TAB_BEHAVIORS = ("tab: held Enter", "tab: held Ctrl+Enter", "tab: double click", "tab: lost response", "tab: reload")
TIMEOUT_S = 120.0
_KEY_REPEATS = 12
_KEY_REPEAT_MS = 30
_GATEWAY = "<html><head><title>504 Gateway Timeout</title></head></html>"
_GENERATE = "**/dreamina/generate?*"
_PROMPT = "#field-prompt textarea"


class Tabs(threading.Thread):
    """Visitors with a tab each, one after the other; the app may be killed and restarted meanwhile.

    Args:
        plans: the prompts of each tab, and how it behaves with each.

    Attributes:
        refused: by prompt, why no job appeared on the page.
        ended: how many of them, from the first, did all that they were to do.
    """

    def __init__(self, url: str, plans: list[list[tuple[str, str]]], random: Random) -> None:
        super().__init__(name="tabs", daemon=True)
        self.refused: dict[str, str] = {}
        self.ended = 0
        self._is_last = threading.Event()
        self._url = url
        self._plans = plans
        self._random = random

    def run(self) -> None:
        with chromium() as browser:
            for plan in self._plans:
                self._run_tab(browser, plan)
                self.ended += 1
                if self._is_last.is_set():
                    return

    def end(self) -> None:
        """Wait until the tab that is open has done all that it was to do; no other one is opened."""
        self._is_last.set()
        if self.ident is not None:  # it was started
            self.join()

    def _run_tab(self, browser: Browser, plan: list[tuple[str, str]]) -> None:
        with browser.new_context(locale="en") as context:
            page = context.new_page()
            page.set_default_timeout(TIMEOUT_S * 1000)
            self._until_it_works(page, self._open)
            for prompt, behavior in plan:
                try:
                    self._intend(page, prompt, behavior)
                except Error as exc:
                    self.refused[prompt] = f"{behavior}: {exc.message.splitlines()[0]}"
                    self._until_it_works(page, self._open)

    def _until_it_works(self, page: Page, act: Callable[[Page], None]) -> None:
        """Repeat what fails while the app is away, as a person would."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return act(page)
            except Error:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.2)

    def _open(self, page: Page) -> None:
        page.goto(self._url)
        page.locator("#form[data-ready]").wait_for(timeout=20_000)
        page.locator("#generate:enabled").wait_for(timeout=20_000)

    def _intend(self, page: Page, prompt: str, behavior: str) -> None:
        """Want one image, behave so, and wait until the page shows its job."""
        page.locator(_PROMPT).fill(prompt)
        acts = {
            "tab: held Enter": lambda: self._hold(page, "#generate", "Enter"),
            "tab: held Ctrl+Enter": lambda: self._hold(page, _PROMPT, "Control", "Enter"),
            "tab: double click": lambda: page.locator("#generate").dblclick(),
            "tab: lost response": lambda: self._lose(page),
            "tab: reload": lambda: self._reload(page),
        }
        acts[behavior]()
        shown = page.locator(".job", has=page.get_by_text(prompt, exact=True)).first
        self._until_it_works(page, lambda _: shown.wait_for(timeout=60_000))
        with suppress(Error):
            page.unroute(_GENERATE)

    def _hold(self, page: Page, selector: str, *keys: str) -> None:
        page.locator(selector).focus()
        for key in keys:
            page.keyboard.down(key)
        for _ in range(_KEY_REPEATS):
            page.wait_for_timeout(_KEY_REPEAT_MS)
            page.keyboard.down(keys[-1])
        for key in reversed(keys):
            page.keyboard.up(key)

    def _lose(self, page: Page) -> None:
        """Let the server have the request, and the page none of the first responses."""
        left = self._random.randint(1, 2)

        def handle(route: Route) -> None:
            nonlocal left
            if not left:
                return route.continue_()
            left -= 1
            with suppress(Error):  # the app may be away
                route.fetch()
            if self._random.random() < 0.5:
                route.abort("connectionreset")
            else:
                route.fulfill(status=504, content_type="text/html", body=_GATEWAY)

        page.route(_GENERATE, handle)
        page.locator("#generate").click()

    def _reload(self, page: Page) -> None:
        """Leave the page while the request is on its way; the next page still knows its id."""
        page.route(_GENERATE, lambda route: None)  # the first attempt hangs, so that the reload comes before its end
        with page.expect_request(_GENERATE):
            page.locator("#generate").click()
        page.unroute(_GENERATE)
        self._until_it_works(page, self._open)
