"""What each operation costs with 1,000, 100,000 and 1,000,000 jobs, and how it grows.

    python -m benchmarks.growth [--jobs 1000 100000 1000000] [--folder FOLDER] [--only search start] [--postgresql]

Milliseconds of this process' CPU time, so that a busy machine matters less; medians, sizes in turns. With PostgreSQL,
whose work is done elsewhere, and for starts it is time on the clock. The exponent is that of the number of jobs in the
time: 0 does not grow, 1 grows with the number. With `--folder`, ledgers that are there are used again.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.admission import ORIGIN, Admission
from benchmarks.growth_rows import RARE_WORD, VISITOR, fill_postgresql, fill_sqlite
from benchmarks.page_processes import AppPage, EmptyGradioPage, PageProcess
from dreamina_ui.cli.data_dir_reader import Records
from dreamina_ui.cli.export import backup
from dreamina_ui.cli.verify import verify
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.library.library import Library, LibraryFilter
from dreamina_ui.media.folder_store import FolderStore
from dreamina_ui.spending.costs import Costs
from dreamina_ui.spending.dashboard import read_dashboard
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.spending.moderation import Moderation

ROUNDS = 7
STARTS = 3
SLOW = ("verify", "backup")
"""They read every row, as they must; nobody waits for them on a page. Measured once."""

START = "start, to an empty Gradio page"
GROWS_FROM = 0.15
"""A larger exponent is marked."""


@dataclass(frozen=True)
class _Subject:
    """One ledger and what is measured on it."""

    ledger: Ledger
    folder: Path

    def operations(self) -> dict[str, Callable[[], object]]:
        library = Library(self.ledger, FolderStore(self.folder / "media"))
        admission = Admission.of(self.ledger)
        running = self._running_job()
        newest = library.page(LibraryFilter())
        searches = {"one match": RARE_WORD, "no match": "axolotls", "all match": "red fox", "one letter": "q"}
        return {
            "press": admission.admit,
            "poll": lambda: self._poll(running),
            "stream message": lambda: self.ledger.recent(VISITOR, 24),
            "library page": lambda: library.page(LibraryFilter(), newest[-1].cursor),
            "library page of a visitor": lambda: library.page(LibraryFilter(visitor_id=VISITOR)),
            "library, how much there is": library.usage,
            **{
                f"search, {name}": lambda text=text: library.page(LibraryFilter(text=text))  # type: ignore[misc]
                for name, text in searches.items()
            },
            "spending page": lambda: Costs(self.ledger).read(VISITOR, all_of_owner=True),
            "admin page": self._open_admin,
            "verify": lambda: verify(Records(self.folder, self.ledger), quick=True, pause=lambda _: None),
            "backup": lambda: backup(
                Records(self.folder, self.ledger), self.folder / "copy.zip", force=True, pause=lambda _: None
            ),
        }

    def _running_job(self) -> Job:
        admission = Admission.of(self.ledger)
        job = admission.admit()
        job = self.ledger.change(job, "queued", request_id=f"running-{job.job_id}")
        return self.ledger.change(job, "running")

    def _poll(self, job: Job) -> None:
        now = self.ledger.job(job.job_id)
        self.ledger.change(now, status=f"in_progress {now.version}", durable=False)
        self.ledger.run_times(job.model_id, job.size)

    def _open_admin(self) -> None:
        moderation, guard = Moderation(self.ledger), SpendingGuard(Limits(per_day=200, usd_per_day=10.0), ORIGIN, 0.03)
        with self.ledger.reading() as reader:
            dashboard = read_dashboard(reader, guard, moderation.rules(reader), (), time.time())
        json.dumps(dashboard.to_json())


Figures = dict[str, dict[int, float]]


def measure(subjects: dict[int, _Subject], only: list[str] | None, clock: Callable[[], float]) -> Figures:
    """Milliseconds by operation and number of jobs."""
    operations = {count: subject.operations() for count, subject in subjects.items()}
    figures: Figures = {}
    for name in next(iter(operations.values())):
        if only and not any(name.startswith(prefix) for prefix in only):
            continue
        took_ms: dict[int, list[float]] = {count: [] for count in operations}
        for _ in range(1 if name in SLOW else ROUNDS):
            for count, table in operations.items():
                started_s = clock()
                table[name]()
                took_ms[count].append((clock() - started_s) * 1000)
        figures[name] = {count: statistics.median(times) for count, times in took_ms.items()}
    return figures


def measure_starts(folders: dict[int, Path]) -> Figures:
    """Seconds until the first response by number of jobs, in turns with an empty Gradio page, as ratios to that."""
    ratios: dict[int, list[float]] = {count: [] for count in folders}
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as name:
            empty_s = _start_s(EmptyGradioPage(Path(name)))
        for count, folder in folders.items():
            ratios[count].append(_start_s(AppPage(folder)) / empty_s)
    return {START: {count: min(values) for count, values in ratios.items()}}


def _start_s(program: PageProcess) -> float:
    with program:
        program.start()
        return program.wait_ready()


def exponent(times: dict[int, float]) -> float:
    """Of the number of jobs, between the smallest and the largest ledger."""
    small, large = min(times), max(times)
    return math.log(times[large] / times[small]) / math.log(large / small) if large > small else 0.0


def measure_sqlite(folder: Path, counts: list[int], only: list[str] | None) -> Figures:
    folders = {count: folder / str(count) for count in counts}
    with ExitStack() as stack:
        subjects: dict[int, _Subject] = {}
        for count, parent in folders.items():
            data = parent / "data"
            data.mkdir(parents=True, exist_ok=True)
            if not (data / "ledger.sqlite3").exists():
                fill_sqlite(data / "ledger.sqlite3", count)
            ledger = stack.enter_context(closing(Ledger(data / "ledger.sqlite3")))
            subjects[count] = _Subject(ledger, data)
        figures = measure(subjects, only, time.process_time)
    if not only or "start" in only:
        figures |= measure_starts(folders)
    return figures


def measure_postgresql(folder: Path, counts: list[int], only: list[str] | None) -> Figures:
    """The same on a PostgreSQL server of its own, without what is about files."""
    from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase
    from tests.support.databases import PostgresqlServer, find_postgresql

    programs = find_postgresql()
    if not programs:
        raise SystemExit("There is no PostgreSQL.")
    with ExitStack() as stack:
        server = PostgresqlServer(programs, flushes=True)
        stack.callback(server.stop)
        subjects = {}
        for count in counts:
            url = f"{server.url}?options=-csearch_path%3D{server.take_schema()}"
            fill_postgresql(url, count)
            ledger = stack.enter_context(closing(Ledger(PostgresqlDatabase(url))))
            subjects[count] = _Subject(ledger, folder)
        names = only or [name for name in subjects[counts[0]].operations() if name not in SLOW]
        return measure(subjects, names, time.monotonic)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where the ledgers are, or are made (default: a temporary one)")
    parser.add_argument("--only", nargs="+", help="operations by the beginnings of their names")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dreamina-growth-") as name:
        folder = options.folder or Path(name)
        run = measure_postgresql if options.postgresql else measure_sqlite
        figures = run(folder, sorted(options.jobs), options.only)
    print(f"{'':<32}" + "".join(f"{count:>12,}" for count in sorted(options.jobs)) + f"{'exponent':>10}")
    for name, times in figures.items():
        grows = exponent(times)
        cells = "".join(f"{time_ms:>12.2f}" for _, time_ms in sorted(times.items()))
        print(f"{name:<32}{cells}{grows:>10.2f}{'  grows' if grows > GROWS_FROM else ''}")


if __name__ == "__main__":
    main()
