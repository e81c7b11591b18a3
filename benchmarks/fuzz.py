"""Ten minutes of drawn bytes for everything that reads bytes from elsewhere; what fails goes into the corpus.

    python -m benchmarks.fuzz [--minutes 10] [--target NAME] [--seed 0]

The targets are those of `tests/support/fuzz_targets.py`, the files that are changed those of `tests/corpus`. Hypothesis
shrinks what fails before it is stored. The suite has a short form, `tests/test_fuzz.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.fuzz_targets import CORPUS, TARGETS, corpus_of, mutated

EXAMPLES_AT_ONCE = 300
MAX_READ_S = 2.0
"""How long one input may take: a decoder reads half a megapixel in milliseconds."""


class _SlowError(Exception):
    """An input took too long."""


def main() -> None:
    """Draw until the time is over; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to draw (default: 10)")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    ends_s = time.monotonic() + options.minutes * 60
    drawn: Counter[str] = Counter()
    failed: dict[str, str] = {}
    number = options.seed
    while time.monotonic() < ends_s and len(failed) < len(names):
        for name in names:
            if name not in failed and time.monotonic() < ends_s and (failure := _draw(name, number, drawn)):
                failed[name] = failure
        number += 1
    for name in names:
        print(f"{name:<12}{drawn[name]:>10} inputs{'   FAILED' if name in failed else ''}")
    if failed:
        sys.exit("\n".join(failed.values()))


def _draw(name: str, number: int, drawn: Counter[str]) -> str:
    """Draw inputs for one target; returns the failure, whose input is in the corpus then, or ""."""
    last = b""

    @seed(number)
    @settings(
        max_examples=EXAMPLES_AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=mutated(corpus_of(name)))
    def read(data: bytes) -> None:
        nonlocal last
        drawn[name] += 1
        last = data
        _read(TARGETS[name], data)

    try:
        read()
    except Exception:  # noqa: BLE001 - whatever a target raises is what is looked for
        path = CORPUS / name / f"found-{hashlib.sha256(last).hexdigest()[:8]}"
        path.write_bytes(last)
        return f"{name}, {path}:\n{traceback.format_exc(limit=-6)}"
    return ""


def _read(target: Callable[[bytes], object], data: bytes) -> None:
    started_s = time.process_time()
    target(data)
    if (took_s := time.process_time() - started_s) > MAX_READ_S:
        raise _SlowError(f"{took_s:.1f} s of CPU time")


if __name__ == "__main__":
    main()
