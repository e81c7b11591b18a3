"""Memory of the app before, during, and a minute after eight large jobs.

    python -m benchmarks.memory sandbox|results [--wait 60] [--json]

`sandbox` lets the embedded sandbox paint the images in the app, `results` fetches them from a mock service. Memory is
that of the app with all of its child processes, looked at twenty times a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from benchmarks.page_processes import AppPage, PhotoServiceProcess
from benchmarks.synthetic_photos import LARGE, synthetic_photos

JOBS = 8
SIZE = "6198x2656(21:9)"
TIMEOUT_S = 300.0
SAMPLE_S = 0.05
TARGETS = {"peak over idle, MB": 250.0, "later over idle, MB": 60.0}


def measure(what: str, wait_s: float) -> dict[str, float]:
    """Run the jobs on one app, and look at it before, meanwhile and `wait_s` seconds later."""
    with tempfile.TemporaryDirectory(prefix="dreamina-memory-") as name:
        if what == "sandbox":
            return _measure_app(Path(name), None, "a red fox", wait_s)
        prompt = json.dumps([str(file) for file in synthetic_photos(LARGE, "png", 4)])
        with PhotoServiceProcess(Path(name)) as service:
            service.start()
            service.wait_ready()
            return _measure_app(Path(name), service.url, prompt, wait_s)


def _measure_app(folder: Path, api_url: str | None, prompt: str, wait_s: float) -> dict[str, float]:
    with AppPage(folder, api_url) as app:
        app.start()
        app.wait_ready()
        _generate(app.url, "a first, small one", "1024x1024(1:1)" if api_url is None else None)
        time.sleep(wait_s)
        idle_mb = app.tree.memory_mb()
        is_over, peaks = threading.Event(), [idle_mb]

        def sample() -> None:
            while not is_over.wait(SAMPLE_S):
                peaks.append(app.tree.memory_mb())

        sampler = threading.Thread(target=sample)
        sampler.start()
        started_s = time.monotonic()
        threads = [
            threading.Thread(target=_generate, args=(app.url, prompt, SIZE if api_url is None else None))
            for _ in range(JOBS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - started_s
        is_over.set()
        sampler.join()
        time.sleep(wait_s)
        return {
            "idle, MB": idle_mb,
            "peak over idle, MB": max(peaks) - idle_mb,
            "later over idle, MB": app.tree.memory_mb() - idle_mb,
            "all jobs, s": took_s,
        }


def _generate(url: str, prompt: str, size: str | None) -> None:
    """One job from the request to its end."""
    body = {"prompt": prompt} | ({"size": size} if size else {})
    call = f"{url}/gradio_api/call/v2/generate"
    event_id = requests.post(call, json=body, timeout=TIMEOUT_S).json()["event_id"]
    with requests.get(f"{url}/gradio_api/call/generate/{event_id}", stream=True, timeout=TIMEOUT_S) as stream:
        last = [line for line in stream.iter_lines(chunk_size=1, decode_unicode=True) if line.startswith("data: ")]
    reported = json.loads(last[-1].removeprefix("data: "))
    assert reported[0]["state"] == "done", reported


def main() -> None:
    """Parse arguments, measure, print; exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("sandbox", "results"))
    parser.add_argument("--wait", type=float, default=60.0, help="seconds before memory counts as idle (default: 60)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    figures = measure(options.what, options.wait)
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:<24}{value:>10.1f}" for name, value in figures.items()))
    missed = [
        f"{name}: {figures[name]:.0f}, the target is at most {limit:g}"
        for name, limit in TARGETS.items()
        if figures[name] > limit
    ]
    if missed:
        sys.exit("\n".join(missed))


if __name__ == "__main__":
    main()
