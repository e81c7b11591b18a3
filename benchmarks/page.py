"""What the page costs beside an empty Gradio page in the same run: the start, a first visit, and doing nothing.

    python -m benchmarks.page start [--repeat 7] [--json]
    python -m benchmarks.page visit [--repeat 7] [--json]
    python -m benchmarks.page idle [--pages 100] [--events 10000] [--json]

Each runs `python app.py` with its sandbox. `idle` holds open, over bare sockets, what an unused page holds open:
which streams these are is read from one real page in Chromium.
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

from benchmarks.processes import Wire, chromium
from benchmarks.served import EmptyPage, OurPage, Served

Figures = dict[str, float]
IDLE_S = 20.0
ROUNDS = 3
_http = requests.Session()
_http.trust_env = False  # a proxy cannot reach this machine's loopback


def measure_start(repeat: int) -> tuple[Figures, Figures]:
    """Seconds from the start of the process to its first answer, by turns."""
    ours: list[Any] = []
    empty: list[Any] = []
    for _ in range(repeat):
        for kind, found in ((EmptyPage, empty), (OurPage, ours)):
            with tempfile.TemporaryDirectory() as name, kind(Path(name)) as program:
                program.start()
                found.append(program.wait_ready())
    figures = {"ours, s": statistics.median(ours), "empty Gradio page, s": statistics.median(empty)}
    return figures | {"ratio": figures["ours, s"] / figures["empty Gradio page, s"]}, {"ratio": 1.3}


def measure_visit(repeat: int) -> tuple[Figures, Figures]:
    """Bytes and first contentful paint of first visits to warm servers, by turns, and of a reload."""
    ours: list[Any] = []
    empty: list[Any] = []
    with _both() as (our_page, empty_page), chromium() as browser:
        for program in (our_page, empty_page):
            _visit(browser, program)  # not measured: the first visit of all warms the server
        for _ in range(repeat):
            empty.append(_visit(browser, empty_page))
            ours.append(_visit(browser, our_page))
    figures = {f"ours, {key}": statistics.median(visit[key] for visit in ours) for key in ours[0]}
    figures |= {f"empty Gradio page, {key}": statistics.median(visit[key] for visit in empty) for key in empty[0]}
    figures["first paint, ratio"] = figures["ours, first paint, ms"] / figures["empty Gradio page, first paint, ms"]
    return figures, {"ours, bytes": 900_000, "ours, reload bytes": 60_000, "first paint, ratio": 1.6}


def _visit(browser: Browser, program: Served) -> Figures:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    wire = Wire(page)
    page.goto(program.url)
    _wait_quiet(page, wire)
    first_paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    found = {"bytes": wire.size_bytes, "requests": len(wire.addresses), "first paint, ms": page.evaluate(first_paint)}
    wire.forget()
    page.reload()
    _wait_quiet(page, wire)
    found |= {"reload bytes": wire.size_bytes, "reload first paint, ms": page.evaluate(first_paint)}
    context.close()
    return found


def _wait_quiet(page: Page, wire: Wire) -> None:
    """Wait until nothing has come for two seconds; open streams do not count, as they do for Playwright's own wait."""
    known = -1
    while wire.size_bytes != known:
        known = wire.size_bytes
        page.wait_for_timeout(2000)


def measure_idle(pages: int, events: int) -> tuple[Figures, Figures]:
    """Processor time while so many pages are open, by turns, and how long an event takes after many others."""
    found: Figures = {}
    with _both() as programs:
        with chromium() as browser:
            streams = [_open_streams(browser, program, found) for program in programs]
        cores: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for number, program in enumerate(programs):
                with _open_pages(program, streams[number], pages):
                    time.sleep(1)  # opening them is not idling
                    cores[number].append(_cores(program, IDLE_S / ROUNDS))
        ours, empty = map(statistics.median, cores)
        found |= {"streams of an open page": len(streams[0]), "streams of an empty page": len(streams[1])}
        found |= {"ours, % of a core": 100 * ours, "empty Gradio page, % of a core": 100 * empty}
        found["difference, % of a core"] = 100 * (ours - empty)
        _event_ms(programs[0], 100)
        early_ms, early_cpu_ms = _event_ms(programs[0], 200)
        _event_ms(programs[0], max(0, events - 300))
        late_ms, late_cpu_ms = _event_ms(programs[0], 200)
    found |= {"event after 100, ms": early_ms, f"event after {events}, ms": late_ms, "event, ratio": late_ms / early_ms}
    found |= {"event after 100, cpu ms": early_cpu_ms, f"event after {events}, cpu ms": late_cpu_ms}
    # Equal figures differ by chance: by a tenth, in our measurements.
    return found, {"difference, % of a core": 2.0, "event, ratio": 1.1}


def _cores(program: Served, seconds: float) -> float:
    cpu_s, started_s = program.tree.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (program.tree.cpu_s() - cpu_s) / (time.monotonic() - started_s)


def _open_streams(browser: Browser, program: Served, found: Figures) -> list[str]:
    """Paths of the requests that a page leaves open once it has come to rest; notes how many it makes from then on."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    wire = Wire(page)
    page.goto(program.url)
    _wait_quiet(page, wire)
    paths = [wire.addresses[request].removeprefix(program.url) for request in wire.unfinished()]
    wire.forget()
    page.wait_for_timeout(10_000)
    found[f"{type(program).__name__}: requests in 10 s"] = len(wire.addresses)
    context.close()
    return paths


@contextmanager
def _open_pages(program: Served, streams: list[str], pages: int) -> Iterator[None]:
    """Hold the streams of so many visitors; a session's number in an address is made a new one for each."""
    address = urlsplit(program.url)
    with ExitStack() as stack:
        for _ in range(pages):
            cookie = "; ".join(f"{key}={value}" for key, value in requests.get(program.url, timeout=30).cookies.items())
            for path in streams:
                folder, is_session, _ = path.partition("/heartbeat/")
                own = f"{folder}/heartbeat/{uuid4().hex[:11]}" if is_session else path
                line = stack.enter_context(socket.create_connection((str(address.hostname), address.port or 80)))
                head = f"GET {own} HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: {cookie}\r\n"
                line.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
        yield


def _event_ms(program: Served, count: int) -> tuple[float, float]:
    """Median milliseconds of so many events through Gradio's queue, one after the other; and processor time of one.

    The event is a question for a job that there is not: the shortest way through all of Gradio.
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
def _both() -> Iterator[tuple[Served, Served]]:
    """Our page and an empty one, both running."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        programs = tuple(stack.enter_context(kind(Path(name))) for kind in (OurPage, EmptyPage))
        for program in programs:
            program.start()
        for program in programs:
            program.wait_ready()
        yield programs[0], programs[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("start", "visit", "idle"))
    parser.add_argument("--repeat", type=int, default=7, help="starts or visits of each kind (default 7)")
    parser.add_argument("--pages", type=int, default=100, help="open pages (default 100)")
    parser.add_argument("--events", type=int, default=10_000, help="events through Gradio's queue (default 10000)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.what == "start":
        found, limits = measure_start(options.repeat)
    elif options.what == "visit":
        found, limits = measure_visit(options.repeat)
    else:
        found, limits = measure_idle(options.pages, options.events)
    found["load of the machine at the end"] = os.getloadavg()[0]
    if options.json:
        print(json.dumps(found | {f"{key} at most": limit for key, limit in limits.items()}))
        return
    for key, value in found.items():
        limit = limits.get(key)
        verdict = "" if limit is None else f"at most {limit:10.2f}   {'holds' if value <= limit else 'MISSED'}"
        print(f"{key:<38}{value:12.2f}   {verdict}")


if __name__ == "__main__":
    main()
