"""Kill, freeze and cut off servers that share PostgreSQL and a bucket; what `benchmarks.kill --replicas` does.

Every server is a real process: `app.py`, or the app without its page. Afterwards the rows, the bucket and the requests
that the sandbox accepted are compared.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from benchmarks.app_processes import AppUnderTest, GradioApp, HeadlessApp, SandboxProcess
from benchmarks.cut_link import CutLink
from dreamina_ui.cli.data_dir_reader import Records, open_bucket, open_database
from dreamina_ui.cli.verify_bucket import verify_bucket
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from tests.support.databases import PostgresqlServer, find_postgresql
from tests.support.s3_server import S3Server

STUCK_S = 90.0
"""Seconds without any change after which a job counts as stuck: longer than a lease and a pause of a retry."""

FREEZE_S = (0.5, 15.0)
"""How long a freeze or a cut lasts; some are longer than a lease."""

OUTAGE_S = 60.0
"""How long the bucket is away, from the kill of its server."""

POST_S = 10.0
"""How long a POST takes at most, on a busy machine."""

SUBMIT_S = 0.04
"""For this long after a request its submit may still be in flight."""


@dataclass(frozen=True)
class Plan:
    """What happens, and to how many servers.

    Attributes:
        cuts: how often a server is cut off from the database, and from nothing else.
        outages: how often the bucket's server is killed and is away.
        max_s: after so many seconds nothing more happens, however much is left.
    """

    servers: int
    pages: int
    kills: int
    freezes: int
    cuts: int
    outages: int
    max_s: float


class ReplicaRun:
    """One run; `figures` and `broken` as in `kill.Report`."""

    def __init__(self, folder: Path, plan: Plan, seed: int) -> None:
        self._folder = folder
        self._plan = plan
        self._random = Random(seed)
        self._pressed = 0
        self._moments: Counter[str] = Counter()
        self._killed_at: list[float] = []
        self._thaws: dict[AppUnderTest, tuple[float, Callable[[], object]]] = {}
        self._links: dict[AppUnderTest, CutLink] = {}
        self._bucket = S3Server(folder / "s3")
        self._away_until: float | None = None

    def run(self, progress: Callable[[int], object]) -> tuple[dict[str, int | float], list[str]]:
        """Raises RuntimeError where there is no PostgreSQL, or a process does not start."""
        binaries = find_postgresql()
        if binaries is None:
            raise RuntimeError("There is no PostgreSQL server on this machine.")
        started_s = time.monotonic()
        with contextlib.ExitStack() as stack:
            database = PostgresqlServer(binaries)
            stack.callback(database.stop)
            bucket = stack.enter_context(self._bucket)
            sandbox = stack.enter_context(SandboxProcess(self._folder, queue_s=0.3, run_s=0.8, parallel=8))
            sandbox.start()
            sandbox.wait_ready()
            servers = list(self._servers(sandbox.url, database.url, bucket.variables("kill"), stack))
            for server in servers:
                server.start()
            for server in servers:
                server.wait_ready()
            with contextlib.closing(open_database(database.url)) as ledger:
                self._disturb(servers, progress)
                settled_s = self._wait_until_settled(ledger)
                for server in servers:
                    server.stop()
                records = Records(self._folder, ledger, open_bucket(self._folder, bucket.access("kill")), "database")
                reported = {id_ for item in servers for id_ in item.reported}
                audit = ReplicaAudit(records, sandbox.requests(), reported, self._killed_at)
                figures: dict[str, int | float] = {"servers": self._plan.servers, "  with their page": self._plan.pages}
                figures |= {kind: count for kind, count in sorted(self._moments.items())}
                figures |= {"job requests": self._pressed, **audit.figures()}
                times = {"until all settled, s": round(settled_s), "total, s": round(time.monotonic() - started_s)}
                return figures | times, list(audit.broken())

    def _servers(
        self, api_url: str, database_url: str, variables: Mapping[str, str], stack: contextlib.ExitStack
    ) -> Iterator[AppUnderTest]:
        port = urlsplit(database_url).port or 5432
        for number in range(self._plan.servers):
            folder = self._folder / f"server-{number}"
            folder.mkdir()
            make = GradioApp if number < self._plan.pages else HeadlessApp
            link = CutLink(port)
            stack.callback(link.close)
            url = database_url.replace(f":{port}/", f":{link.port}/")
            server = stack.enter_context(make(folder, api_url, DREAMINA_DATABASE_URL=url, **variables))
            self._links[server] = link
            yield server

    def _disturb(self, servers: Sequence[AppUnderTest], progress: Callable[[int], object]) -> None:
        plan = self._plan
        kinds = {"kills": plan.kills, "freezes": plan.freezes, "cuts": plan.cuts, "outages": plan.outages}
        events = [kind for kind, count in kinds.items() for _ in range(count)]
        self._random.shuffle(events)
        end_s = time.monotonic() + self._plan.max_s
        for done, kind in enumerate(events):
            if time.monotonic() > end_s:
                break
            self._press_for(self._random.uniform(0, 2.0), servers)
            server = self._awake(servers)
            if self._random.random() < 0.7:
                self._press(server)
                time.sleep(self._random.uniform(0, SUBMIT_S))
            self._moments[kind] += 1
            if kind == "kills":
                self._killed_at.append(time.time())
                server.kill()
                server.start()
            elif kind == "outages":
                self._bucket.kill()
                self._away_until = time.monotonic() + OUTAGE_S
            else:
                begin, end = server.freeze, server.resume
                if kind == "cuts":
                    begin, end = self._links[server].cut, self._links[server].reconnect
                begin()
                self._thaws[server] = time.monotonic() + self._random.uniform(*FREEZE_S), end
            progress(done + 1)
        while self._thaws or self._away_until or not all(server.is_ready for server in servers):
            self._thaw()
            self._start_again(servers)
            time.sleep(0.1)

    def _awake(self, servers: Sequence[AppUnderTest]) -> AppUnderTest:
        """A server that is up; one at least stays awake."""
        while True:
            self._thaw()
            self._start_again(servers)
            awake = [server for server in servers if server not in self._thaws]
            ready = [server for server in awake if server.is_ready]
            if len(ready) > 1:
                return self._random.choice(ready)
            time.sleep(0.05)

    def _start_again(self, servers: Sequence[AppUnderTest]) -> None:
        """As a supervisor does: a server ends where it cannot start, such as when a frozen one holds the database."""
        for server in servers:
            if server.has_ended:
                self._moments["starts that were repeated"] += 1
                print(f"\n{server.log}: {server.log.read_text().strip().splitlines()[-1]}", file=sys.stderr)
                server.start()

    def _thaw(self) -> None:
        for server in [server for server, (at, _) in self._thaws.items() if at <= time.monotonic()]:
            _, end = self._thaws.pop(server)
            end()
        if self._away_until and self._away_until <= time.monotonic():
            self._away_until = None
            self._bucket.start()

    def _press_for(self, seconds: float, servers: Sequence[AppUnderTest]) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            time.sleep(min(self._random.expovariate(4), left_s))
            self._press(self._awake(servers))

    def _press(self, server: AppUnderTest) -> None:
        self._pressed += 1
        inputs = {"prompt": f"request {self._pressed}", "width×height": "1024x1024(1:1)", "scale": 0.5}
        server.submit(inputs | {"force_single": True})

    def _wait_until_settled(self, ledger: Ledger) -> float:
        started_s = changed_s = time.monotonic()
        before: Any = None
        while time.monotonic() - changed_s < STUCK_S:
            jobs = list(ledger.every_job())
            if all(job.is_settled for job in jobs):
                break
            if (now := [(job.job_id, job.version, job.replica_id) for job in jobs]) != before:
                before, changed_s = now, time.monotonic()
            time.sleep(0.2)
        return time.monotonic() - started_s


class ReplicaAudit:
    """Compares the rows and the bucket with what the service accepted.

    Args:
        accepted: every request the service accepted, with `request_id`, `inputs`, `status`.
        reported: the ids of all jobs that were returned to a caller.
        killed_at: when servers were killed, in seconds since 1970.
    """

    def __init__(
        self,
        records: Records,
        accepted: Sequence[Mapping[str, Any]],
        reported: set[str],
        killed_at: Sequence[float] = (),
    ) -> None:
        self._accepted = accepted
        self._killed_at = killed_at
        self._reported = reported
        self._jobs: list[Job] = list(records.ledger.every_job())
        self._by_request = {job.request_id: job for job in self._jobs if job.request_id}
        self._sent = Counter(_canonical(request["inputs"]) for request in accepted)
        self._unclear = {_canonical(job.inputs) for job in self._jobs if job.state == "submit_unclear"}
        assert records.bucket is not None
        self._verified = verify_bucket(records, records.bucket)
        self._rows_without_files = [item for item in self._verified.findings if item.kind != "orphaned"]

    def figures(self) -> dict[str, int | float]:
        """Counts, by label."""
        cut = sum(request["request_id"] not in self._by_request for request in self._accepted)
        states = Counter(job.state for job in self._jobs)
        return {
            "jobs in the ledger": len(self._jobs),
            **{f"  {state}": count for state, count in sorted(states.items())},
            "requests accepted by the service": len(self._accepted),
            "  whose response was cut, job unclear": cut,
            "unclear without a kill while it was sent": len(list(self._unclear_without_kill())),
            "lost": len(list(self._lost())),
            "sent twice": sum(count > 1 for count in self._sent.values()),
            "budgets that differ from the rows": sum(item.kind == "miscounted" for item in self._verified.findings),
            "originals stored and verified": self._verified.files,
        }

    def broken(self) -> Iterator[str]:
        """One line for each violation."""
        yield from self._lost()
        for job in self._unclear_without_kill():
            yield f"Job {job.job_id} is unclear, and no server was killed while it was sent: {job.detail}"
        for inputs, count in self._sent.items():
            if count > 1:
                yield f"These inputs were sent {count} times: {inputs}."
        for job in self._jobs:
            if not job.is_settled:
                yield f"Job {job.job_id} never settled: {job.state}, of {job.replica_id}, problem {job.problem}."
        for finding in self._rows_without_files:
            yield f"{finding.kind}: {finding.path} {finding.detail}"

    def _unclear_without_kill(self) -> Iterator[Job]:
        """Between the right to send and the response's row, a kill cuts a POST; a freeze or a cut does not."""
        for job in self._jobs:
            sent_at = job.armed_at or job.created_at
            if job.state == "submit_unclear" and not any(0 <= at - sent_at < POST_S for at in self._killed_at):
                yield job

    def _lost(self) -> Iterator[str]:
        for request in self._accepted:
            job = self._by_request.get(request["request_id"])
            if job is None and _canonical(request["inputs"]) not in self._unclear:
                yield f"Request {request['request_id']} was accepted, and no row knows it."
            if job and request["status"] == "completed" and job.state != "done" and job.is_settled:
                yield f"Request {request['request_id']} is completed, its job {job.state}: {job.detail}."
        known = {job.job_id for job in self._jobs}
        for job_id in sorted(self._reported - known):
            yield f"Job {job_id} was returned to a caller and is not in the ledger."


def _canonical(inputs: Mapping[str, Any]) -> str:
    return json.dumps(dict(inputs), sort_keys=True, ensure_ascii=False)
