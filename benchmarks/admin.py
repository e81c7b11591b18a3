"""The Admin tab with ten thousand visitors: the server's CPU time for what the tab asks for when it opens.

    python -m benchmarks.admin

A ledger of 50,000 jobs is made in a folder of its own; no file is stored, and nothing is sent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from dreamina_ui.ledger.budget_rows import rebuild_budgets
from dreamina_ui.ledger.engines.sqlite import open_sqlite
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import jobs, outputs
from dreamina_ui.ledger.transaction import Transaction
from dreamina_ui.models.schema import load_models
from dreamina_ui.spending.costs import Costs
from dreamina_ui.spending.dashboard import read_dashboard
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.spending.moderation import Moderation

TARGET_MS = 200.0
"""Of the server's CPU time, to open the tab. What was spent by day, month and model comes with a second request."""

JOBS_PER_VISITOR = 5
DAYS = 60
NOW = 1_795_000_000.0
ORIGIN = "https://api.example"
PROBLEMS = ("refused", "transport", "media", "rate_limit")


def main() -> int:
    """Print the figures as JSON; 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        fill_ledger(path, options.visitors)
        ledger, models = Ledger(path), list(load_models())
        took_ms = [_open_tab(ledger, models) for _ in range(options.times)]
        ledger.close()
    figures = {
        "visitors": options.visitors,
        "jobs": options.visitors * JOBS_PER_VISITOR,
        "overview, first, ms": round(took_ms[0][0], 1),
        "overview, median, ms": round(statistics.median(overview for overview, _ in took_ms), 1),
        "costs, median, ms": round(statistics.median(costs for _, costs in took_ms), 1),
    }
    print(json.dumps(figures, indent=1))
    return int(float(figures["overview, median, ms"]) > TARGET_MS)


def fill_ledger(path: Path, visitors: int) -> None:
    """Write jobs of that many visitors: most are done, every tenth failed, every twentieth on a key of its own."""
    Ledger(path).close()
    random = Random(1)
    model_id = next(iter(load_models()))
    rows = [_row(random, model_id, number, visitors) for number in range(visitors * JOBS_PER_VISITOR)]
    files = [_file_row(row["job_id"], index) for row in rows if row["state"] == "done" for index in range(3)]
    engine = open_sqlite(path, busy_timeout_s=10.0)
    with engine.begin() as connection:
        connection.execute(jobs.insert(), rows)
        connection.execute(outputs.insert(), files)
        rebuild_budgets(Transaction(connection))
    engine.dispose()


def _row(random: Random, model_id: str, number: int, visitors: int) -> dict[str, object]:
    at = NOW - random.random() * DAYS * 86_400
    is_failed = number % 10 == 9
    return {
        "job_id": hashlib.sha256(str(number).encode()).hexdigest()[:32],
        "visitor_id": f"{number % visitors:032x}",
        "client_hash": f"{number % visitors // 2:032x}",
        "model_id": model_id,
        "api_origin": ORIGIN,
        "inputs": "{}",
        "size": "1024x1024(1:1)",
        "state": "failed" if is_failed else "done",
        "status": "completed",
        "request_id": f"request-{number}",
        "problem": PROBLEMS[number // 10 % len(PROBLEMS)] if is_failed else None,
        "detail": f"details of {number}" if is_failed else None,
        "search_text": "a red fox",
        "key_fingerprint": "a key" if number % 20 == 0 else None,
        "version": 5,
        "cost_usd": 0.12 if number % 3 else None,
        "reserved_usd": 0.12,
        "created_at": at,
        "updated_at": at + 30,
        "finished_at": at + 30,
    }


def _file_row(job_id: object, index: int) -> dict[str, object]:
    key = f"{job_id}/{index}"
    return {
        "job_id": job_id, "output_index": index, "kind": "image", "file_key": key, "state": "kept",
        "file_name": "original.png", "media_type": "image/png", "format": "PNG", "sha256": "0" * 64,
        "width": 1024, "height": 1024, "size_bytes": 1_000_000,
    }  # fmt: skip


def _open_tab(ledger: Ledger, model_ids: Iterable[str] = ()) -> tuple[float, float]:
    """Milliseconds for the overview, and for the costs."""
    moderation, guard = Moderation(ledger), SpendingGuard(Limits(per_day=200, usd_per_day=10.0), ORIGIN, 0.03)
    start = time.process_time()
    with ledger.reading() as reader:
        dashboard = read_dashboard(reader, guard, moderation.rules(reader), model_ids, NOW)
    json.dumps(dashboard.to_json())
    middle = time.process_time()
    reports = Costs(ledger).read("0" * 32, all_of_owner=True)
    json.dumps({name: report.to_json() for name, report in reports.items()})
    return (middle - start) * 1000, (time.process_time() - middle) * 1000


if __name__ == "__main__":
    sys.exit(main())
