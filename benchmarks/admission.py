"""How many jobs per second are admitted, with few and with many jobs this month, and with and without group commit.

    python -m benchmarks.admission [--jobs 1000 1000000] [--seconds 4] [--threads 8] [--visitors 500] [--json]

A request is admitted when its row is on disk: every limit is set, and moderation and limits are enforced in its
transaction. The ledgers take turns, so that a busy machine slows all. It exits with 1 below the targets.
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
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from dreamina_ui.ledger.budget_rows import rebuild_budgets
from dreamina_ui.ledger.engines.sqlite import SqliteDatabase, open_sqlite
from dreamina_ui.ledger.engines.write_queue import MAX_GROUP
from dreamina_ui.ledger.job import Job, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.ledger.transaction import AddHook, Database, Transaction
from dreamina_ui.spending.limits import Limits, SpendingGuard, month_start
from dreamina_ui.spending.moderation import Moderation

ORIGIN = "https://model-api.runcomfy.net"
MIN_PER_S = 300.0
MIN_RATIO = 0.8
ROUNDS = 5
SLOW_FLUSH_S = 0.005
"""What a flush takes on a cloud disk."""
_MANY = 10**8
_LIMITS = Limits(_MANY, _MANY, _MANY, _MANY, _MANY, _MANY, float(_MANY), float(_MANY))


class SlowDisk(SqliteDatabase):
    """A database whose durable commits take as long as on a slow disk."""

    @contextmanager
    def write(
        self, *, durable: bool = True, serialized: bool = True, locks: Collection[str] = ()
    ) -> Iterator[Transaction]:
        with super().write(durable=durable) as transaction:
            yield transaction
            if durable:
                time.sleep(SLOW_FLUSH_S)


class Admission:
    """A ledger to which jobs are added as the app does it."""

    def __init__(self, database: Path | Database, max_group: int = MAX_GROUP) -> None:
        self._begin(Ledger(database, max_group=max_group))

    def _begin(self, ledger: Ledger) -> None:
        self.ledger = ledger
        moderation, guard = Moderation(self.ledger), SpendingGuard(_LIMITS, ORIGIN)
        self._hooks: list[AddHook] = [moderation.enforce_moderation, guard.enforce_limits]
        self._send_reads: list[AddHook] = [moderation.send_reads, guard.send_reads]
        self._random = random.Random(1)

    @classmethod
    def of(cls, ledger: Ledger) -> Admission:
        """To a ledger that is open already."""
        admission = cls.__new__(cls)
        admission._begin(ledger)
        return admission

    def admit(self) -> Job:
        """Add one job of a random visitor."""
        number = self._random.randrange(500)
        job = replace(new_admitted_job(time.time()), visitor_id=f"{number:032x}", client_hash=f"{number // 3:032x}")
        job = replace(job, press_id=new_id())
        return self.ledger.add(job, self._hooks, send_reads=self._send_reads)

    def rate(self, seconds: float, threads: int) -> tuple[float, float]:
        """Jobs per second that some threads add at once, and ms of CPU time that each takes."""
        deadline = time.perf_counter() + seconds

        def work(_number: int) -> int:
            count = 0
            while time.perf_counter() < deadline:
                self.admit()
                count += 1
            return count

        began, began_cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(threads) as pool:
            count = sum(pool.map(work, range(threads)))
        return count / (time.perf_counter() - began), 1000 * (time.process_time() - began_cpu) / count

    def latencies_ms(self, visitors: int) -> list[float]:
        """How long each of many visitors waits who all press at the same moment."""
        gate = threading.Barrier(visitors)
        took: list[float] = []

        def press() -> None:
            gate.wait()
            began = time.perf_counter()
            self.admit()
            took.append(1000 * (time.perf_counter() - began))

        threads = [threading.Thread(target=press) for _ in range(visitors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return took


def make_ledger(path: Path, job_count: int) -> Admission:
    """A ledger with so many jobs of 5,000 visitors in the last days of this month."""
    admission = Admission(path)
    now = time.time()
    earliest = max(month_start(now), now - 5 * 86400)
    admission.ledger.add(replace(new_admitted_job(earliest), state="done", cost_usd=0.03))
    engine = open_sqlite(path, busy_timeout_s=10.0, durable=False)
    with engine.begin() as connection:
        indexes = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'jobs' AND sql IS NOT NULL"
        ).all()
        for name, _ in indexes:  # filled row by row, they take most of the time
            connection.exec_driver_sql(f"DROP INDEX {name}")
        _multiply(connection, job_count - 1, earliest, now)
        for _, statement in indexes:
            connection.exec_driver_sql(statement)
        rebuild_budgets(Transaction(connection))
    engine.dispose()
    return admission


def _multiply(connection: sa.Connection, count: int, earliest: float, now: float) -> None:
    """Copy the only job so many times, with ids, visitors and moments of their own."""
    own = {
        "job_id": "lower(hex(randomblob(16)))",
        "request_id": "lower(hex(randomblob(16)))",
        "visitor_id": "printf('%032x', abs(random()) % 5000)",
        "address": "printf('%032x', abs(random()) % 1700)",
        "created_at": f"{earliest!r} + {now - earliest!r} * (abs(random()) % 1000000) / 1e6",
    }
    columns = [column.name for column in jobs.columns]
    values = ", ".join(own.get(name, name) for name in columns)
    connection.exec_driver_sql(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}), "
        f"template AS MATERIALIZED (SELECT * FROM jobs LIMIT 1) "
        f"INSERT INTO jobs ({', '.join(columns)}) SELECT {values} FROM numbers, template"
    )


def new_admitted_job(created_at: float) -> Job:
    """A job as the form makes it."""
    inputs = {"prompt": "a red fox", "width×height": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
    return Job(new_id(), "m", ORIGIN, inputs, created_at, created_at, size="1024x1024(1:1)", reserved_usd=0.03)


def measure_rates(folder: Path, counts: list[int], seconds: float, threads: int) -> tuple[dict[int, float], float]:
    """Jobs per second by the number of jobs that are there already, and ms of CPU time of one; medians of rounds."""
    ledgers = {count: make_ledger(folder / f"{count}.sqlite3", count) for count in counts}
    rates: dict[int, list[float]] = {count: [] for count in counts}
    cpu_ms: list[float] = []
    for round_number in range(ROUNDS + 1):
        for count, admission in ledgers.items():
            rate, cpu = admission.rate(seconds, threads)
            if round_number:  # the first one fills caches
                rates[count].append(rate)
                cpu_ms.append(cpu)
    return {count: statistics.median(values) for count, values in rates.items()}, statistics.median(cpu_ms)


def measure_crowd(folder: Path, visitors: int) -> dict[str, float]:
    """The 95th percentile in ms when all visitors press at once: by disk, with and without group commit."""
    p95: dict[str, float] = {}
    for disk, database in {"this disk": SqliteDatabase, "slow disk": SlowDisk}.items():
        for name, max_group in {"in groups": MAX_GROUP, "one by one": 1}.items():
            admission = Admission(database(folder / f"{disk}-{name}.sqlite3", busy_timeout_s=10.0), max_group)
            admission.latencies_ms(50)
            rounds = [statistics.quantiles(admission.latencies_ms(visitors), n=20)[-1] for _ in range(3)]
            p95[f"{disk}, {name}"] = statistics.median(rounds)
    return p95


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--visitors", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        p95 = measure_crowd(Path(folder), arguments.visitors)
        rates, cpu_ms = measure_rates(Path(folder), arguments.jobs, arguments.seconds, arguments.threads)
    smallest, largest = min(rates), max(rates)
    ratio = rates[largest] / rates[smallest]
    is_met = rates[largest] >= MIN_PER_S and ratio >= MIN_RATIO
    if arguments.json:
        print(json.dumps({"per_s": rates, "cpu_ms": cpu_ms, "ratio": ratio, "p95_ms": p95, "is_met": is_met}))
    else:
        for name, value in p95.items():
            print(f"{arguments.visitors} visitors at once, {name}: {value:.0f} ms (95th percentile)")
        for count, rate in rates.items():
            print(f"{count:>9,} jobs this month: {rate:.0f} admitted per second")
        print(f"CPU time of one admission: {cpu_ms:.2f} ms")
        print(f"ratio {ratio:.2f} (at least {MIN_RATIO}), at least {MIN_PER_S:.0f} per second: {is_met}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
