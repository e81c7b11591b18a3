"""Take the documents' screenshots of the real program in Chromium: `python -m assets.make_screenshots`.

The program runs on its sandbox in a temporary data folder and makes the jobs below. It needs the packages of
`tests/requirements.txt`. The sandbox draws each job differently, so look at the screenshots before you commit them.
`CHROMIUM` names another browser.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import AppProcess, Visitor, wait_for

FOLDER = Path(__file__).parent / "screenshots"
MAX_BYTES = 120_000
JOB_TIMEOUT_S = 150.0
"""How long one job may take on a busy machine."""

WIDE = {"width": 1440, "height": 820}
PHONE = {"width": 390, "height": 844}
QUICK = {"DREAMINA_SANDBOX_QUEUE_S": "1", "DREAMINA_SANDBOX_RUN_S": "2"}

# Oldest first; one image each, unless `force_single` is False.
JOBS: tuple[dict[str, Any], ...] = (
    {"prompt": "Sand dunes of the Sahara at noon, a lone traveler", "size": "2304x1728(4:3)"},
    {"prompt": "A field of lavender and poppies under summer clouds", "size": "2304x1728(4:3)"},
    {"prompt": "Aurora over a wooden cabin and snowy mountains", "size": "2048x2048(1:1)", "force_single": False},
    {"prompt": "A red fox in a snowy forest, soft morning light", "size": "2048x2048(1:1)"},
    {"prompt": "雪山と月、静かな夜", "size": "2048x2048(1:1)"},
    {"prompt": "A calm sea at dusk, seagulls circling", "size": "2304x1728(4:3)"},
    {"prompt": "A neon city street at night in the rain, people with umbrellas", "size": "2304x1728(4:3)"},
    {"prompt": "Cherry blossoms beside a mountain lake at sunrise", "size": "2304x1728(4:3)"},
)
PROMPT = "A small village by the sea on a starry night"
BATCH = "A {spring|summer|winter} morning in the mountains\nA {spring|summer|winter} evening by the sea"

ALL_SEEN = """[...document.images].every(
    image => image.complete || !image.checkVisibility() || image.getBoundingClientRect().top > innerHeight)"""


def main() -> None:
    """Take all screenshots, write them as small WebP files, and print their sizes."""
    expect.set_options(timeout=30_000)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, AppProcess(Path(folder), **QUICK) as app, _browser() as browser:
        visitor = Visitor(app)
        for number, inputs in enumerate(JOBS, start=1):
            visitor.press(**inputs)
            wait_for(partial(_are_done, visitor, number), JOB_TIMEOUT_S)
        take(open_page(browser, app, visitor, WIDE), "create")
        take(open_page(browser, app, visitor, WIDE, color_scheme="dark"), "dark")
        phone = open_page(browser, app, visitor, PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)
        take(phone, "phone", quality=60)
        take(open_viewer(open_page(browser, app, visitor, WIDE)), "viewer")
        take(open_library(open_page(browser, app, visitor, WIDE)), "library")
        take(open_batch(open_page(browser, app, visitor, WIDE)), "batch")


@contextmanager
def _browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _are_done(visitor: Visitor, count: int) -> bool:
    time.sleep(0.5)  # the program limits how often a visitor may ask
    return [job["state"] for job in visitor.jobs()] == ["done"] * count


def open_page(browser: Browser, app: AppProcess, visitor: Visitor, viewport: Any, **context: Any) -> Page:
    """Open the page as this visitor, in a window of this size, and wait for its form and jobs."""
    window = browser.new_context(locale="en-US", viewport=viewport, reduced_motion="reduce", **context)
    window.add_cookies([{"name": name, "value": value, "url": app.url} for name, value in visitor.http.cookies.items()])
    page = window.new_page()
    page.goto(app.url)
    expect(page.locator("#form[data-ready]")).to_be_visible()
    page.locator("#field-prompt textarea").fill(PROMPT)
    page.locator("#field-prompt textarea").blur()
    expect(page.locator(".job")).to_have_count(len(JOBS))
    return page


def open_viewer(page: Page) -> Page:
    page.locator("dreamina-feed .tile > .open").first.click()
    expect(page.locator("dialog.viewer .pane.current:not([data-copy=thumbnail])")).to_be_visible()
    page.keyboard.press("i")
    return page


def open_library(page: Page) -> Page:
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    expect(page.locator("#library img").first).to_be_visible()
    return page


def open_batch(page: Page) -> Page:
    page.get_by_label(translate("en", "field_force_single_title"), exact=True).check()
    page.get_by_role("tab", name=translate("en", "batch")).click()
    page.get_by_label(translate("en", "batch_prompts")).fill(BATCH)
    page.locator("#batch fieldset").get_by_label("2048 × 2048").check()
    matrix = page.get_by_role("region", name=translate("en", "batch_matrix"))
    page.get_by_role("button", name=re.compile(re.escape(translate("en", "batch_start", count=6)))).click()
    expect(matrix.locator("img")).to_have_count(6, timeout=JOB_TIMEOUT_S * 1000)
    return page


def take(page: Page, name: str, *, quality: int = 80) -> None:
    """Write a screenshot of the window once all visible images are loaded."""
    page.wait_for_function(ALL_SEEN)
    path = FOLDER / f"{name}.webp"
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.save(path, "WEBP", quality=quality, method=6)
    print(f"{path.name}: {path.stat().st_size} bytes")
    assert path.stat().st_size < MAX_BYTES, f"{name} is too large for a document"


if __name__ == "__main__":
    main()
