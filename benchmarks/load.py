"""Many visitors at once: how late does each page hear that its job is completed, and what does that cost?

    python -m benchmarks.load visitors [--jobs 500] [--json]
    python -m benchmarks.load throttled [--jobs 100] [--json]

The real `app.py` and a stand-in service run as processes of their own. Visitors who have opened the page press
Generate once each and watch the page's stream, over bare sockets. `visitors` first lets a few jobs teach the program
how long runs take; `throttled` does not, and the service refuses all status calls beyond ten in a second.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import math
import os
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks.audit import read_rows
from benchmarks.programs import TOKEN, App, Program
from dreamina_ui.ledger.job import SETTLED

WARM_UP_JOBS = 30
WARM_UP_S = 3.0
ARRIVALS_S = 10.0
"""Within how many seconds all visitors press."""

ALLOWED_PER_S = 10
FIXED_S = 2.0
"""The service's own command line asks this often; on average it is late by half of it."""

PATIENCE_S = 180.0
MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
VISITORS_TARGETS: dict[str, float] = {
    "lateness p95, s": 1.5, "peak memory, MB": 450, "CPU, cores": 1.3, "lost": 0, "sent twice": 0,
}  # fmt: skip
THROTTLED_TARGETS: dict[str, float] = {"lateness p95, s": 12, "429s in any later second": 1, "lost": 0, "sent twice": 0}


class LoadServiceProgram(Program):
    """`python -m benchmarks.service` on a port of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        super().__init__(
            folder, "service", "-m", "benchmarks.service", "--port", str(port), "--token", TOKEN, *options
        )  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """What it saw, see `service.Counts`; seconds are text."""
        found: dict[str, Any] = requests.get(f"{self.url}/load/counts", timeout=30).json()
        return found

    def _is_ready(self) -> bool:
        try:
            return bool(self.counts())
        except requests.ConnectionError:
            return False


class Page(App):
    """The real `app.py`, used through its page."""

    @property
    def url(self) -> str:
        return self._url

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid


@dataclass(frozen=True)
class Heard:
    """The last that a visitor's stream said of their job: its state, and when, in seconds since 1970."""

    prompt: str
    state: str
    at: float


class Crowd:
    """Visitors of one page.

    Args:
        url: of the page.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._numbers = itertools.count(1)

    def open(self, pages: int) -> list[str]:
        """Let so many visitors open the page, a few at a time; gives the cookie of each."""

        async def everybody() -> list[str]:
            places = asyncio.Semaphore(4)
            return await asyncio.gather(*(self._open(places) for _ in range(pages)))

        return asyncio.run(everybody())

    def press(self, cookies: Sequence[str], over_s: float) -> list[Heard]:
        """Let each visitor press Generate once, all within `over_s` seconds, and wait until all have heard the end."""

        async def everybody() -> list[Heard]:
            pause_s = over_s / len(cookies)
            return await asyncio.gather(*(self._wait_and_press(pause_s * i, c) for i, c in enumerate(cookies)))

        return asyncio.run(everybody())

    async def _open(self, places: asyncio.Semaphore) -> str:
        async with places:
            async with self._ask("/", "") as (headers, response):
                await response.read()
            cookie = headers["set-cookie"].partition(";")[0]
            async with aclosing(self._events("/dreamina/events", cookie)) as stream:
                async for _ in stream:  # no job yet: it ends at once
                    pass
        return cookie

    async def _wait_and_press(self, pause_s: float, cookie: str) -> Heard:
        await asyncio.sleep(pause_s)
        prompt = f"press {next(self._numbers)}"
        try:
            return await asyncio.wait_for(self._press_and_watch(cookie, prompt), PATIENCE_S)
        except (OSError, asyncio.TimeoutError) as exc:
            return Heard(prompt, type(exc).__name__, time.time())

    async def _press_and_watch(self, cookie: str, prompt: str) -> Heard:
        body = {"model_id": MODEL_ID, "inputs": INPUTS | {"prompt": prompt}}
        async with self._ask("/dreamina/generate", cookie, body) as (_, response):
            told = json.loads(await response.read())
        if "job_id" not in told:
            return Heard(prompt, f"refused: {told}", time.time())
        async with aclosing(self._events("/dreamina/events", cookie)) as stream:
            async for cards in stream:
                if cards and cards[0]["state"] in SETTLED:
                    return Heard(prompt, cards[0]["state"], time.time())
        return Heard(prompt, "stream broken", time.time())

    async def _events(self, path: str, cookie: str) -> AsyncGenerator[Any, None]:
        async with self._ask(path, cookie) as (_, response):
            async for line in response:  # the sizes of HTTP's chunks stand on lines of their own
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    @asynccontextmanager
    async def _ask(
        self, path: str, cookie: str, body: Any = None
    ) -> AsyncIterator[tuple[dict[str, str], asyncio.StreamReader]]:
        """One request on a connection of its own; gives the answer's headers, and its body with HTTP's chunks in it."""
        content = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port, limit=2**22)
        try:
            lines = [
                f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
                f"Host: {self._address.netloc}",
                f"Cookie: {cookie}",
                "Connection: close",
                "Content-Type: application/json",
                f"Content-Length: {len(content)}",
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = [line.partition(": ") for line in head[1:] if line]
            yield {name.lower(): value for name, _, value in pairs}, reader
        finally:
            writer.close()


@dataclass(frozen=True)
class _Use:
    """CPU seconds that a process has used, and the moment."""

    cpu_s: float
    at: float

    @classmethod
    def of(cls, pid: int) -> _Use:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return cls((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), time.monotonic())

    def cores_since(self, earlier: _Use) -> float:
        return (self.cpu_s - earlier.cpu_s) / (self.at - earlier.at)


def visitors(folder: Path, jobs: int, *, warm_up_jobs: int = WARM_UP_JOBS) -> dict[str, float]:
    """Let `jobs` visitors come at once to a program that knows the run times; figures by label."""
    return _measure(folder, jobs, warm_up_jobs, ())


def throttled(folder: Path, jobs: int) -> dict[str, float]:
    """Let `jobs` visitors come to a program that knows nothing, over a service that limits status calls."""
    return _measure(folder, jobs, 0, ("--allowed-per-s", str(ALLOWED_PER_S)))


def _measure(folder: Path, jobs: int, warm_up_jobs: int, options: Sequence[str]) -> dict[str, float]:
    load_before = os.getloadavg()[0]
    folder.mkdir(exist_ok=True)
    with LoadServiceProgram(folder, *options) as service, Page(folder, service.url) as app:
        for program in (service, app):
            program.start()
        for program in (service, app):
            program.wait_ready()
        crowd = Crowd(app.url)
        before_s = float(_rss_mb(app.pid))
        if warm_up_jobs:
            crowd.press(crowd.open(warm_up_jobs), WARM_UP_S)
        cookies = crowd.open(jobs)
        began = _Use.of(app.pid)
        calls_before = sum(service.counts()["answered"].values())
        handled = crowd.press(cookies, ARRIVALS_S)
        ended = _Use.of(app.pid)
        counts = service.counts()
        figures = {
            **_lateness(folder / "data", handled, counts["requests"]),
            "status calls per job": (sum(counts["answered"].values()) - calls_before) / jobs,
            "CPU, cores": ended.cores_since(began),
            "memory before, MB": before_s,
            "peak memory, MB": _rss_mb(app.pid, "VmHWM"),
            **_refusals({int(second): number for second, number in counts["refused"].items()}),
        }
        app.stop()
    figures |= _lost_and_double(folder / "data", handled, counts["requests"])
    figures |= {"took, s": ended.at - began.at, "load of the machine before": load_before}
    return {label: round(value, 3) for label, value in figures.items()}


def _lateness(data: Path, handled: Sequence[Heard], accepted: dict[str, Any]) -> dict[str, float]:
    """From `completed` at the service to the stream's last message, and where that time went."""
    completed_at = {facts["prompt"]: facts["completed_at"] for facts in accepted.values()}
    rows = {
        json.loads(row["inputs"])["prompt"]: row
        for row in read_rows(data, "SELECT inputs, completed_at, finished_at FROM jobs WHERE state = 'done'")
    }
    done = [each for each in handled if each.state == "done"]
    spans: dict[str, list[float]] = {
        "lateness": [each.at - completed_at[each.prompt] for each in done],
        "  until noticed": [rows[each.prompt]["completed_at"] - completed_at[each.prompt] for each in done],
        "  until saved": [rows[each.prompt]["finished_at"] - rows[each.prompt]["completed_at"] for each in done],
        "  until told": [each.at - rows[each.prompt]["finished_at"] for each in done],
    }
    found: dict[str, float] = {}
    for label, values in spans.items():
        late_s = sorted(values)
        for part, place in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            found[f"{label} {part}, s"] = late_s[round(place * (len(late_s) - 1))] if late_s else math.nan
    mean_s = statistics.fmean(spans["lateness"]) if done else math.nan
    return found | {"lateness mean, s": mean_s, "to a fixed pause of 2 s": mean_s / (FIXED_S / 2)}


def _refusals(refused: dict[int, int]) -> dict[str, float]:
    if not refused:
        return {}
    first, *later = [refused[second] for second in sorted(refused)]
    return {
        "429s": sum(refused.values()), "429s in the first second": first,
        "429s in any later second": max(later, default=0),
    }  # fmt: skip


def _lost_and_double(data: Path, handled: Sequence[Heard], accepted: dict[str, Any]) -> dict[str, float]:
    """Visitors who did not get their picture, and jobs that are there twice: at the service, or in the ledger."""
    submits = Counter(facts["prompt"] for facts in accepted.values())
    rows = Counter(json.loads(row["inputs"])["prompt"] for row in read_rows(data, "SELECT inputs FROM jobs"))
    done = read_rows(data, "SELECT request_id FROM jobs WHERE state = 'done'")
    not_heard = sum(each.state != "done" for each in handled)
    not_done = len(accepted) - len({row["request_id"] for row in done} & set(accepted))
    return {
        "lost": max(not_heard, not_done),
        "sent twice": sum(number - 1 for counted in (submits, rows) for number in counted.values()),
    }


def _rss_mb(pid: int, name: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def missed(figures: dict[str, float], targets: dict[str, float]) -> list[str]:
    """One line for each target that was missed."""
    return [
        f"{label}: {figures.get(label, 'none')}, and at most {most} was the aim"
        for label, most in targets.items()
        if not figures.get(label, 0) <= most
    ]


def main() -> None:
    """Read the arguments, measure, print; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("visitors", "throttled"))
    parser.add_argument("--jobs", type=int, help="how many (default: 500 visitors, or 100 throttled jobs)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    measure: Callable[[Path, int], dict[str, float]] = visitors if options.what == "visitors" else throttled
    targets = VISITORS_TARGETS if options.what == "visitors" else THROTTLED_TARGETS
    with tempfile.TemporaryDirectory(prefix="dreamina-load-") as folder:
        figures = measure(Path(folder), options.jobs or (500 if options.what == "visitors" else 100))
    if options.json:
        print(json.dumps({"figures": figures, "targets": targets}))
    else:
        for label, value in figures.items():
            aim = f"at most {targets[label]:g}: {_verdict(value, targets[label])}" if label in targets else ""
            print(f"{label:<30}{value:>10.3f}   {aim}".rstrip())
    if faults := missed(figures, targets):
        sys.exit("\n".join(faults))


def _verdict(value: float, most: float) -> str:
    return "met" if value <= most else "MISSED"


if __name__ == "__main__":
    main()
