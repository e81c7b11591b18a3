"""Time from the first `completed` to the last image painted in a browser, with CPU, memory and bytes.

    python -m benchmarks.pictures [--repeat 5] [--json]
    python -m benchmarks.pictures --mbit 100 [--latency-ms 5] [--stream-mbit 20]

With `--mbit`, only the four files of a job are fetched over a slow line, see `slow_line.py`. Otherwise `app.py`, a mock
service and Chromium run as separate processes. The floor is measured in the same run: one decode with preview and
thumbnail, by Pillow alone. A large image has 4992 x 3328 pixels and the noise of a photo.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Browser, Page

from benchmarks.app_processes import ROOT
from benchmarks.page_processes import AppPage, PhotoServiceProcess, photo_app
from benchmarks.process_stats import NetworkCounter, chromium
from benchmarks.synthetic_photos import LARGE, SQUARE, synthetic_photos

JOBS_AT_ONCE = 8
TIMEOUT_S = 120.0
MAX_BYTES = 600_000
MAX_CPU = 1.6
MAX_MEMORY_MB = 220.0
SETTLE_S = 1.0

# The next frame after `decode` shows the image; a task queued there runs after the paint.
NOTE_PAINTED = """
window.painted = {};
const seen = new Set();
new MutationObserver(() => {
  for (const image of document.querySelectorAll(".job .tile[data-state=kept] img")) {
    if (seen.has(image)) continue;
    seen.add(image);
    const key = image.closest("figure").dataset.index + image.closest(".job").dataset.jobId;
    const note = () => image.complete && image.naturalWidth && (window.painted[key] ??=
      (performance.timeOrigin + performance.now()) / 1000);
    image.decode().then(() => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = note;
      channel.port2.postMessage(0);
    }));
  }
}).observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True)
class Case:
    """One kind of job: its name in the output, and its images."""

    name: str
    size: tuple[int, int]
    extension: str
    count: int


CASES = (
    Case("4 PNG of 4992 x 3328", LARGE, "png", 4),
    Case("4 JPEG of 4992 x 3328", LARGE, "jpg", 4),
    Case("1 PNG of 2048 x 2048", SQUARE, "png", 1),
)


def _run(
    case: Case,
    files: Sequence[Path],
    number: int,
    service: PhotoServiceProcess,
    app: AppPage,
    page: Page,
    network: NetworkCounter,
    idle_mb: float,
    idle_cores: float,
) -> dict[str, float]:
    """Generate once, as the page's job of this number, and measure until all images are painted."""
    page.locator("#field-prompt textarea").fill(json.dumps([str(file) for file in files]))
    network.reset()
    app.tree.reset_peak()
    cpu_s, submitted_s = app.tree.cpu_s(), time.monotonic()
    page.locator("#generate").click()
    page.wait_for_function(
        f"Object.keys(window.painted).length >= {(number + 1) * case.count}", timeout=TIMEOUT_S * 1000, polling=100
    )
    page.locator(".job[data-state=done]").nth(number).wait_for()
    busy_s = app.tree.cpu_s() - cpu_s - idle_cores * (time.monotonic() - submitted_s)
    page.wait_for_timeout(200)
    painted = sorted(page.evaluate("Object.values(window.painted)"))[-case.count :]
    completed_at = max(service.completed_at().values())
    return {
        "first painted, s": painted[0] - completed_at,
        "last painted, s": painted[-1] - completed_at,
        "bytes": network.size_bytes,
        "cpu, s": busy_s,
        "peak over idle, MB": app.tree.peak_mb() - idle_mb,
    }


def measure_case(case: Case, browser: Browser, repeat: int) -> dict[str, float]:
    """Run `repeat` jobs in sequence on one server and one page; medians, but the maximum of the memory."""
    files = synthetic_photos(case.size, case.extension, case.count)
    runs: list[dict[str, float]] = []
    with photo_app() as (service, app):
        context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
        context.add_init_script(NOTE_PAINTED)
        page = context.new_page()
        network = NetworkCounter(page)
        page.goto(app.url)
        page.locator("#generate").wait_for()
        page.wait_for_timeout(SETTLE_S * 1000)
        idle_mb, idle_cores = app.tree.memory_mb(), _idle_cores(app)
        for number in range(repeat):
            runs.append(_floor(files[0]) | _run(case, files, number, service, app, page, network, idle_mb, idle_cores))
        context.close()
    medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    # On a busy machine the best run says more about the app than the median.
    best = {f"{key}, best": min(run[f"{key}, s"] for run in runs) for key in ("first painted", "last painted")}
    return _judged(case, medians | best | _worst(runs))


def _worst(runs: list[dict[str, float]]) -> dict[str, float]:
    return {"peak over idle, MB": max(run["peak over idle, MB"] for run in runs)}


def _judged(case: Case, results: dict[str, float]) -> dict[str, float]:
    """Add the limit of each figure."""
    decode_s = results["floor of one decode, s"]
    limit_s = 1.3 * decode_s * case.count / (os.cpu_count() or 1) + 0.3
    results["cpu, decodes"] = results["cpu, s"] / (results["floor of one decode, cpu s"] * case.count)
    limits = {
        "last painted, s": limit_s, "bytes": MAX_BYTES, "cpu, decodes": MAX_CPU, "peak over idle, MB": MAX_MEMORY_MB,
    }  # fmt: skip
    if case.count > 1:
        limits["first painted, s"] = limit_s / 2
    return results | {f"{key} at most": value for key, value in limits.items()}


def measure_many(repeat: int) -> dict[str, float]:
    """Eight jobs of four large PNGs that complete at the same time, without a browser."""
    files = synthetic_photos(LARGE, "png", 4)
    runs = []
    for _ in range(repeat):
        floor = _floor(files[0])
        with photo_app() as (service, app):
            time.sleep(SETTLE_S)
            idle_mb, idle_cores = app.tree.memory_mb(), _idle_cores(app)
            cpu_s, submitted_s = app.tree.cpu_s(), time.monotonic()
            ended = _submit_all(app.url, json.dumps([str(file) for file in files]))
            completed_at = min(service.completed_at().values())
            busy_s = app.tree.cpu_s() - cpu_s - idle_cores * (time.monotonic() - submitted_s)
            runs.append(
                {
                    **floor,
                    "all done, s": max(ended) - completed_at,
                    "cpu, s": busy_s,
                    "peak over idle, MB": app.tree.peak_mb() - idle_mb,
                }
            )
    results = {key: statistics.median(run[key] for run in runs) for key in runs[0]} | _worst(runs)
    results["cpu, decodes"] = results["cpu, s"] / (results["floor of one decode, cpu s"] * 4 * JOBS_AT_ONCE)
    return results | {"cpu, decodes at most": MAX_CPU, "peak over idle, MB at most": MAX_MEMORY_MB}


def _submit_all(url: str, prompt: str) -> list[float]:
    """Request all jobs at once through the public endpoint; returns when each was done."""
    ended: list[float] = []

    def submit() -> None:
        call = f"{url}/gradio_api/call/v2/generate"
        event_id = requests.post(call, json={"prompt": prompt}, timeout=TIMEOUT_S).json()["event_id"]
        with requests.get(f"{url}/gradio_api/call/generate/{event_id}", stream=True, timeout=TIMEOUT_S) as stream:
            last = [line for line in stream.iter_lines(chunk_size=1, decode_unicode=True) if line.startswith("data: ")]
        reported: Any = json.loads(last[-1].removeprefix("data: "))
        assert reported[0]["state"] == "done", reported
        ended.append(time.time())

    threads = [threading.Thread(target=submit) for _ in range(JOBS_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == JOBS_AT_ONCE, "not every job finished"
    return ended


def _idle_cores(app: AppPage) -> float:
    cpu_s, started_s = app.tree.cpu_s(), time.monotonic()
    time.sleep(2.0)
    return (app.tree.cpu_s() - cpu_s) / (time.monotonic() - started_s)


def _floor(path: Path) -> dict[str, float]:
    """The minimum cost of one decode, in a separate process."""
    command = [sys.executable, "-m", "benchmarks.synthetic_photos", "floor", str(path)]
    words = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return {"floor of one decode, s": float(words[0]), "floor of one decode, cpu s": float(words[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="jobs of each kind (default 5)")
    parser.add_argument("--mbit", type=float, help="fetch files over a line of that rate, and show nothing")
    parser.add_argument("--latency-ms", type=float, default=5.0, help="of that line (default 5)")
    parser.add_argument("--stream-mbit", type=float, help="rate of each connection at most (default: that of the line)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if options.mbit:
        results = {f"4 files at {options.mbit:g} Mbit/s": _on_slow_line(options)}
        _print(results, as_json=options.json)
        return
    with chromium() as browser:
        results = {case.name: measure_case(case, browser, options.repeat) for case in CASES}
    results[f"{JOBS_AT_ONCE} jobs of 4 PNG at once"] = measure_many(min(options.repeat, 2))
    _print(results, as_json=options.json)


def _on_slow_line(options: argparse.Namespace) -> dict[str, float]:
    from benchmarks.slow_line import measure

    return measure(options.mbit, options.latency_ms / 1000, options.stream_mbit)


def _print(results: dict[str, dict[str, float]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(results | {"load": {"1 min": os.getloadavg()[0]}}))
        return
    for name, figures in results.items():
        print(name)
        for key, value in figures.items():
            if key.endswith(" at most"):
                continue
            limit = figures.get(f"{key} at most")
            verdict = "" if limit is None else f"at most {limit:10.2f}   {'met' if value <= limit else 'MISSED'}"
            print(f"  {key:<26}{value:12.2f}   {verdict}")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
