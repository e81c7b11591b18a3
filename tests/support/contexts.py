"""Browser contexts that are used again: Chromium then need not load and compile the scripts of the page anew."""

from __future__ import annotations

from collections import defaultdict

from playwright.sync_api import Browser, BrowserContext

from dreamina_ui.web.paths import HEALTHZ


class Contexts:
    """Lends contexts without cookies and without stored data, each to one visitor of one app at a time.

    What a test may do to a lent context: open pages, and whatever it likes with those pages; set it offline.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[str, list[BrowserContext]] = defaultdict(list)
        self._lent: dict[BrowserContext, str] = {}

    def lend(self, url: str, *init_scripts: str) -> BrowserContext:
        """A context for the app at `url`; its first page, which runs no script, keeps the process of Chromium alive."""
        idle = self._idle[url]
        context = idle.pop() if idle else self._make(url, *init_scripts)
        self._lent[context] = url
        return context

    def take_back(self, context: BrowserContext) -> None:
        """Empty a lent context for the next visitor; close any other."""
        url = self._lent.pop(context, None)
        if url is None:
            context.close()
            return
        first, *others = context.pages
        for page in others:
            page.close()
        context.set_offline(False)
        session = context.new_cdp_session(first)
        session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        session.detach()
        context.clear_cookies()
        self._idle[url].append(context)

    def _make(self, url: str, *init_scripts: str) -> BrowserContext:
        context = self._browser.new_context(locale="en-US")
        context.set_default_timeout(20_000)
        for script in init_scripts:
            context.add_init_script(script)
        context.new_page().goto(f"{url}{HEALTHZ}")
        return context
