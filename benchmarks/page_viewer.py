"""How large and how quickly the viewer shows images, and how many actions each task takes.

The library has seven synthetic photos of 2048 x 2048 pixels in two jobs, and two of 6198 x 2656.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import requests
from playwright.sync_api import Browser, Page

from benchmarks.page_processes import AppPage, photo_app
from benchmarks.process_stats import chromium
from benchmarks.synthetic_photos import SQUARE, synthetic_photos
from dreamina_ui.models.schema import load_models
from dreamina_ui.web.i18n.translate import translate

Figures = dict[str, float]
LARGE = (6198, 2656)
SCREENS = ((1440, 900), (2560, 1440), (390, 844))
STEPS, SLOW_STEPS = 6, 4
TIMEOUT_S = 120.0
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1_500_000 / 8, "uploadThroughput": 1_500_000 / 8}
RATE = 5_000_000 / 8
FIVE_MBIT = {"offline": False, "latency": 20, "downloadThroughput": RATE, "uploadThroughput": RATE}
PAUSE_MS = 500
NEIGHBOR = "dialog.viewer .pane[data-offset='1']:is([data-copy=screen], [data-copy=preview])"
IMAGE = "document.querySelector('dialog.viewer .pane.current .frame')"
SHARP = (
    "['preview', 'screen', 'original'].includes(document.querySelector('dialog.viewer .pane.current')?.dataset.copy)"
)
SCREEN_SHARP = SHARP.replace("'preview', ", "")
# From the event of the key to the frame that shows the next image in a sharp copy.
NEXT_MS = f"""() => new Promise((done) => {{
    const before = document.querySelector("dialog.viewer .position").textContent;
    document.addEventListener("keydown", (event) => {{
        const look = () => {{
            const isThere = document.querySelector("dialog.viewer .position").textContent !== before && {SHARP};
            requestAnimationFrame(isThere ? () => done(performance.now() - event.timeStamp) : look);
        }};
        look();
    }}, {{ once: true, capture: true }});
}})"""


def measure_viewer() -> tuple[Figures, Figures]:
    """Shares of the largest possible fit, milliseconds to the next image, and actions per task."""
    with photo_app() as (_, program), chromium() as browser:
        for size, count in ((SQUARE, 3), (SQUARE, 4), (LARGE, 2)):
            generate(program, visitor(program), size, count)
        results = _sizes(browser, program) | _times(browser, program) | _actions(browser, program)
        results |= _on_slow_line(browser, program)
    limits: Figures = {"next image, ms": 100, "next image at 1.5 Mbit/s, preloaded, ms": 150}
    limits |= {
        "actions: large": 1,
        "actions: 100 % of 16 megapixels": 2,
        "actions: next": 1,
        "actions: compare four": 1,
    }
    limits |= {"actions: star": 1, "actions: share": 2, "actions: reuse settings": 1}
    limits |= {name: 1.0 for name in results if name.startswith("sharp")}
    for width, height in SCREENS:
        # The share that is missing, so that less is better.
        limits[f"part of the fit not used, {width} x {height}"] = 0.15
    return results, limits


def visitor(program: AppPage) -> requests.Session:
    """The cookies of a visitor who has opened the page."""
    http = requests.Session()
    http.trust_env = False  # a proxy cannot reach this machine's loopback
    http.get(program.url, timeout=30)
    return http


def generate(program: AppPage, http: requests.Session, size: tuple[int, int], count: int) -> None:
    """Create a visitor's job with `count` photos of `size` pixels, and wait until they are stored."""
    model_id = next(name for name, model in load_models().items() if "width×height" in model.input_schema["properties"])
    prompt = json.dumps([str(file) for file in synthetic_photos(size, "png", count)])
    inputs = {"prompt": prompt, "width×height": "2048x2048(1:1)", "scale": 0.5, "force_single": False}
    body = {"model_id": model_id, "inputs": inputs}
    http.post(f"{program.url}/dreamina/generate", json=body, timeout=30).raise_for_status()
    deadline = time.monotonic() + TIMEOUT_S
    while {job["state"] for job in http.get(f"{program.url}/dreamina/jobs", timeout=30).json()} != {"done"}:
        assert time.monotonic() < deadline, "the job never ended"
        time.sleep(0.2)


class Actions:
    """Performs the clicks and keys of a task and counts them."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def count(self, done: str, *actions: Callable[[], object]) -> float:
        """Perform the actions, wait until the JavaScript expression `done` is true, and give their number."""
        for action in actions:
            action()
        self._page.wait_for_function(done)
        return len(actions)


def _open(browser: Browser, program: AppPage, **context: Any) -> Page:
    page = browser.new_context(locale="en-US", **context).new_page()
    page.goto(f"{program.url}/#/library")
    page.locator("#library .tile").first.wait_for()
    return page


def _await_sharp(page: Page) -> None:
    page.wait_for_function(SHARP)


def _sizes(browser: Browser, program: AppPage) -> Figures:
    results = {}
    for width, height in SCREENS:
        is_phone = width < 500
        page = _open(
            browser, program, viewport={"width": width, "height": height}, has_touch=is_phone, is_mobile=is_phone
        )
        shares = []
        for index in (0, 2):
            page.locator("#library .tile").nth(index).click()
            _await_sharp(page)
            shown = page.evaluate(
                f"(() => {{ const {{ width, height }} = {IMAGE}.getBoundingClientRect(); return width * height; }})()"
            )
            image_width, image_height = LARGE if index == 0 else (2048, 2048)
            fit = min(width / image_width, height / image_height)
            shares.append(shown / (fit * image_width * fit * image_height))
            page.keyboard.press("Escape")
        results[f"part of the fit not used, {width} x {height}"] = 1 - min(shares)
        page.context.close()
    return results


def _times(browser: Browser, program: AppPage) -> Figures:
    results = {}
    for name, network in (("next image, ms", None), ("next image at 1.5 Mbit/s, preloaded, ms", SLOW)):
        page = _open(browser, program, viewport={"width": 1440, "height": 900})
        if network:
            session = page.context.new_cdp_session(page)
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", network)
        page.locator("#library .tile").nth(2).click()
        took = []
        for _ in range(SLOW_STEPS if network else STEPS):
            page.wait_for_function(f"document.querySelector({NEIGHBOR!r})", timeout=TIMEOUT_S * 1000)
            page.wait_for_timeout(PAUSE_MS)
            page.evaluate(f"() => {{ window.next = ({NEXT_MS})(); }}")
            page.keyboard.press("ArrowRight")
            took.append(float(page.evaluate("window.next")))
        results[name] = statistics.median(took)
        results[name.replace(", ms", ", worst, ms")] = max(took)
        page.context.close()
    return results


def _on_slow_line(browser: Browser, program: AppPage) -> Figures:
    """Until an image is sharp on a screen of 2560 x 1440 at 5 Mbit/s: opened, and by a step to one that is not loaded.

    As a part of 1.2 times what its bytes take, and 0.2 s.
    """
    page = _open(browser, program, viewport={"width": 2560, "height": 1440})
    tiles = page.locator("#library .tile")
    tiles.nth(0).click()  # the modules of the viewer are not what is measured
    _await_sharp(page)
    page.keyboard.press("Escape")
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", FIVE_MBIT)
    opened = _share_of_limit(page, 4, tiles.nth(3).click)
    stepped = _share_of_limit(page, 5, lambda: page.keyboard.press("ArrowRight"))
    page.context.close()
    return {"sharp at 5 Mbit/s, opened, to its limit": opened, "sharp at 5 Mbit/s, by a step, to its limit": stepped}


def _share_of_limit(page: Page, number: int, act: Callable[[], object]) -> float:
    position = "document.querySelector('dialog.viewer .position')?.textContent"
    started_s = time.monotonic()
    act()
    page.wait_for_function(f"{position}?.startsWith('{number} /') && {SCREEN_SHARP}", timeout=TIMEOUT_S * 1000)
    took_s = time.monotonic() - started_s
    size_bytes = page.evaluate(f"performance.getEntriesByName({IMAGE}.querySelector('img').src)[0].transferSize")
    return took_s / float(1.2 * size_bytes / RATE + 0.2)


def _actions(browser: Browser, program: AppPage) -> Figures:
    """How many clicks, keys or taps each task takes, counted while they are performed."""
    page = _open(browser, program, viewport={"width": 1440, "height": 900})
    task = Actions(page).count
    press = page.keyboard.press
    position = "document.querySelector('dialog.viewer .position').textContent"
    results = {"actions: large": task(SHARP, page.locator("#library .tile").first.click)}
    results["actions: 100 % of 16 megapixels"] = results["actions: large"] + task(
        f"{position}.includes('100%') && {IMAGE}.parentElement.dataset.copy === 'original'",
        lambda: page.mouse.click(700, 450),
    )
    results["actions: next"] = task(f"{position}.startsWith('2 /')", lambda: press("ArrowRight"))
    results["actions: star"] = task("document.querySelector('.tool-star').ariaPressed === 'true'", lambda: press("s"))
    press("ArrowDown")
    four = "document.querySelectorAll('dialog.viewer figure').length === 4"
    results["actions: compare four"] = task(four, lambda: press("c"))
    press("Escape")
    page.evaluate("() => { navigator.canShare = () => true; navigator.share = async () => { window.shared = true; }; }")
    send = page.get_by_role("button", name=translate("en", "share_file"), exact=True)
    results["actions: share"] = task("window.shared", lambda: press("l"), send.click)
    press("Escape")  # the dialog
    results["actions: reuse settings"] = task("!document.querySelector('dialog.viewer').open", lambda: press("r"))
    page.context.close()
    return results
