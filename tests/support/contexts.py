"""Browser tabs that are used again: Chromium then need not load and compile the scripts of the page anew."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page

from dreamina_ui.web.paths import HEALTHZ
from tests.support.browser import SMALL
from tests.support.chromium import chromium
from tests.support.page import await_form, prompt_box

SMALL_DRAFT = f"""localStorage.getItem("dreamina.draft") || localStorage.setItem("dreamina.draft",
    JSON.stringify({{prompt: "", size: "{SMALL}", scale: 0.5, force_single: true}}))"""
"""One small image a job: as if the visitor had chosen it the last time."""

FORGET = """() => {
    try { sessionStorage.clear(); } catch { return false; }  // an error page of the browser has no storage
    Storage.prototype.setItem = () => {};  // what the page writes as it is left
    return true;
}"""
VIEWPORT = {"width": 1280, "height": 720}
MEDIA = {"color_scheme": "light", "reduced_motion": "reduce", "forced_colors": "none"}
MAX_IDLE = 6
"""How many tabs wait for the next visitor: each is a process, and its app may have ended."""


class Contexts:
    """Lends tabs without cookies and without stored data, each to one visitor of one app at a time.

    A new tab costs 1.7 times the CPU time of one that has shown the page before, and a new context 2.9 times. What a
    test may do to a lent tab: whatever leaves no script in it for later pages, open further ones, set it offline.

    Args:
        init_scripts: run in every page before its own scripts.
    """

    def __init__(self, browser: Browser, *init_scripts: str) -> None:
        self.browser = browser
        self._init_scripts = init_scripts
        self._idle: list[tuple[str, Page]] = []
        self._lent: dict[Page, tuple[str, str]] = {}

    def lend(self, url: str, **options: Any) -> Page:
        """A tab for the app at `url`, which shows nothing of it yet.

        Args:
            options: those of `Browser.new_context`. Unless they say otherwise, the visitor speaks English and wants
                little motion: each frame of an animation costs CPU time.
        """
        options, media, viewport = split_options(options)
        permissions = options.pop("permissions", [])
        key = repr((url, sorted(options.items())))
        page = next((page for idle_key, page in self._idle if idle_key == key), None)
        if page:
            self._idle.remove((key, page))
        else:
            page = self.open(url, **options)
        show(page, media, viewport)
        if permissions:
            page.context.grant_permissions(permissions)
        self._lent[page] = (url, key)
        return page

    def take_back(self, page: Page) -> None:
        """Empty a lent tab for the next visitor; close any other, with its context."""
        url, key = self._lent.pop(page, ("", ""))
        try:
            if not url or page.is_closed() or not self._empty(page, url):
                page.context.close()
                return
        except Error:  # its app has ended
            page.context.close()
            return
        self._idle.append((key, page))
        if len(self._idle) > MAX_IDLE:
            self._idle.pop(0)[1].context.close()

    def _empty(self, page: Page, url: str) -> bool:
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        page.context.set_offline(False)
        page.context.clear_permissions()
        if not page.evaluate(FORGET):
            return False
        page.goto(f"{url}{HEALTHZ}")  # no script of the app runs there
        session = page.context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        session.detach()
        page.context.clear_cookies()
        return True

    def open(self, url: str, **options: Any) -> Page:
        """A tab in a context of its own."""
        context: BrowserContext = self.browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce"} | options)
        context.set_default_timeout(20_000)
        for script in self._init_scripts:
            context.add_init_script(script)
        page = context.new_page()
        page.goto(f"{url}{HEALTHZ}")
        return page


class SharedContexts:
    """One Chromium, with its tabs, for test modules that follow each other: in a new one, a page costs the most."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._contexts: Contexts | None = None

    def get(self) -> Contexts:
        """The contexts of the Chromium, which starts unless it runs."""
        if not self._contexts:
            self._contexts = Contexts(self._running.enter_context(chromium()), SMALL_DRAFT)
        return self._contexts

    def close(self) -> None:
        self._contexts = None
        self._running.close()


class Visits:
    """Pages that stay loaded, each with one visitor, while tests come and go."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._pages: dict[str, Page] = {}

    def page(self, url: str, **options: Any) -> Page:
        """The Create tab of the page at `url` with an empty prompt; loaded, unless it is already.

        Args:
            options: as for `Contexts.lend`.
        """
        options, media, viewport = split_options(options)
        key = repr((url, sorted(options.items())))
        page = self._pages.get(key)
        if page and not page.is_closed():
            show(page, media, viewport)
            page.get_by_role("tab").first.click()
            prompt_box(page).fill("")
            return page
        page = self._contexts.lend(url, **options, **media, viewport=viewport)
        self._pages[key] = page
        page.goto(url)
        await_form(page)
        return page

    def forget(self, page: Page) -> None:
        """Let nobody else see a page, after a failure."""
        self._pages = {key: other for key, other in self._pages.items() if other is not page}
        self._contexts.take_back(page)

    def end(self) -> None:
        for page in self._pages.values():
            self._contexts.take_back(page)


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Options of a context: those that it keeps, the media, and the viewport, which a page can change."""
    media = {name: options.get(name, default) for name, default in MEDIA.items()}
    viewport = options.get("viewport", VIEWPORT)
    return {name: value for name, value in options.items() if name not in (*MEDIA, "viewport")}, media, viewport


def show(page: Page, media: dict[str, Any], viewport: Any) -> None:
    page.set_viewport_size(viewport)
    page.emulate_media(**media)
