"""Whatever repeats a request, its image is paid once: a short run of `benchmarks/repeated_requests.py`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.repeated_requests import run


def test_repeated_requests_and_a_kill_submit_each_intention_once(tmp_path: Path) -> None:
    """A held key, a lost response, a reload, a proxy or a crash must not buy the same image twice."""
    report = run(tmp_path, sessions=16, kills=1, seed=1)
    assert report.broken == []
    assert report.figures["HTTP requests"] > report.figures["intentions"]
    assert report.figures["submits"] > 0
