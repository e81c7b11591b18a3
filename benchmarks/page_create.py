"""How large Create shows the newest job, and how many actions its tasks take."""

from __future__ import annotations

import requests
from playwright.sync_api import Browser, Page

from benchmarks.page_processes import AppPage, photo_app
from benchmarks.page_viewer import LARGE, Actions, Figures, generate, visitor
from benchmarks.process_stats import chromium
from benchmarks.synthetic_photos import SQUARE
from dreamina_ui.web.i18n.translate import translate

WINDOW = (1440, 900)
IMAGES = "dreamina-stage .tile:not(.skeleton)"
STAGE = "dreamina-stage .outputs"
SHARE = """([selector, width, height]) => {
    const boxes = [...document.querySelectorAll(selector)].map((node) => node.getBoundingClientRect());
    const seen = (box) => Math.max(0, Math.min(box.right, width) - Math.max(box.left, 0))
        * Math.max(0, Math.min(box.bottom, height) - Math.max(box.top, 0));
    return boxes.reduce((sum, box) => sum + seen(box), 0) / (width * height);
}"""


def measure_create() -> tuple[Figures, Figures]:
    """Shares of the window that the newest job does not cover, and actions per task."""
    results: Figures = {}
    with photo_app() as (_, program), chromium() as browser:
        http = visitor(program)
        for name, size, count in (("wide image", LARGE, 1), ("1", SQUARE, 1), ("2", SQUARE, 2), ("4", SQUARE, 4)):
            generate(program, http, size, count)
            page = _open(browser, program, http)
            # The part that is missing, so that less is better.
            results[f"window beside the stage, {name}"] = 1 - _share(page, STAGE)
            results[f"window beside the images, {name}"] = 1 - _share(page, IMAGES)
            page.context.close()
        results |= _actions(browser, program, http)
    # Beside the form, a wide image is as wide as the column, and that is less than 40 % of the window.
    limits = {key: 0.6 for key in results if "beside the stage" in key and "wide" not in key}
    return results, limits | {
        "actions: large, in place": 1,
        "actions: 100 %": 2,
        "actions: compare the four of a job": 1,
        "actions: star": 1,
        "actions: run again": 1,
        "actions: reuse settings": 1,
        "actions: an old prompt again": 2,
        "actions: share an image": 2,
    }


def _open(browser: Browser, program: AppPage, http: requests.Session) -> Page:
    width, height = WINDOW
    context = browser.new_context(locale="en-US", viewport={"width": width, "height": height})
    for name, value in http.cookies.items():
        context.add_cookies([{"name": name, "value": value, "url": program.url}])
    page = context.new_page()
    page.goto(program.url)
    page.locator(IMAGES).first.wait_for()
    page.wait_for_function("document.querySelector('dreamina-stage img').complete")
    return page


def _share(page: Page, selector: str) -> float:
    return float(page.evaluate(SHARE, [selector, *WINDOW]))


def _actions(browser: Browser, program: AppPage, http: requests.Session) -> Figures:
    """How many clicks or keys each task takes from a page that was just opened, counted while they are performed."""
    page = _open(browser, program, http)
    task = Actions(page).count
    stage = page.locator("dreamina-stage")
    is_open = "document.querySelector('dialog.viewer')?.open"
    results = {"actions: large, in place": task(is_open, stage.locator(".open").first.click)}
    position = "document.querySelector('dialog.viewer .position').textContent"
    zoom = task(f"{position}.includes('100%')", lambda: page.mouse.click(700, 450))
    results["actions: 100 %"] = results["actions: large, in place"] + zoom
    page.keyboard.press("Escape")
    # The four stand beside each other on the stage: there is nothing to do.
    results["actions: compare the four of a job"] = task("document.querySelectorAll('dreamina-stage img').length === 4")
    stage.locator(".tile").first.hover()
    is_starred = "document.querySelector('dreamina-stage .star').ariaPressed === 'true'"
    results["actions: star"] = task(is_starred, stage.locator(".star").first.click)
    results["actions: reuse settings"] = task(
        "document.querySelector('#dreamina-note').textContent !== ''", stage.locator("button.reuse").click
    )
    page.evaluate("() => { navigator.canShare = () => true; navigator.share = async () => { window.shared = true; }; }")
    send = page.get_by_role("button", name=translate("en", "share_file"), exact=True)
    results["actions: share an image"] = task("window.shared", stage.locator("button.share").click, send.click)
    page.keyboard.press("Escape")  # the dialog
    page.locator("#field-prompt textarea").fill("")
    results["actions: an old prompt again"] = task(
        "document.querySelector('#field-prompt textarea').value !== ''",
        page.locator("#field-prompt textarea").click,
        lambda: page.keyboard.press("Alt+ArrowUp"),
    )
    before = page.locator(".job").count()
    results["actions: run again"] = task(
        f"document.querySelectorAll('.job').length === {before + 1}", stage.locator("button.rerun").click
    )
    page.context.close()
    return results
