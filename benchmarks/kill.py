"""Kill the app at random moments, and verify that no job is lost and none is submitted twice.

    python -m benchmarks.kill --kills 200 --seed 1

Jobs are created all the time while the app is killed with SIGKILL and restarted on the same data folder. At the end
the ledger, the files and the requests that the sandbox counted are compared.

    python -m benchmarks.kill --replicas 4 --kills 20 --freezes 6 --cuts 4

does so with several servers that share PostgreSQL and a bucket; some are frozen, or cut off from PostgreSQL.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.app_processes import AppUnderTest, GradioApp, HeadlessApp, SandboxProcess
from benchmarks.audit import Audit, read_rows
from benchmarks.kill_replicas import Plan, ReplicaRun
from dreamina_ui.ledger.job import SETTLED

SLOWER_START_S = 2.0
"""By how many seconds a start after a kill may exceed a normal one (medians)."""

SUBMIT_S = 0.04
"""For this long after a request its submit may still be in flight."""

STUCK_S = 60.0
"""Seconds without any change after which a job counts as stuck."""


@dataclass
class Report:
    """The outcome.

    Attributes:
        figures: by label, in order; times in seconds.
        broken: one line for each violation; empty if there is none.
    """

    figures: dict[str, int | float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{label:<42}{value:>8}" for label, value in self.figures.items()]
        return "\n".join([*lines, "", *(self.broken or ["No violation."])])


def run(
    folder: Path,
    *,
    kills: int = 200,
    seed: int = 1,
    headless: bool = False,
    progress: Callable[[int], object] = lambda _kills: None,
) -> Report:
    """Kill the app `kills` times, wait until all jobs are settled, and compare.

    Args:
        folder: an empty folder; data, images and logs stay in it.
        seed: for the moments of the kills, as far as a busy machine follows them.
        headless: run the app without its page, which starts several times faster.
        progress: called with the number of kills so far.
    """
    with SandboxProcess(folder, queue_s=0.2, run_s=0.4, parallel=4) as sandbox:
        sandbox.start()
        sandbox.wait_ready()
        with HeadlessApp(folder, sandbox.url) if headless else GradioApp(folder, sandbox.url) as studio:
            return _KillRun(folder, sandbox, studio, Random(seed), 0.8 if headless else 2.0).run(kills, progress)


class _KillRun:
    def __init__(
        self, folder: Path, sandbox: SandboxProcess, studio: AppUnderTest, random: Random, max_life_s: float
    ) -> None:
        self._data = folder / "data"
        self._sandbox = sandbox
        self._studio = studio
        self._random = random
        self._max_life_s = max_life_s
        self._submits = 0
        self._killed_at: list[float] = []
        self._moments: Counter[str] = Counter()
        self._normal_starts_s: list[float] = []
        self._starts_after_kill_s: list[float] = []
        self._painted: dict[str, str] = {}

    def run(self, kills: int, progress: Callable[[int], object]) -> Report:
        started_s = time.monotonic()
        self._studio.start()
        self._studio.wait_ready()  # not measured: the first start compiles the modules
        while len(self._killed_at) < kills:
            if len(self._killed_at) % max(2, kills // 20) == 0:
                self._restart_normally()
            self._submit_for(self._random.uniform(0, self._max_life_s))
            if self._random.random() < 0.5:
                self._submit()
                time.sleep(self._random.uniform(0, SUBMIT_S))
                self._kill("just after a request")
            else:
                self._kill("at a random moment")
            while len(self._killed_at) < kills and self._random.random() < 0.1:
                self._studio.start()
                time.sleep(self._random.uniform(0, statistics.median(self._normal_starts_s)))
                self._kill("during a start")
            self._studio.start()
            self._starts_after_kill_s.append(self._studio.wait_ready())
            progress(len(self._killed_at))
        settled_s = self._wait_until_settled()
        self._restart_normally()  # what the last start does not clean up would stay forever
        self._studio.stop()
        audit = Audit(self._data, self._sandbox.requests(), self._painted, self._studio.reported)
        active = audit.states_at(self._killed_at)
        figures = {"kills": kills, **_indented(self._moments)}
        figures |= {"active jobs at the kills": active.total(), **_indented(active)}
        figures |= {"job requests": self._submits, **audit.figures()}
        figures |= self._start_figures() | {"from the last start until all settled, s": round(settled_s, 2)}
        figures |= {"total, s": round(time.monotonic() - started_s)}
        return Report(figures, [*audit.broken(), *self._slow_starts()])

    def _restart_normally(self) -> None:
        self._studio.stop()
        self._studio.start()
        self._normal_starts_s.append(self._studio.wait_ready())

    def _kill(self, moment: str) -> None:
        self._killed_at.append(time.time())
        self._studio.kill()
        self._moments[moment] += 1
        self._record_painted()

    def _submit_for(self, seconds: float) -> None:
        """Create jobs at random moments, four per second on average."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            pause_s = self._random.expovariate(4)
            time.sleep(min(pause_s, left_s))
            if pause_s < left_s:
                self._submit()

    def _submit(self) -> None:
        self._submits += 1
        inputs = {"prompt": f"request {self._submits}", "width×height": "1024x1024(1:1)", "scale": 0.5}
        self._studio.submit(inputs | {"force_single": self._random.random() < 0.9})

    def _record_painted(self) -> None:
        # The sandbox deletes old images, so hash them as they appear.
        for path in self._sandbox.pictures.glob("*.png"):
            if path.stem not in self._painted:
                with suppress(FileNotFoundError):
                    self._painted[path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()

    def _wait_until_settled(self) -> float:
        """Wait until all jobs are settled, or until nothing changes for `STUCK_S`; returns the seconds."""
        started_s = changed_s = time.monotonic()
        before: Any = None
        while time.monotonic() - changed_s < STUCK_S:
            jobs = read_rows(self._data, "SELECT state, version FROM jobs")
            if all(job["state"] in SETTLED for job in jobs):
                break
            if jobs != before:
                before, changed_s = jobs, time.monotonic()
                self._record_painted()
            time.sleep(0.05)
        self._record_painted()
        return time.monotonic() - started_s

    def _start_figures(self) -> dict[str, float]:
        starts = {"normal start": self._normal_starts_s, "start after a kill": self._starts_after_kill_s}
        return {
            f"{kind}, {label}, s": round(measure(seconds), 2)
            for kind, seconds in starts.items()
            for label, measure in (("median", statistics.median), ("9 in 10 within", _ninth_decile), ("slowest", max))
        }

    def _slow_starts(self) -> list[str]:
        # Only medians: on a busy machine a single start may take any time.
        later_s = statistics.median(self._starts_after_kill_s) - statistics.median(self._normal_starts_s)
        return (
            [f"Starts after a kill take {later_s:.1f} s longer than normal starts."] if later_s > SLOWER_START_S else []
        )


def _ninth_decile(values: list[float]) -> float:
    return sorted(values)[round(0.9 * (len(values) - 1))]


def _indented(numbers: Counter[str]) -> dict[str, int | float]:
    return {f"  {label}": number for label, number in numbers.items()}


def main() -> None:
    """Parse arguments, run, print; exit with 1 on a violation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="number of kills (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (default: 1)")
    parser.add_argument("--headless", action="store_true", help="run the app without its page (faster)")
    parser.add_argument("--replicas", type=int, default=0, help="servers that share PostgreSQL and a bucket (Linux)")
    parser.add_argument("--pages", type=int, default=1, help="how many of these have their page (default: 1)")
    parser.add_argument("--freezes", type=int, default=50, help="freezes among the kills of replicas (default: 50)")
    parser.add_argument("--cuts", type=int, default=20, help="how often one is cut off from PostgreSQL (default: 20)")
    parser.add_argument("--outages", type=int, default=0, help="how often the bucket is away for a minute (default: 0)")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop disturbing replicas after so long")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if options.kills < 1:
        parser.error("--kills must be at least 1")
    folder = Path(tempfile.mkdtemp(prefix="dreamina-kill-"))

    planned = options.kills + (options.freezes + options.cuts + options.outages if options.replicas else 0)

    def progress(kills: int) -> None:
        print(f"\r{kills} of {planned}", end="", file=sys.stderr, flush=True)

    if options.replicas:
        disturbances = options.kills, options.freezes, options.cuts, options.outages
        plan = Plan(options.replicas, options.pages, *disturbances, max_s=60 * options.minutes)
        report = Report(*ReplicaRun(folder, plan, options.seed).run(progress))
    else:
        report = run(folder, kills=options.kills, seed=options.seed, headless=options.headless, progress=progress)
    print(file=sys.stderr)
    print(json.dumps({"figures": report.figures, "broken": report.broken}, indent=2) if options.json else report)
    if report.broken:
        sys.exit(f"Data, images and logs stay in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
