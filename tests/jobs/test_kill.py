"""Killed at any moment, the program loses nothing and sends nothing twice: a short run of `benchmarks/kill.py`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kill import run


def test_kills_at_random_moments_lose_nothing_and_send_nothing_twice(tmp_path: Path) -> None:
    """Every request is billed: each must be in the ledger once, with its pictures, whenever the power goes."""
    report = run(tmp_path, kills=6, seed=1, bare=True)
    assert report.broken == []
    assert report.figures["jobs under way at the kills"] > 0, f"nothing was going on: {report}"
    assert report.figures["  compared with the service's bytes"] > 0, f"nothing was made: {report}"
