"""What several servers on one PostgreSQL reach: admissions, news between them, and one pace for all.

    python -m benchmarks.scale [--jobs 1000 1000000] [--seconds 4] [--servers 3] [--changes-per-s 300]

Each server is a process of its own. The database flushes to the disk at each durable commit.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import socketserver
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from multiprocessing.synchronize import Event
from queue import SimpleQueue
from typing import Any

import psycopg

from benchmarks.admission import ORIGIN, Admission, new_admitted_job
from dreamina_ui.errors import LimitError
from dreamina_ui.jobs.scheduler import Schedule
from dreamina_ui.jobs.shared_throttle import SharedThrottle
from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.news import News
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.spending.limits import Limits, SpendingGuard, month_start
from tests.support.databases import PostgresqlServer, find_postgresql

THREADS = 8
PACED_PER_S = 100
PARTS = ("limit", "news", "pace", "admissions")
SETTLING_S = 12.0
"""How long the servers may need to find the pace that the service allows."""

_processes = multiprocessing.get_context("spawn")


def open_ledger(url: str) -> Ledger:
    return Ledger(PostgresqlDatabase(url))


# Admissions


def fill(url: str, count: int) -> None:
    """Write so many jobs of 5,000 visitors in the last days of this month, and count the budgets."""
    now = time.time()
    earliest = max(month_start(now), now - 5 * 86400)
    with closing(open_ledger(url)) as ledger:
        ledger.add(replace(new_admitted_job(earliest), state="done", cost_usd=0.03))
        own = {
            "job_id": "md5(n::text || random())",
            "request_id": "md5(random()::text)",
            "visitor_id": "lpad(floor(random() * 5000)::text, 32, '0')",
            "address": "lpad(floor(random() * 1700)::text, 32, '0')",
            "created_at": f"{earliest!r} + {now - earliest!r} * random()",
        }
        names = [column.name for column in jobs.columns]
        values = ", ".join(own.get(name, name) for name in names)
        with psycopg.connect(url) as connection:
            indexes = connection.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'jobs' AND indexname <> 'jobs_pkey' "
                "AND schemaname = current_schema()"
            ).fetchall()
            for name, _ in indexes:  # filled row by row, they take most of the time
                connection.execute(f"DROP INDEX {name}".encode())
            connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")  # `recount` adds up the totals
            connection.execute(
                f"INSERT INTO jobs ({', '.join(names)}) SELECT {values} FROM generate_series(1, {count - 1}) AS n, "
                "(SELECT * FROM jobs LIMIT 1) AS template".encode()
            )
            for _, statement in indexes:
                connection.execute(statement.encode())
            connection.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
            connection.execute("ANALYZE jobs")
        ledger.recount()


def admit(url: str, begin: Event, seconds: float, results: Any) -> None:
    """One server: admissions by several threads; reports how long each took, in ms."""
    admission = Admission(PostgresqlDatabase(url))
    took_ms: list[list[float]] = [[] for _ in range(THREADS)]
    results.put("ready")
    begin.wait()
    end_s = time.perf_counter() + seconds

    def work(own: list[float]) -> None:
        while (began_s := time.perf_counter()) < end_s:
            admission.admit()
            own.append(1000 * (time.perf_counter() - began_s))

    threads = [threading.Thread(target=work, args=(own,)) for own in took_ms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put([value for own in took_ms for value in own])


def admit_paced(url: str, begin: Event, seconds: float, per_s: float, results: Any) -> None:
    """One server: so many admissions a second, at random moments; how long each took from its moment on, in ms."""
    admission, draw = Admission(PostgresqlDatabase(url)), random.Random(os.getpid())
    took_ms: list[float] = []
    moments: SimpleQueue[float] = SimpleQueue()

    def work() -> None:
        while (at_s := moments.get()) >= 0:
            admission.admit()
            took_ms.append(1000 * (time.perf_counter() - at_s))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    results.put("ready")
    begin.wait()
    at_s = time.perf_counter()
    end_s = at_s + seconds
    while (at_s := at_s + draw.expovariate(per_s)) < end_s:
        time.sleep(max(0.0, at_s - time.perf_counter()))
        moments.put(at_s)
    for _ in threads:
        moments.put(-1.0)
    for thread in threads:
        thread.join()
    results.put(took_ms)


def run_servers(count: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Run a function in so many processes that begin together; what each reported."""
    results, begin = _processes.Queue(), _processes.Event()
    url, *more = arguments
    servers = [_processes.Process(target=target, args=(url, begin, *more, results)) for _ in range(count)]
    for server in servers:
        server.start()
    for _ in servers:
        results.get(timeout=120)
    begin.set()
    reported = [results.get(timeout=600) for _ in servers]
    for server in servers:
        server.join()
    return reported


def measure_admissions(url_of: Callable[[], str], counts: list[int], servers: int, seconds: float) -> dict[str, float]:
    """Admissions per second by all servers, by the number of jobs that are there."""
    figures: dict[str, float] = {}
    for count in counts:
        url = url_of()
        fill(url, count)
        run_servers(servers, admit, url, 1.0)  # the first round fills caches
        took_ms = [value for own in run_servers(servers, admit, url, seconds) for value in own]
        many = f"{count} jobs this month"
        figures[f"admitted per s, {many}"] = round(len(took_ms) / seconds)
        figures[f"  median, ms, {many}"] = round(statistics.median(took_ms), 1)
        figures[f"  p99, ms, {many}"] = round(statistics.quantiles(took_ms, n=100)[-1], 1)
        paced_ms = [
            value for own in run_servers(servers, admit_paced, url, 2 * seconds, PACED_PER_S / servers) for value in own
        ]
        figures[f"  median, ms, at {PACED_PER_S} per s, {many}"] = round(statistics.median(paced_ms), 1)
        figures[f"  p99, ms, at {PACED_PER_S} per s, {many}"] = round(statistics.quantiles(paced_ms, n=100)[-1], 1)
    with closing(open_ledger(url)) as ledger:
        figures["budgets that differ from the rows"] = len(ledger.find_budget_differences())
    return figures


# A limit


def press_until_full(url: str, begin: Event, limit: int, results: Any) -> None:
    """One server: jobs of several threads until a limit per day refuses them."""
    ledger, guard = open_ledger(url), SpendingGuard(Limits(per_day=limit), ORIGIN)
    results.put("ready")
    begin.wait()

    def work() -> None:
        with suppress(LimitError):
            while True:
                ledger.add(new_admitted_job(time.time()), [guard.enforce_limits], send_reads=[guard.send_reads])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure_limit(url: str, servers: int, limit: int, kills: int) -> dict[str, float]:
    """How many jobs there are in the end, when servers are killed while they press."""
    open_ledger(url).close()
    results, begin = _processes.Queue(), _processes.Event()
    arguments = (url, begin, limit, results)
    running = [_processes.Process(target=press_until_full, args=arguments, daemon=True) for _ in range(servers + kills)]
    for server in running:
        server.start()
    for _ in running:
        results.get(timeout=300)
    begin.set()
    for server in running[:kills]:
        time.sleep(0.05)
        server.kill()
    for server in running:
        server.join(120)
    with closing(open_ledger(url)) as ledger:
        differences = len(ledger.find_budget_differences())
        count = sum(1 for _ in ledger.every_job())
    return {f"jobs at a limit of {limit}, {servers} servers and {kills} killed": count, "  differences": differences}


# News


def change_jobs(url: str, begin: Event, seconds: float, per_s: float, results: Any) -> None:
    """One server that changes jobs of one visitor; each change carries its time."""
    with closing(open_ledger(url)) as ledger:
        channel = ledger.open_channel()
        assert channel is not None
        news = News(ledger, channel)
        news.start()
        made = [ledger.add(replace(new_admitted_job(time.time()), visitor_id="v1")) for _ in range(50)]
        results.put("ready")
        begin.wait()
        started_s, count = time.monotonic(), 0
        while (passed_s := time.monotonic() - started_s) < seconds:
            if count > passed_s * per_s:
                time.sleep(count / per_s - passed_s)
                continue
            index = count % len(made)
            made[index] = ledger.change(made[index], durable=False, detail=repr(time.time()))
            count += 1
        news.stop()
        results.put(count)


def measure_news(url: str, servers: int, seconds: float, per_s: float) -> dict[str, float]:
    """How much later a listener at another server gets a change, in ms."""
    with closing(open_ledger(url)) as ledger:
        channel = ledger.open_channel()
        assert channel is not None
        news, late_ms = News(ledger, channel), SimpleQueue[float]()

        def on_change(job: Job | None) -> None:
            if job and job.detail:
                late_ms.put(1000 * (time.time() - float(job.detail)))

        ledger.changes.subscribe("v1", on_change)
        news.start()
        count = sum(run_servers(servers - 1, change_jobs, url, seconds, per_s / (servers - 1)))
        news.stop()
    values = [late_ms.get() for _ in range(late_ms.qsize())]
    return {
        "changes per s at the other servers": round(count / seconds),
        "news, median, ms": round(statistics.median(values), 1),
        "news, p99, ms": round(statistics.quantiles(values, n=100)[-1], 1),
        "news, slowest, ms": round(max(values), 1),
    }


# One pace


class LimitedService:
    """A service that takes so many calls in each second, and refuses the rest with 429."""

    def __init__(self, per_s: int) -> None:
        self.taken: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        lock, service = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                second = math.floor(time.monotonic())
                with lock:
                    is_taken = service.taken[second] < per_s
                    (service.taken if is_taken else service.refused)[second] += 1
                self.send_response(200 if is_taken else 429)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def poll_jobs(url: str, begin: Event, port: int, count: int, seconds: float, results: Any) -> None:
    """One server whose schedule always has jobs to ask about."""
    local = threading.local()
    with closing(open_ledger(url)) as ledger:
        throttle = SharedThrottle(ledger, "http://service")
        waiting: SimpleQueue[str] = SimpleQueue()
        schedule = Schedule(waiting.put, throttle)

        def work() -> None:
            local.connection = HTTPConnection("127.0.0.1", port)
            while job_id := waiting.get():
                local.connection.request("GET", "/")
                response = local.connection.getresponse()
                response.read()
                if response.status == 429:
                    schedule.slow_down(None)
                schedule.finish(job_id, 0.1)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        results.put("ready")
        begin.wait()
        throttle.start()
        schedule.start()
        for number in range(count):
            schedule.put(f"job {number}", 0.1)
        time.sleep(seconds)
        schedule.stop()
        throttle.stop()
        for _ in threads:
            waiting.put("")
        for thread in threads:
            thread.join(5.0)
    results.put("done")


def measure_pace(url: str, servers: int, per_s: int, seconds: float) -> dict[str, float]:
    """How near the servers together come to what the service allows, once they have found it."""
    service = LimitedService(per_s)
    run_servers(servers, poll_jobs, url, service.port, 2 * per_s, SETTLING_S + seconds)
    service.close()
    first, last = min(service.taken), max(service.taken)
    settled_seconds = range(first + math.ceil(SETTLING_S), last)
    return {
        "calls per s that the service takes": per_s,
        "calls per s once settled": round(statistics.mean(service.taken[second] for second in settled_seconds), 1),
        "refused per s once settled": round(statistics.mean(service.refused[second] for second in settled_seconds), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--changes-per-s", type=float, default=300.0)
    parser.add_argument("--calls-per-s", type=int, default=100)
    parser.add_argument("--killed", type=int, default=5, help="servers that are killed before a limit is reached")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    binaries = find_postgresql()
    if binaries is None:
        parser.error("there is no PostgreSQL server on this machine")
    database = PostgresqlServer(binaries, flushes=True)
    try:

        def url_of() -> str:
            return f"{database.url}?options=-csearch_path%3D{database.take_schema()}"

        figures: dict[str, float] = {}
        if "limit" in options.only:
            figures |= measure_limit(url_of(), 10, 300, options.killed)
        if "news" in options.only:
            figures |= measure_news(url_of(), options.servers, options.seconds, options.changes_per_s)
        if "pace" in options.only:
            figures |= measure_pace(url_of(), options.servers, options.calls_per_s, 3 * options.seconds)
        if "admissions" in options.only:
            figures |= measure_admissions(url_of, options.jobs, options.servers, options.seconds)
    finally:
        database.stop()
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{label:<60}{value:>10}" for label, value in figures.items()))


if __name__ == "__main__":
    main()
