"""A server without a page tells whoever runs it that it lives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dreamina_ui.api.call_stats import ApiCalls
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ops.health import Health
from dreamina_ui.ops.metrics import Metrics
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.web.routes.probes import ProbeServer, build_probe_routes

TOKEN = "metrics-token"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.sqlite3")
    yield opened
    opened.close()


def test_a_worker_responds_to_probes_and_shows_its_numbers_for_the_token(ledger: Ledger, tmp_path: Path) -> None:
    """Kubernetes replaces a worker that hangs, waits for one that drains, and scales by its numbers."""
    calls = ApiCalls()
    health = Health(ledger, tmp_path, calls, lambda: None, min_free_bytes=0)
    metrics = Metrics(ledger, SpendingGuard(Limits(), "https://api.example"), calls)
    server = ProbeServer(build_probe_routes(health, metrics, TOKEN), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.port}"
    try:
        assert requests.get(f"{url}/healthz", timeout=30).text == "alive\n"
        health.drain()
        draining = requests.get(f"{url}/readyz", timeout=30)
        assert (draining.status_code, draining.json()["not_ready"]) == (503, ["draining"])
        assert requests.get(f"{url}/metrics", timeout=30).status_code == 401
        shown = requests.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        assert "dreamina_jobs" in shown.text
        assert requests.get(f"{url}/", timeout=30).status_code == 404
    finally:
        server.stop()
