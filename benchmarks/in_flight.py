"""What jobs in flight cost: memory, CPU time and the database's, for each status call of several workers.

    python -m benchmarks.in_flight [--workers 2] [--jobs 20000] [--calls-per-s 100] [--seconds 60] [--moving]

Each worker is a process without a page; PostgreSQL and SeaweedFS run beside them. A scripted service takes so many
calls in each second, refuses the rest with 429, and says that everything runs; with `--moving`, each response has
another place in the queue, so that each call is written to the database.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import statistics
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg

from benchmarks.admission import new_admitted_job
from benchmarks.app_processes import HeadlessApp
from benchmarks.process_stats import ProcessTree
from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import jobs
from tests.support.databases import PostgresqlServer, find_postgresql
from tests.support.s3_server import S3Server

MODEL_ID = "bytedance/dreamina-4-0/text-to-image"
_SETTLING_S = 30.0


class ScriptedService:
    """Answers every status call; one thread, so that it costs little."""

    def __init__(self, per_s: int, *, is_moving: bool) -> None:
        self.taken: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._per_s, self._is_moving = per_s, is_moving
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._started.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                code, body = self._respond(head)
                content = json.dumps(body).encode()
                writer.write(f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n"
                             f"Content-Length: {len(content)}\r\n\r\n".encode() + content)  # fmt: skip
                await writer.drain()
        writer.close()

    def _respond(self, head: bytes) -> tuple[int, dict[str, object]]:
        if b"/status" not in head.split(b"\r\n", 1)[0]:
            return 404, {}
        second = math.floor(time.monotonic())
        if self.taken[second] >= self._per_s:
            self.refused[second] += 1
            return 429, {}
        self.taken[second] += 1
        if self._is_moving:
            return 200, {"status": "in_queue", "queue_position": self.taken.total() % 1000}
        return 200, {"status": "in_progress"}


def fill(url: str, count: int, api_origin: str) -> None:
    """Write so many running jobs of this month that nobody follows."""
    now = time.time()
    with closing(Ledger(PostgresqlDatabase(url))) as ledger:
        job = replace(new_admitted_job(now - 5), state="running", model_id=MODEL_ID, api_origin=api_origin)
        ledger.add(replace(job, request_id="r0", accepted_at=now - 5, started_at=now - 4, status="in_progress"))
        own = {"job_id": "md5(n::text || random())", "request_id": "'r' || n", "visitor_id": "md5((n % 5000)::text)"}
        names = [column.name for column in jobs.columns]
        values = ", ".join(own.get(name, name) for name in names)
        with psycopg.connect(url) as connection:
            connection.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
            connection.execute(
                f"INSERT INTO jobs ({', '.join(names)}) SELECT {values} FROM generate_series(1, {count - 1}) AS n, "
                "(SELECT * FROM jobs LIMIT 1) AS template".encode()
            )
            connection.execute("ALTER TABLE jobs ENABLE TRIGGER USER")
            connection.execute("ANALYZE jobs")
        ledger.recount()


def _start_workers(
    stack: contextlib.ExitStack, folder: Path, count: int, api_url: str, variables: dict[str, str]
) -> list[HeadlessApp]:
    """Workers that are ready, and end with the stack."""
    servers = []
    for number in range(count):
        (own := folder / f"worker-{number}").mkdir()
        servers.append(stack.enter_context(HeadlessApp(own, api_url, **variables)))
        servers[-1].start()
    for server in servers:
        server.wait_ready()
    return servers


def measure(folder: Path, workers: int, count: int, per_s: int, seconds: float, *, is_moving: bool) -> dict[str, float]:
    """Figures, by label."""
    binaries = find_postgresql()
    assert binaries, "there is no PostgreSQL server on this machine"
    with contextlib.ExitStack() as stack:
        database = PostgresqlServer(binaries, flushes=True)
        stack.callback(database.stop)
        bucket = stack.enter_context(S3Server(folder / "s3"))
        service = ScriptedService(per_s, is_moving=is_moving)
        variables = {"DREAMINA_DATABASE_URL": database.url, "DREAMINA_ROLE": "worker", **bucket.variables("flight")}
        servers = _start_workers(stack, folder, workers, service.url, variables)
        time.sleep(5.0)
        trees = [ProcessTree(database.pid), *(ProcessTree(server.pid) for server in servers)]
        before_mb = sum(tree.memory_mb() for tree in trees[1:])
        fill(database.url, count, service.url)
        began = time.monotonic()
        with psycopg.connect(database.url, autocommit=True) as connection:
            while connection.execute("SELECT COUNT(*) FROM jobs WHERE replica_id IS NULL").fetchone() != (0,):
                time.sleep(0.2)
            followed_s = time.monotonic() - began
            time.sleep(_SETTLING_S)
            at, cpu_s = time.monotonic(), [tree.cpu_s() for tree in trees]
            time.sleep(seconds)
            passed_s = time.monotonic() - at
            database_s, *own_s = (tree.cpu_s() - earlier for tree, earlier in zip(trees, cpu_s, strict=True))
            owners = connection.execute("SELECT COUNT(*) FROM jobs GROUP BY replica_id").fetchall()
        settled = range(math.ceil(at), math.floor(at + passed_s))
        calls = statistics.mean(service.taken[second] for second in settled)
        grown_mb = sum(tree.memory_mb() for tree in trees[1:]) - before_mb
        return {
            "jobs in flight": count,
            "  of each worker, least": min(number for (number,) in owners),
            "  of each worker, most": max(number for (number,) in owners),
            "until all are followed, s": round(followed_s, 1),
            "calls per s that the service takes": per_s,
            "calls per s": round(calls, 1),
            "refused per s": round(statistics.mean(service.refused[second] for second in settled), 2),
            "CPU of the database, cores": round(database_s / passed_s, 3),
            "  of that for each call, ms": round(1000 * database_s / passed_s / calls, 2),
            "CPU of all workers, cores": round(sum(own_s) / passed_s, 3),
            "  ms for each call": round(1000 * sum(own_s) / passed_s / calls, 2),
            "memory, kB for each job": round(1000 * grown_mb / count, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--calls-per-s", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--moving", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dreamina-flight-", ignore_cleanup_errors=True) as folder:
        figures = measure(
            Path(folder), options.workers, options.jobs, options.calls_per_s, options.seconds, is_moving=options.moving
        )
    print("\n".join(f"{label:<50}{value:>10}" for label, value in figures.items()))


if __name__ == "__main__":
    main()
