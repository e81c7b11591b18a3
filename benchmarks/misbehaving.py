"""200 jobs on a service that misbehaves as real services, gateways and file hosts do: each ends truthfully.

    python -m benchmarks.misbehaving [--jobs 200] [--minutes 20] [--seed 1] [--first 0] [--json]

Each job draws one odd behavior of the service and one of its file host; the same number of jobs runs at the same time
on a polite service, with the same run times. At the end every accepted job must have ended as the service meant it,
every file that exists must be stored byte for byte, and the number of calls per job is compared with the polite run.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.audit import read_rows
from benchmarks.misbehaving_service import OUTAGE_S, QUEUE_S, RUN_S, MisbehavingService, Script
from dreamina_ui.api.client import RunComfy
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import SETTLED
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.fetch import OutputFetcher
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.models.schema import load_models
from dreamina_ui.spending.accounts import Accounts

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
INPUTS = {"width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": False}
TOKEN = "token-of-the-benchmarks"
CALLS_TARGET = 1.3
"""Calls per job, in proportion to those of the polite run."""

GRACE_S = 300.0
"""How long the last jobs may take to end."""


@contextmanager
def job_services(folder: Path, url: str) -> Iterator[JobServices]:
    """The job services on a data folder, with the pauses and timeouts of the app."""
    ledger = Ledger(folder / "ledger.sqlite3")
    media = FolderStore(folder / "media")
    accounts = Accounts(
        RunComfy(url, TOKEN),
        url,
        secret=ledger.secret("key_marks"),
        connect=lambda key: RunComfy(url, key),
        key_origin=url,
        clock=time.time,
    )
    services = JobServices(
        accounts=accounts,
        models=load_models(),
        ledger=ledger,
        media=media,
        fetcher=OutputFetcher(media, UrlGuard(exempt_origin=url)),
    )
    services.start()
    try:
        yield services
    finally:
        services.stop(5.0)
        ledger.close()


@dataclass
class Report:
    """The outcome.

    Attributes:
        figures: by label, in order.
        broken: one line for each violation; empty if there is none.
    """

    figures: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{label:<52}{value:>10.2f}" for label, value in self.figures.items()]
        return "\n".join([*lines, "", *(self.broken or ["No violation."])])


def run(
    folder: Path,
    *,
    jobs: int = 200,
    minutes: float = 20.0,
    seed: int = 1,
    first: int = 0,
    progress: Callable[[int], object] = lambda _jobs: None,
) -> Report:
    """Run both services at the same time, and compare.

    Args:
        folder: an empty folder; data stays in it.
        minutes: the time over which the jobs are submitted and run.
        first: the number of the first job, where the others ran before.
        progress: called with the number of submitted jobs.
    """
    with ExitStack() as stack:
        names = ("misbehaving", "polite")
        mocks = [MisbehavingService(seed, polite=name == "polite", first=first) for name in names]
        for mock in mocks:
            stack.enter_context(mock)
        apps = [
            stack.enter_context(job_services(folder / name, mock.url)) for name, mock in zip(names, mocks, strict=True)
        ]
        ends_at = time.time() + minutes * 60
        pause_s = max(0.0, minutes * 60 - QUEUE_S[1] - RUN_S[1] - 2 * OUTAGE_S) / jobs
        for number in range(jobs):
            for services in apps:
                services.jobs.generate(MODEL_ID, INPUTS | {"prompt": f"image {number}"}, visitor_id="v")
            progress(number + 1)
            time.sleep(pause_s)
            _cancel_some(apps[0], mocks[0])
        while time.time() < ends_at + GRACE_S and not all(_is_settled(folder / name) for name in names):
            _cancel_some(apps[0], mocks[0])
            time.sleep(0.5)
        return _compare(folder, mocks, names)


def _cancel_some(services: JobServices, mock: MisbehavingService) -> None:
    """Cancel once, as a person would, each job whose behavior is about that."""
    wanted = {
        request_id
        for request_id, script in list(mock.scripts.items())
        if script.behavior.name in ("slow cancel", "cancel comes too late") and not script.cancels
    }
    for job in services.reader.recent("v", 1000) if wanted else []:
        if job.request_id in wanted and job.state in ("queued", "running") and not job.cancel_requested_at:
            services.jobs.cancel(job.job_id)


def _is_settled(data: Path) -> bool:
    return all(row["state"] in SETTLED for row in read_rows(data, "SELECT state FROM jobs"))


def _compare(folder: Path, mocks: Sequence[MisbehavingService], names: Sequence[str]) -> Report:
    report = Report()
    calls: dict[str, float] = {}
    for mock, name in zip(mocks, names, strict=True):
        data = folder / name
        rows = read_rows(data, "SELECT * FROM jobs")
        by_request = {row["request_id"]: row for row in rows}
        states = Counter(row["state"] for row in rows)
        report.figures |= {f"{name}: jobs": len(rows)}
        report.figures |= {f"{name}: {state}": states[state] for state in sorted(states)}
        api_calls = {key: count for key, count in mock.calls.items() if key[1] != "file"}
        calls[name] = sum(api_calls.values()) / len(mock.scripts)
        report.figures[f"{name}: calls per job"] = calls[name]
        report.figures[f"{name}: cancel calls per cancel"] = statistics.fmean(
            [script.cancels for script in mock.scripts.values() if script.cancels] or [0]
        )
        for request_id, script in mock.scripts.items():
            label = f"{name} {request_id} ({script.behavior.name}; file: {script.file_behavior})"
            row = by_request.get(request_id)
            if row is None:
                report.broken.append(f"{label} is not in the ledger.")
                continue
            report.broken += [f"{label} {flaw}" for flaw in _flaws(row, script, data)]
    ratio = calls["misbehaving"] / calls["polite"]
    report.figures["calls per job, in proportion to the polite run"] = ratio
    if ratio > CALLS_TARGET:
        report.broken.append(f"Calls per job are {ratio:.2f} times those of the polite run, more than {CALLS_TARGET}.")
    return report


def _flaws(row: Mapping[str, Any], script: Script, data: Path) -> Iterator[str]:
    """What is wrong with a job, given what the service did."""
    if row["state"] != script.behavior.state:
        yield f"is {row['state']}, not {script.behavior.state}: {row['problem']} {row['detail']}"
        return
    if script.behavior.reason and script.behavior.reason not in (row["detail"] or ""):
        yield f"does not show the reason: {row['detail']!r}"
    if row["state"] != "done" and script.behavior.name != "output misses a file":
        return
    media = data / "media" / row["job_id"][:2] / row["job_id"]
    stored = {hashlib.sha256(path.read_bytes()).hexdigest() for path in media.rglob("original*")}
    missing = sum(hashlib.sha256(content).hexdigest() not in stored for content in script.files)
    if missing:
        yield f"lacks {missing} of {len(script.files)} files"


def main() -> None:
    """Parse arguments, run, print; exit with 1 on a violation."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.misbehaving", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=200, help="jobs on each of the two services (default: 200)")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long it takes (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of everything random (default: 1)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first job, to run it in parts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dreamina-misbehaving-"))

    def progress(jobs: int) -> None:
        print(f"\r{jobs} of {options.jobs} jobs", end="", file=sys.stderr, flush=True)

    report = run(
        folder, jobs=options.jobs, minutes=options.minutes, seed=options.seed, first=options.first, progress=progress
    )
    print(file=sys.stderr)
    print(json.dumps({"figures": report.figures, "broken": report.broken}, indent=2) if options.json else report)
    if report.broken:
        sys.exit(f"Data stays in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
