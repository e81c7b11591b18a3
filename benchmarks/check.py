"""A guard against regression: the short forms of the benchmarks, their ratios beside the committed ones.

    python -m benchmarks.check [--only polling load library start pictures] [--write]

Ratios compare with something measured or computed in the same run, and so depend little on the machine; on a busy one
they still mean nothing. `ratios.json` holds what is good, and by what factor it may be exceeded. It is no part of the
tests.
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
"""By what factor a ratio may be exceeded that is written for the first time."""

Ratios = dict[str, float]


# Each imports what it runs by itself: some need packages of the tests.
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
        "60 visitors: lost or sent twice": many["lost"] + many["sent twice"],
        "40 throttled: 429s in any later second": few.get("429s in any later second", 0.0),
        "40 throttled: lost or sent twice": few["lost"] + few["sent twice"],
    }


def _library(folder: Path) -> Ratios:
    from benchmarks.library import FIRST, measure

    small, large = measure(folder, [100, 1000], 20, False)
    pairs = zip(large.took_ms[FIRST], small.took_ms[FIRST], strict=True)
    return {"first page of the library, 1,000 jobs to 100": statistics.median(many / few for many, few in pairs)}


def _start(_folder: Path) -> Ratios:
    from benchmarks.page import measure_start

    return {"start, to an empty Gradio page's": measure_start(3)[0]["ratio"]}


def _pictures(_folder: Path) -> Ratios:
    from benchmarks.pictures import CASES, measure_case
    from benchmarks.processes import chromium

    with chromium() as browser:
        found = {case.name: measure_case(case, browser, 3) for case in CASES}
    return {
        f"{name}: last painted, to its aim": figures["last painted, s"] / figures["last painted, s at most"]
        for name, figures in found.items()
    }


CHECKS: dict[str, Callable[[Path], Ratios]] = {
    "polling": _polling, "load": _load, "library": _library, "start": _start, "pictures": _pictures,
}  # fmt: skip


def measure(names: list[str]) -> Ratios:
    """Run the short forms with these names; ratios by label."""
    found: Ratios = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"dreamina-check-{name}-") as folder:
            found |= CHECKS[name](Path(folder))
    return {label: round(ratio, 3) for label, ratio in found.items()}


def main() -> None:
    """Measure, compare, print a table; exit 1 if a ratio is worse than it may be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS), help="which ones (default: all)")
    parser.add_argument("--write", action="store_true", help="make what is measured now the committed ratios")
    options = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    found = measure(options.only)
    good: dict[str, dict[str, float]] = json.loads(RATIOS.read_text()) if RATIOS.exists() else {}
    if options.write:
        good |= {
            label: {"ratio": ratio, "tolerance": good.get(label, {}).get("tolerance", TOLERANCE)}
            for label, ratio in found.items()
        }
        RATIOS.write_text(json.dumps(good, indent=2) + "\n")
    worse = 0
    print(f"{'':<52}{'now':>8}{'good':>8}{'at most':>9}")
    for label, ratio in found.items():
        known = good.get(label)
        most = known["ratio"] * known["tolerance"] if known else None
        is_worse = most is not None and not ratio <= most
        worse += is_worse
        right = f"{known['ratio']:>8.3f}{most:>9.3f}" if known else f"{'new':>8}"
        print(f"{label:<52}{ratio:>8.3f}{right}{'  WORSE' if is_worse else ''}")
    if worse:
        sys.exit(f"{worse} of {len(found)} are worse than they may be.")


if __name__ == "__main__":
    main()
