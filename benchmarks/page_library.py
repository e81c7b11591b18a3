"""How smoothly the Library scrolls, and how soon its first images are there."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import CDPSession, Page

from benchmarks.library_rows import make_library
from benchmarks.page_processes import AppPage
from benchmarks.process_stats import chromium

Figures = dict[str, float]
JOBS, MANY_JOBS = 420, 10_000  # 420 jobs have about 1000 images
SLOWDOWN = 4
STEP_PX, STEP_MS = 300, 40
MEGABYTE = 1e6
# Frames of 50 ms and more, as Chromium reports them: each with its work, layout and painting.
COUNT_FRAMES = """() => {
    window.slowFrames = [];
    new PerformanceObserver((list) => slowFrames.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: "long-animation-frame" });
}"""
FIRST_IMAGE_MS = """() => new Promise((done) => {
    const start = performance.now();
    document.querySelectorAll("[role=tab]")[1].click();
    const look = () => {
        const images = [...document.querySelectorAll("#library .wall img")];
        if (images.some((image) => image.complete && image.naturalWidth)) done(performance.now() - start);
        else setTimeout(look, 5);
    };
    look();
})"""


def measure_library() -> tuple[Figures, Figures]:
    """The longest frame of 1,000 images at a quarter of the CPU's speed, their memory, and the first images."""
    with _library_page(JOBS) as page:
        results = _scroll(page)
    with _library_page(MANY_JOBS) as page:
        times = []
        for _ in range(3):
            times.append(page.evaluate(FIRST_IMAGE_MS))
            page.reload()
            page.wait_for_selector("html[data-dreamina=ready]")
            page.wait_for_timeout(1000)
        results["first images of 10,000 jobs, ms"] = statistics.median(times)
    limits = {"longest frame of 1,000 images, ms": 50.0, "first images of 10,000 jobs, ms": 300.0}
    return results, limits


@contextmanager
def _library_page(job_count: int) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        make_library(folder / "data", job_count, "v", "https://nowhere.invalid")
        with AppPage(folder) as program, chromium() as browser:
            program.start()
            program.wait_ready()
            page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
            page.goto(program.url)
            page.wait_for_selector("html[data-dreamina=ready]")
            page.wait_for_timeout(2000)
            yield page


def _scroll(page: Page) -> Figures:
    page.evaluate(FIRST_IMAGE_MS)
    tool = page.context.new_cdp_session(page)
    tool.send("Performance.enable")
    tool.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.mouse.move(700, 600)
    page.wait_for_timeout(2000)
    page.evaluate(COUNT_FRAMES)
    memory: list[float] = []
    while not _is_at_end(page):
        page.mouse.wheel(0, STEP_PX)
        page.wait_for_timeout(STEP_MS)
        if len(memory) == 0 and page.evaluate("scrollY > 4000"):
            memory.append(_heap_mb(tool))
    memory.append(_heap_mb(tool))
    shown = int(page.evaluate("document.querySelector('#library .wall li').ariaSetSize"))
    slow = page.evaluate("slowFrames")
    return {
        "images scrolled": float(shown),
        "frames of 50 ms and more": float(len(slow)),
        "longest frame of 1,000 images, ms": max(slow, default=0.0),
        "heap after the first 4000 px, MB": memory[0],
        "heap at the end, MB": memory[-1],
        "tiles in the page at the end": float(page.locator("#library .wall li").count()),
    }


def _is_at_end(page: Page) -> bool:
    return bool(
        page.evaluate(
            "scrollY + innerHeight > document.documentElement.scrollHeight - 5"
            " && document.querySelector('#library .more').hidden"
        )
    )


def _heap_mb(tool: CDPSession) -> float:
    tool.send("HeapProfiler.collectGarbage")
    metrics = tool.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "JSHeapUsedSize")) / MEGABYTE
