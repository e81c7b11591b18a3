"""A busy installation for a long time: does it need at the end what it needed after the first minutes?

    python -m benchmarks.soak [--minutes 30] [--json]

`app.py` and a mock service run as processes of their own; 30 minutes stand for a day. Visitors come and go: each opens
the page, reads its stream, its jobs, and the library, searches, generates, starts a batch, and deletes or marks images;
the owner looks at costs and at the Admin tab. Every tenth request fails at the service, which restarts now and then and
has then forgotten its requests; the log is rotated, and a limit on the library's size removes images all the time.

Compared are the last quarter of the time and an equally long one after the first tenth. A route's 95th percentile is
divided by that of `/healthz` in the same quarter, so that a machine that gets busier meanwhile matters less.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from benchmarks.load import INPUTS, MODEL_ID, AppWithPage, LoadServiceProcess
from benchmarks.process_stats import ProcessTree

VISITORS_AT_ONCE = 6
PACE = 12.0
FAILING = 0.1
RESTARTS = 6
LIBRARY_GB = 0.004
SAMPLE_S = 2.0
MAX_STREAM_S = 30.0
"""Then a visitor goes, whatever their jobs do."""

MAX_RATIO = 1.1
CONTROL = "/healthz"
_WORDS = ("lake", "city", "forest", "river", "desert", "snow", "harbor", "garden")


class _Measurements:
    """Seconds by route, and facts about the process, each with its time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.routes: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.facts: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.refused = 0

    def add(self, route: str, took_s: float) -> None:
        with self._lock:
            self.routes[route].append((time.monotonic(), took_s))

    def sample(self, tree: ProcessTree, ledger: Path) -> None:
        """Note memory, open files, threads and the size of the ledger."""
        process = Path(f"/proc/{tree.pid}")
        facts = {
            "memory, MB": tree.memory_by_pid()[tree.pid],
            "open files": float(len(list((process / "fd").iterdir()))),
            "threads": float(len(list((process / "task").iterdir()))),
            "ledger, MB": sum(file.stat().st_size for file in ledger.parent.glob(f"{ledger.name}*")) / 1e6,
        }
        for name, value in facts.items():
            self.facts[name].append((time.monotonic(), value))


class _Visitor:
    """One person with one browser."""

    def __init__(self, url: str, seen: _Measurements, number: int) -> None:
        self._url = url
        self._seen = seen
        self._random = random.Random(number)
        self._http = requests.Session()
        self._http.trust_env = False

    def visit(self) -> None:
        """Come, do something, go."""
        with self._http, suppress(requests.RequestException):
            self._request("/", "GET", "")
            self._request(CONTROL, "GET", "healthz")
            self._request("left", "GET", "dreamina/left")
            for _ in range(self._random.randint(1, 3)):
                self._generate()
            if self._random.random() < 0.2:
                self._start_batch()
            self._read_stream()
            self._use_library()
            self._request("costs", "GET", "dreamina/costs")
            self._request("admin", "GET", "dreamina/owner/overview")

    def _generate(self) -> None:
        inputs = INPUTS | {"prompt": f"a red fox, {self._random.choice(_WORDS)}, {self._random.random()}"}
        self._request("generate", "POST", "dreamina/generate", json={"model_id": MODEL_ID, "inputs": inputs})

    def _start_batch(self) -> None:
        text = "\n".join(f"a {self._random.choice(_WORDS)} {number}" for number in range(3))
        body: dict[str, Any] = {"model_id": MODEL_ID, "inputs": INPUTS, "text": text, "repeats": 1}
        planned = self._request("batch plan", "POST", "dreamina/batch/plan", json=body)
        if planned.ok:
            body |= {"digest": planned.json()["digest"], "press_id": f"batch-{self._random.getrandbits(64):016x}"}
            self._request("batch start", "POST", "dreamina/batches", json=body)

    def _read_stream(self) -> None:
        until = time.monotonic() + MAX_STREAM_S
        with self._http.get(f"{self._url}/dreamina/events", stream=True, timeout=60) as stream:
            for line in stream.iter_lines(chunk_size=1):
                if line == b"event: rest" or time.monotonic() > until:
                    return

    def _use_library(self) -> None:
        self._request("jobs", "GET", "dreamina/jobs")
        page = self._request("library", "GET", "dreamina/library").json()
        self._request("library, search", "GET", "dreamina/library", params={"text": self._random.choice(_WORDS)})
        self._request("library, how much", "GET", "dreamina/library/usage")
        keys = [entry["file_key"] for entry in page.get("entries", []) if entry.get("file_key")]
        if keys:
            change = {"deleted": True} if self._random.random() < 0.3 else {"favourite": True}
            self._request("library, mark", "POST", "dreamina/library/mark", json={"files": keys[:2], **change})

    def _request(self, route: str, method: str, path: str, **more: Any) -> requests.Response:
        started_s = time.monotonic()
        response = self._http.request(method, f"{self._url}/{path}", timeout=60, **more)
        if response.status_code < 400:
            self._seen.add(route, time.monotonic() - started_s)
        else:
            self._seen.refused += 1
        return response


def measure(folder: Path, minutes: float) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Run for so long; pairs of early and late figures by name, and how much was done."""
    seen, ended = _Measurements(), time.monotonic() + minutes * 60
    began = time.monotonic()
    options = ("--pace", str(PACE), "--failing", str(FAILING))
    limits = {"DREAMINA_MAX_LIBRARY_GB": str(LIBRARY_GB), "DREAMINA_LOG_LEVEL": "DEBUG"}
    with LoadServiceProcess(folder, *options) as service, AppWithPage(folder, service.url, **limits) as app:
        for program in (service, app):
            program.start()
            program.wait_ready()
        began = time.monotonic()
        ended = began + minutes * 60

        def come_and_go(number: int) -> int:
            visits = 0
            while time.monotonic() < ended:
                _Visitor(app.url, seen, number * 1_000_000 + visits).visit()
                visits += 1
            return visits

        with ThreadPoolExecutor(VISITORS_AT_ONCE) as pool:
            visits = [pool.submit(come_and_go, number) for number in range(VISITORS_AT_ONCE)]
            _watch(ProcessTree(app.pid), folder / "data", seen, ended, lambda: _disturb(service, app))
            done = {"visits": float(sum(visit.result() for visit in visits)), "refused": float(seen.refused)}
        app.stop()
    return _compare(seen, began, ended), done


def _watch(tree: ProcessTree, data: Path, seen: _Measurements, ended: float, disturb: Callable[[], None]) -> None:
    began = time.monotonic()
    next_disturbance = began + (ended - began) / RESTARTS
    while (now := time.monotonic()) < ended:
        seen.sample(tree, data / "ledger.sqlite3")
        if now >= next_disturbance:
            disturb()
            next_disturbance += (ended - began) / RESTARTS
        time.sleep(SAMPLE_S)


def _disturb(service: LoadServiceProcess, app: AppWithPage) -> None:
    """Restart the service, and rotate the log of the app as `copytruncate` does."""
    service.kill()
    service.start()
    service.wait_ready()
    with app.log.open("r+") as log:
        log.truncate(0)


def _compare(seen: _Measurements, began: float, ended: float) -> dict[str, tuple[float, float]]:
    """Early and late: medians of facts, and 95th percentiles of routes over those of the control."""
    span = (ended - began) / 4
    early, late = (began + (ended - began) / 10, began + (ended - began) / 10 + span), (ended - span, ended)

    def within(values: list[tuple[float, float]], window: tuple[float, float]) -> list[float]:
        return [value for at, value in values if window[0] <= at < window[1]]

    figures = {
        name: (statistics.median(within(values, early)), statistics.median(within(values, late)))
        for name, values in seen.facts.items()
    }
    jobs = [len(within(seen.routes["generate"], (began, window[1]))) for window in (early, late)]
    sizes = figures.pop("ledger, MB")
    figures["ledger, kB for each request to generate"] = (1000 * sizes[0] / jobs[0], 1000 * sizes[1] / jobs[1])
    control = [_p95(within(seen.routes[CONTROL], window)) for window in (early, late)]
    for route, values in sorted(seen.routes.items()):
        p95 = [_p95(within(values, window)) for window in (early, late)]
        label = f"{route}, p95, ms" if route == CONTROL else f"{route}, p95, to {CONTROL}"
        divisors = (0.001, 0.001) if route == CONTROL else control
        figures[label] = (p95[0] / divisors[0], p95[1] / divisors[1])
    return figures


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0] if values else float("nan")


def main() -> None:
    """Measure, print; exit with 1 if something is larger at the end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dreamina-soak-") as name:
        figures, done = measure(Path(name), options.minutes)
    if options.json:
        print(json.dumps({"figures": figures, "done": done}))
    else:
        for label, (early, late) in figures.items():
            is_more = late > early * MAX_RATIO and not label.startswith(CONTROL)
            print(f"{label:<44}{early:>10.2f}{late:>10.2f}{late / early:>8.2f}{'  MORE' if is_more else ''}")
        print(", ".join(f"{name}: {value:.0f}" for name, value in done.items()))
    if any(late > early * MAX_RATIO for label, (early, late) in figures.items() if not label.startswith(CONTROL)):
        sys.exit(f"Something is more than {MAX_RATIO} times what it was.")


if __name__ == "__main__":
    main()
