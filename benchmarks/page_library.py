"""How smoothly the Library scrolls, and how soon its first images are there."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page

from benchmarks.library_rows import make_library
from benchmarks.page_processes import AppPage
from benchmarks.process_stats import chromium

Figures = dict[str, float]
JOBS, MANY_JOBS = 420, 10_000  # 420 jobs have about 1000 images
SLOWDOWN = 4
STEP_PX, STEP_MS = 300, 40
POINTED_MS = 150  # between reaching the tab and pressing it, as a hand does
MEGABYTE = 1e6
TRACED = ["toplevel", "__metadata"]
TASK = "ThreadControllerImpl::RunTask"  # an event of "toplevel"
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
    """Tasks and memory while 1,000 images are scrolled, as if the CPU were four times slower; and the first images."""
    with _library_page(JOBS) as page:
        results = _scroll(page)
    with _library_page(MANY_JOBS) as page:
        times = []
        for _ in range(3):
            page.get_by_role("tab").nth(1).hover()
            page.wait_for_timeout(POINTED_MS)
            times.append(page.evaluate(FIRST_IMAGE_MS))
            page.evaluate("location.hash = '#/create'")
            page.reload()
            page.wait_for_selector("html[data-dreamina=ready]")
            page.wait_for_timeout(1000)
        results["first images of 10,000 jobs, ms"] = statistics.median(times)
    limits = {"longest task at a quarter of the speed, ms": 50.0, "first images of 10,000 jobs, ms": 300.0}
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
    page.mouse.move(700, 600)
    page.wait_for_timeout(2000)
    memory = [_heap_mb(tool)]  # it collects garbage, which takes long, so not while tasks are measured
    with _trace(page) as events:
        while not _is_at_end(page):
            page.mouse.wheel(0, STEP_PX)
            page.wait_for_timeout(STEP_MS)
    memory.append(_heap_mb(tool))
    shown = int(page.evaluate("document.querySelector('#library .wall li').ariaSetSize"))
    tasks = _task_ms(events)
    return {
        "images scrolled": float(shown),
        "tasks of 50 ms and more at a quarter of the speed": float(sum(SLOWDOWN * took >= 50 for took in tasks)),
        "longest task at a quarter of the speed, ms": SLOWDOWN * max(tasks),
        "CPU of the page's main thread, ms": sum(tasks),
        "heap before, MB": memory[0],
        "heap at the end, MB": memory[-1],
        "tiles in the page at the end": float(page.locator("#library .wall li").count()),
    }


@contextmanager
def _trace(page: Page) -> Iterator[list[dict[str, Any]]]:
    """Chromium's trace of what happens inside; the list is complete at the end."""
    browser = page.context.browser
    assert browser
    tool = browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    ended: list[Any] = []
    tool.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    tool.on("Tracing.tracingComplete", lambda event: ended.append(event))  # a built-in method cannot be a handler
    config = {"includedCategories": TRACED}
    tool.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    yield events
    tool.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(100)


def _task_ms(events: list[dict[str, Any]]) -> list[float]:
    """CPU milliseconds of each task of the busiest page's main thread: other work on the machine does not count."""
    named = (event for event in events if event["name"] == "thread_name")
    threads = {(event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"}
    tasks: dict[int, list[float]] = {}
    for event in events:
        if event["name"] == TASK and (event["pid"], event["tid"]) in threads:
            tasks.setdefault(event["pid"], []).append(event.get("tdur", 0) / 1000)
    return max(tasks.values(), key=sum)


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
