"""The start, a first visit and idle pages, next to an empty Gradio page in the same run.

    python -m benchmarks.page start [--repeat 7] [--json]
    python -m benchmarks.page visit [--repeat 7] [--json]
    python -m benchmarks.page idle [--pages 100] [--events 10000] [--json]
    python -m benchmarks.page create [--json]
    python -m benchmarks.page viewer [--json]
    python -m benchmarks.page library [--json]

Each runs `python app.py` on its sandbox. `idle` opens, over plain sockets, the streams that an unused page keeps open;
it reads from one page in Chromium which streams these are.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from playwright.sync_api import Browser, Page

from benchmarks.page_create import measure_create
from benchmarks.page_library import measure_library
from benchmarks.page_processes import AppPage, EmptyGradioPage, PageProcess
from benchmarks.page_viewer import measure_viewer
from benchmarks.process_stats import NetworkCounter, chromium

Figures = dict[str, float]
IDLE_S = 20.0
ROUNDS = 3
_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


def measure_start(repeat: int) -> tuple[Figures, Figures]:
    """Seconds from the start of a process to its first response, in turns."""
    ours: list[Any] = []
    empty: list[Any] = []
    for _ in range(repeat):
        for kind, results in ((EmptyGradioPage, empty), (AppPage, ours)):
            with tempfile.TemporaryDirectory() as name, kind(Path(name)) as program:
                program.start()
                results.append(program.wait_ready())
    figures = {"app, s": statistics.median(ours), "empty Gradio page, s": statistics.median(empty)}
    return figures | {"ratio": figures["app, s"] / figures["empty Gradio page, s"]}, {"ratio": 1.3}


def measure_visit(repeat: int) -> tuple[Figures, Figures]:
    """Bytes, first contentful paint and the whole form of first visits to warm servers, in turns, and of a reload."""
    ours: list[Any] = []
    empty: list[Any] = []
    with _both() as (our_page, empty_page), chromium() as browser:
        for program in (our_page, empty_page):
            _visit(browser, program)  # not measured: the first visit warms the server
        for _ in range(repeat):
            empty.append(_visit(browser, empty_page))
            ours.append(_visit(browser, our_page))
    figures = {f"app, {key}": statistics.median(visit[key] for visit in ours) for key in ours[0]}
    figures |= {f"empty Gradio page, {key}": statistics.median(visit[key] for visit in empty) for key in empty[0]}
    figures["first paint, ratio"] = figures["app, first paint, ms"] / figures["empty Gradio page, first paint, ms"]
    return figures, {"app, bytes": 450_000, "app, reload bytes": 60_000, "first paint, ratio": 1.3}


def _visit(browser: Browser, program: PageProcess) -> Figures:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    network = NetworkCounter(page)
    page.goto(program.url)
    page.locator(program.ready).wait_for(state="attached")
    ready_ms = page.evaluate("performance.now()")
    _wait_quiet(page, network)
    first_paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    results = {
        "ready, ms": ready_ms,
        "bytes": network.size_bytes,
        "requests": len(network.urls),
        "first paint, ms": page.evaluate(first_paint),
    }
    network.reset()
    page.reload()
    _wait_quiet(page, network)
    results |= {"reload bytes": network.size_bytes, "reload first paint, ms": page.evaluate(first_paint)}
    context.close()
    return results


def _wait_quiet(page: Page, network: NetworkCounter) -> None:
    """Wait until nothing arrives for two seconds; unlike for Playwright's `networkidle`, open streams do not count."""
    known = -1
    while network.size_bytes != known:
        known = network.size_bytes
        page.wait_for_timeout(2000)


def measure_idle(pages: int, events: int) -> tuple[Figures, Figures]:
    """CPU while `pages` pages are open, in turns, and how long an event takes after many others."""
    results: Figures = {}
    with _both() as programs:
        with chromium() as browser:
            streams = [_open_streams(browser, program, results) for program in programs]
        cores: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for number, program in enumerate(programs):
                with _open_pages(program, streams[number], pages):
                    time.sleep(1)  # opening them is not idle time
                    cores[number].append(_cores(program, IDLE_S / ROUNDS))
        ours, empty = map(statistics.median, cores)
        results |= {"streams of an open page": len(streams[0]), "streams of an empty page": len(streams[1])}
        results |= {"app, % of a core": 100 * ours, "empty Gradio page, % of a core": 100 * empty}
        results["difference, % of a core"] = 100 * (ours - empty)
        _event_ms(programs[0], 100)
        early_ms, early_cpu_ms = _event_ms(programs[0], 200)
        _event_ms(programs[0], max(0, events - 300))
        late_ms, late_cpu_ms = _event_ms(programs[0], 200)
    results |= {
        "event after 100, ms": early_ms,
        f"event after {events}, ms": late_ms,
        "event, ratio": late_ms / early_ms,
    }
    results |= {"event after 100, cpu ms": early_cpu_ms, f"event after {events}, cpu ms": late_cpu_ms}
    # Two runs of the same code differ by up to a tenth.
    return results, {"difference, % of a core": 2.0, "event, ratio": 1.1}


def _cores(program: PageProcess, seconds: float) -> float:
    cpu_s, started_s = program.tree.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (program.tree.cpu_s() - cpu_s) / (time.monotonic() - started_s)


def _open_streams(browser: Browser, program: PageProcess, results: Figures) -> list[str]:
    """Paths of the requests that an idle page keeps open; adds to `results` how many requests it makes per 10 s."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    network = NetworkCounter(page)
    page.goto(program.url)
    _wait_quiet(page, network)
    paths = [network.urls[request].removeprefix(program.url) for request in network.unfinished()]
    network.reset()
    page.wait_for_timeout(10_000)
    results[f"{type(program).__name__}: requests in 10 s"] = len(network.urls)
    context.close()
    return paths


@contextmanager
def _open_pages(program: PageProcess, streams: list[str], pages: int) -> Iterator[None]:
    """Keep the streams of `pages` visitors open; each gets its own session id in the URL."""
    url_parts = urlsplit(program.url)
    with ExitStack() as stack:
        for _ in range(pages):
            cookie = "; ".join(f"{key}={value}" for key, value in requests.get(program.url, timeout=30).cookies.items())
            for path in streams:
                folder, is_session, _ = path.partition("/heartbeat/")
                own = f"{folder}/heartbeat/{uuid4().hex[:11]}" if is_session else path
                line = stack.enter_context(socket.create_connection((str(url_parts.hostname), url_parts.port or 80)))
                head = f"GET {own} HTTP/1.1\r\nHost: {url_parts.netloc}\r\nCookie: {cookie}\r\n"
                line.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
        yield


def _event_ms(program: PageProcess, count: int) -> tuple[float, float]:
    """Median milliseconds of `count` sequential events through the queue of Gradio, and CPU milliseconds per event.

    The event reads a job that does not exist: the shortest path through Gradio.
    """
    call = f"{program.url}/gradio_api/call/job"
    cpu_s = program.tree.cpu_s()
    took = []
    for _ in range(count):
        started_s = time.perf_counter()
        event_id = _http.post(call, json={"data": ["none"]}, timeout=30).json()["event_id"]
        _http.get(f"{call}/{event_id}", timeout=30)
        took.append(time.perf_counter() - started_s)
    return (1000 * statistics.median(took), 1000 * (program.tree.cpu_s() - cpu_s) / count) if took else (0.0, 0.0)


@contextmanager
def _both() -> Iterator[tuple[PageProcess, PageProcess]]:
    """The app and an empty page, both running."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        programs = tuple(stack.enter_context(kind(Path(name))) for kind in (AppPage, EmptyGradioPage))
        for program in programs:
            program.start()
        for program in programs:
            program.wait_ready()
        yield programs[0], programs[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("start", "visit", "idle", "create", "viewer", "library"))
    parser.add_argument("--repeat", type=int, default=7, help="starts or visits of each page (default 7)")
    parser.add_argument("--pages", type=int, default=100, help="open pages (default 100)")
    parser.add_argument("--events", type=int, default=10_000, help="events through the queue of Gradio (default 10000)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.what == "start":
        results, limits = measure_start(options.repeat)
    elif options.what == "visit":
        results, limits = measure_visit(options.repeat)
    elif options.what == "create":
        results, limits = measure_create()
    elif options.what == "viewer":
        results, limits = measure_viewer()
    elif options.what == "library":
        results, limits = measure_library()
    else:
        results, limits = measure_idle(options.pages, options.events)
    results["load of the machine at the end"] = os.getloadavg()[0]
    if options.json:
        print(json.dumps(results | {f"{key} at most": limit for key, limit in limits.items()}))
        return
    for key, value in results.items():
        limit = limits.get(key)
        verdict = "" if limit is None else f"at most {limit:10.2f}   {'met' if value <= limit else 'MISSED'}"
        print(f"{key:<44}{value:12.2f}   {verdict}")


if __name__ == "__main__":
    main()
