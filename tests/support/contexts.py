"""Browser tabs that are used again: Chromium then need not load and compile the scripts of the page anew."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

from playwright.sync_api import Browser, BrowserContext, Error, Page

from dreamina_ui.web.paths import HEALTHZ
from tests.support.browser import SMALL

SMALL_DRAFT = f"""localStorage.getItem("dreamina.draft") || localStorage.setItem("dreamina.draft",
    JSON.stringify({{prompt: "", size: "{SMALL}", scale: 0.5, force_single: true}}))"""
"""One small image a job: as if the visitor had chosen it the last time."""

FORGET = """() => {
    try { sessionStorage.clear(); } catch { return false; }  // an error page of the browser has no storage
    Storage.prototype.setItem = () => {};  // what the page writes as it is left
    return true;
}"""
VIEWPORT = {"width": 1280, "height": 720}


class Contexts:
    """Lends tabs without cookies and without stored data, each to one visitor of one app at a time.

    A new tab costs 1.7 times the CPU time of one that has shown the page before, and a new context 2.9 times. What a
    test may do to a lent tab: whatever leaves no script in it for later pages, open further ones, set it offline.

    Args:
        init_scripts: run in every page before its own scripts.
    """

    def __init__(self, browser: Browser, *init_scripts: str) -> None:
        self._browser = browser
        self._init_scripts = init_scripts
        self._idle: dict[str, list[Page]] = defaultdict(list)
        self._lent: dict[Page, tuple[str, str]] = {}

    def lend(self, url: str, **options: Any) -> Page:
        """A tab for the app at `url`, which shows nothing of it yet.

        Args:
            options: those of `Browser.new_context`. Unless they say otherwise, the visitor speaks English and wants
                little motion: each frame of an animation costs CPU time.
        """
        media = {"color_scheme": "light", "reduced_motion": "reduce", "forced_colors": "none"}
        media |= {name: options.pop(name) for name in media if name in options}
        viewport, permissions = options.pop("viewport", VIEWPORT), options.pop("permissions", [])
        key = repr((url, sorted(options.items())))
        page = self._idle[key].pop() if self._idle[key] else self.open(url, **options)
        page.set_viewport_size(viewport)
        page.emulate_media(**cast(dict[str, Any], media))
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
        self._idle[key].append(page)

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
        context: BrowserContext = self._browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce"} | options)
        context.set_default_timeout(20_000)
        for script in self._init_scripts:
            context.add_init_script(script)
        page = context.new_page()
        page.goto(f"{url}{HEALTHZ}")
        return page
