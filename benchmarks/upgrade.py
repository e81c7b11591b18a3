"""A rolling upgrade under load: servers of an older checkout are replaced one by one by this one.

    git worktree add ../old REVISION
    python -m benchmarks.upgrade ../old [--servers 3] [--minutes 3]

All share PostgreSQL, a bucket, and the sandbox on its own. As a load balancer does, each request goes to a server whose
`/readyz` answers 200, and one that could not be sent goes to the next. It exits with 1 on a failed request, a job that
is unclear, lost or sent twice, or a file that is served as something else than what its URL says.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks.app_processes import ROOT, GradioApp, SandboxProcess
from benchmarks.kill_replicas import ReplicaAudit
from dreamina_ui.cli.data_dir_reader import Records, open_bucket, open_database
from tests.support.databases import PostgresqlServer, find_postgresql
from tests.support.s3_server import S3Server

_PAUSE_S = 1.0
_SETTLE_S = 60.0


class Visitors:
    """Makes jobs and loads the page and its files all the time, through whatever servers are ready.

    Attributes:
        failed: one line for each request that no server answered as it should.
        counts: how many requests there were, by kind.
        reported: the ids of all jobs that were returned.
    """

    def __init__(self) -> None:
        self.servers: list[GradioApp] = []
        self.failed: list[str] = []
        self.counts: Counter[str] = Counter()
        self.reported: set[str] = set()
        self._files: dict[str, str] = {}
        self._turns = itertools.count()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._make_jobs, self._load_pages)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self, kind: str, method: str, path: str, **options: object) -> requests.Response | None:
        """One request; as nginx does, a POST that was sent goes to no second server."""
        self.counts[kind] += 1
        for _ in range(40):
            server = self._ready_server()
            if server is None:
                time.sleep(0.25)
                continue
            try:
                response = requests.request(method, f"{server.base_url}{path}", timeout=120, **options)  # type: ignore[arg-type]
            except requests.ConnectionError as exc:
                if "refused" in str(exc).lower() or method == "GET":
                    continue
                self.failed.append(f"{kind}: {exc}")
                return None
            if response.ok:
                return response
            self.failed.append(f"{kind}: HTTP {response.status_code} {response.text[:200]}")
            return None
        self.failed.append(f"{kind}: no server is ready")
        return None

    def _ready_server(self) -> GradioApp | None:
        servers = list(self.servers)
        for _ in servers:
            server = servers[next(self._turns) % len(servers)]
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{server.base_url}/readyz", timeout=5).ok:
                    return server
        return None

    def _make_jobs(self) -> None:
        for number in itertools.count():
            if self._stopping.wait(_PAUSE_S):
                return
            named = {"prompt": f"upgrade {number}", "size": "1024x1024(1:1)", "scale": 0.5, "force_single": True}
            # A program's call needs the same server twice, as nginx's hash gives it.
            if server := self._ready_server():
                before = len(server.reported)
                self.counts["job"] += 1
                server.submit_and_wait(named)
                if len(server.reported) == before:
                    self.failed.append(f"job {number}: no response")
                self.reported |= server.reported

    def _load_pages(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            page = self._call("page", "GET", "/")
            for path in sorted(set(re.findall(r"/dreamina/assets/[^\"'\\ )]+", page.text if page else "")))[:4]:
                self._load_file(path)

    def _load_file(self, path: str) -> None:
        """A digest's file is the same wherever it comes from."""
        if response := self._call("file", "GET", path):
            digest = hashlib.sha256(response.content).hexdigest()
            if self._files.setdefault(path, digest) != digest:
                self.failed.append(f"{path} is two different files")


def run(folder: Path, old: Path, servers: int, minutes: float) -> tuple[dict[str, int | float], list[str]]:
    """Figures and violations."""
    binaries = find_postgresql()
    if binaries is None:
        raise RuntimeError("There is no PostgreSQL server on this machine.")
    with contextlib.ExitStack() as stack:
        database = PostgresqlServer(binaries)
        stack.callback(database.stop)
        bucket = stack.enter_context(S3Server(folder / "s3"))
        sandbox = stack.enter_context(SandboxProcess(folder, queue_s=0.5, run_s=2.0, parallel=8))
        sandbox.start()
        sandbox.wait_ready()
        variables = {"DREAMINA_DATABASE_URL": database.url, "DREAMINA_SHARED": "0", **bucket.variables("upgrade")}
        made = _servers(folder, sandbox.url, variables, stack)
        visitors = Visitors()
        visitors.servers = [next(made)(old) for _ in range(servers)]
        for server in visitors.servers:
            server.wait_ready()
        visitors.start()
        time.sleep(60 * minutes / 6)
        for index in range(servers):  # a surge of one, as Kubernetes does it
            new = next(made)(ROOT)
            new.wait_ready()
            leaving, visitors.servers[index] = visitors.servers[index], new
            time.sleep(60 * minutes / 12)
            leaving.stop()
        time.sleep(60 * minutes / 6)
        visitors.stop()
        with contextlib.closing(open_database(database.url)) as ledger:
            end_s = time.monotonic() + _SETTLE_S
            while time.monotonic() < end_s and not all(job.is_settled for job in ledger.every_job()):
                time.sleep(0.5)
            for server in visitors.servers:
                server.stop()
            records = Records(folder, ledger, open_bucket(folder, bucket.access("upgrade")), "database")
            audit = ReplicaAudit(records, sandbox.requests(), visitors.reported)
            figures: dict[str, int | float] = {f"requests: {kind}": count for kind, count in visitors.counts.items()}
            figures |= {"failed requests": len(visitors.failed), **audit.figures()}
            unclear = [job.job_id for job in ledger.every_job() if job.state == "submit_unclear"]
            return figures, [*visitors.failed, *(f"{job_id} is unclear" for job_id in unclear), *audit.broken()]


def _servers(folder: Path, api_url: str, variables: dict[str, str], stack: contextlib.ExitStack) -> Iterator[_Start]:
    for number in itertools.count():
        own = folder / f"server-{number}"
        own.mkdir()
        yield _Start(own, api_url, variables, stack)


class _Start:
    """Starts one more server of a checkout."""

    def __init__(self, folder: Path, api_url: str, variables: dict[str, str], stack: contextlib.ExitStack) -> None:
        self._folder, self._api_url, self._variables, self._stack = folder, api_url, variables, stack

    def __call__(self, root: Path) -> GradioApp:
        server = self._stack.enter_context(GradioApp(self._folder, self._api_url, **self._variables))
        server.root = root
        server.start()
        return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="the folder of the older checkout")
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dreamina-upgrade-", ignore_cleanup_errors=True) as folder:
        figures, broken = run(Path(folder), options.old.resolve(), options.servers, options.minutes)
    print("\n".join(f"{label:<50}{value:>10}" for label, value in figures.items()))
    print("\n".join(["", *(broken or ["No violation."])]))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
