"""A headless Chromium for the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

# The limit lets all pages of a context share a process, and with it the compiled scripts. Without the features, each
# page also gets renderers for an address bar that nobody sees: 3.9 s of CPU time per page instead of 2.4 s. Chromium
# uses only the last --disable-features; the first part of it is what Playwright disables.
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-site-isolation-trials", "--renderer-process-limit=1",
    "--disable-features=AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,"
    "HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,"
    "AvoidCorsURLLoaderRestartOnRedirect,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,SpareRendererForSitePerProcess",
]  # fmt: skip


EXPECT_TIMEOUT_MS = 45_000
"""Longer than the longest pause between two polls of a job, which the tests' service may end at any moment."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a Chromium: the one that `CHROMIUM` names, else the one of the system, else that of Playwright."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        expect.set_options(timeout=EXPECT_TIMEOUT_MS)
        yield browser
        browser.close()
