"""A killed app loses no job and submits none twice: a short run of `benchmarks/kill.py`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.kill import run


def test_kills_at_random_moments_lose_no_job_and_submit_none_twice(tmp_path: Path) -> None:
    """Every request is billed: each must be in the ledger once, with its images, whenever the app dies."""
    report = run(tmp_path, kills=4, seed=1, headless=True)
    assert report.broken == []
    assert report.figures["active jobs at the kills"] > 0, f"no job was active: {report}"
    assert report.figures["  compared with the service's bytes"] > 0, f"no file was compared: {report}"
