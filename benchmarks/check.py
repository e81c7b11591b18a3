"""Regression check: run short forms of the benchmarks and compare their ratios with the committed ones.

    python -m benchmarks.check [--only polling load library start pictures line growth] [--write]

Each ratio relates a figure to a baseline of the same run, so it depends little on the machine; on a busy machine it
means nothing. `ratios.json` holds the committed ratios and by what factor each may be exceeded. The tests do not run
this.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

RATIOS = Path(__file__).with_name("ratios.json")
TOLERANCE = 1.25
"""The tolerance factor of a new ratio."""

Ratios = dict[str, float]


# Imports are local: some need the packages of the tests.
def _polling(_folder: Path) -> Ratios:
    from benchmarks.polling import SIGMAS, measure

    rows = measure()
    return {"lateness to the best possible schedule, worst": max(row["to_best"] for row in rows)} | {
        f"lateness to a fixed pause, sigma {sigma:g}": statistics.fmean(
            row["to_fixed"] for row in rows if row["sigma"] == sigma
        )
        for sigma in SIGMAS
    }


def _load(folder: Path) -> Ratios:
    from benchmarks.load import throttled, visitors

    many, few = visitors(folder / "visitors", 60), throttled(folder / "throttled", 40)
    return {
        "60 visitors: lateness to a fixed pause of 2 s": many["to a fixed pause of 2 s"],
        "60 visitors: lost or submitted twice": many["lost"] + many["submitted twice"],
        "40 throttled: 429s in any later second": few.get("429s in any later second", 0.0),
        "40 throttled: lost or submitted twice": few["lost"] + few["submitted twice"],
    }


def _library(folder: Path) -> Ratios:
    from benchmarks.library import FIRST, measure

    small, large = measure(folder, [100, 1000], 20, False)
    pairs = zip(large.took_ms[FIRST], small.took_ms[FIRST], strict=True)
    return {"first page of the library, 1,000 jobs to 100": statistics.median(many / few for many, few in pairs)}


def _start(_folder: Path) -> Ratios:
    from benchmarks.page import measure_start

    return {"start, to an empty Gradio page": measure_start(3)[0]["ratio"]}


def _pictures(_folder: Path) -> Ratios:
    from benchmarks.pictures import CASES, measure_case
    from benchmarks.process_stats import chromium

    with chromium() as browser:
        ratios = {case.name: measure_case(case, browser, 3) for case in CASES}
    return {
        f"{name}: last painted, to its target": figures["last painted, s"] / figures["last painted, s at most"]
        for name, figures in ratios.items()
    }


def _line(_folder: Path) -> Ratios:
    from benchmarks.slow_line import measure

    figures = measure(100, 0.005)
    return {f"4 files at 100 Mbit/s, {name}": figures[name] for name in figures if name.endswith("to side by side")}


def _growth(folder: Path) -> Ratios:
    from benchmarks.growth import measure_sqlite

    operations = ["press", "poll", "library page", "search", "spending"]
    figures = measure_sqlite(folder, [1000, 20_000], operations)
    return {f"{name}: 20,000 jobs to 1,000": times[20_000] / times[1000] for name, times in figures.items()}


CHECKS: dict[str, Callable[[Path], Ratios]] = {
    "polling": _polling, "load": _load, "library": _library, "start": _start, "pictures": _pictures, "line": _line,
    "growth": _growth,
}  # fmt: skip


def measure(names: list[str]) -> Ratios:
    """Run these short forms; returns ratios by label."""
    ratios: Ratios = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"dreamina-check-{name}-") as folder:
            ratios |= CHECKS[name](Path(folder))
    return {label: round(ratio, 3) for label, ratio in ratios.items()}


def main() -> None:
    """Measure, compare, print a table; exit with 1 if a ratio exceeds its tolerance."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS), help="which ones (default: all)")
    parser.add_argument("--write", action="store_true", help="write the measured ratios to ratios.json")
    options = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    ratios = measure(options.only)
    committed: dict[str, dict[str, float]] = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    if options.write:
        committed |= {
            label: {"ratio": ratio, "tolerance": committed.get(label, {}).get("tolerance", TOLERANCE)}
            for label, ratio in ratios.items()
        }
        RATIOS.write_text(json.dumps(committed, indent=2) + "\n")
    worse = 0
    print(f"{'':<56}{'now':>8}{'good':>8}{'at limit':>9}")
    for label, ratio in ratios.items():
        known = committed.get(label)
        limit = known["ratio"] * known["tolerance"] if known else None
        is_worse = limit is not None and not ratio <= limit
        worse += is_worse
        right = f"{known['ratio']:>8.3f}{limit:>9.3f}" if known else f"{'new':>8}"
        print(f"{label:<56}{ratio:>8.3f}{right}{'  WORSE' if is_worse else ''}")
    if worse:
        sys.exit(f"{worse} of {len(ratios)} exceed their tolerance.")


if __name__ == "__main__":
    main()
