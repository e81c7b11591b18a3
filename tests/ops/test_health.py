"""What the machines that look after the program see: whether it is ready, and its numbers."""

from __future__ import annotations

import re
from functools import partial

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from dreamina_ui.api.call_stats import ApiCalls
from dreamina_ui.api.client import RunComfy
from dreamina_ui.errors import LedgerError, StorageError
from dreamina_ui.media.fetching.reachability import Reachability
from dreamina_ui.ops.health import MIN_FREE_BYTES, PROBE_PAUSE_S, Health
from dreamina_ui.ops.metrics import Metrics
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.browser import AppProcess
from tests.support.harness import MODEL_ID, TOKEN, Harness, ScriptedApi, no_pause


class Watched:
    """A harness that records the calls to the API, and the health of it all."""

    def __init__(self, harness: Harness, min_free_bytes: int = MIN_FREE_BYTES) -> None:
        self.harness = harness
        self.calls = ApiCalls(harness.clock)
        harness.client_options["on_call"] = self.calls.record
        harness.rebuild()
        client = RunComfy(harness.base_url, TOKEN, on_call=self.calls.record, pause=no_pause)
        probe = partial(client.price, MODEL_ID, attempts=1)
        self.health = Health(
            harness.ledger, harness.folder, self.calls, probe, min_free_bytes=min_free_bytes, clock=harness.clock
        )


@pytest.fixture
def watched(harness: Harness) -> Watched:
    return Watched(harness)


class Unreachable(Reachability):
    """Says that no file could be fetched."""

    def __init__(self) -> None:
        pass

    def problem(self) -> str | None:
        return "Set DREAMINA_MEDIA_HOSTS."


# --- health


def test_a_program_that_could_fetch_no_file_is_not_ready(watched: Watched) -> None:
    """It refuses every job that costs money, and whoever watches it should know."""
    harness = watched.harness
    health = Health(harness.ledger, harness.folder, watched.calls, lambda: None, Unreachable(), clock=harness.clock)
    assert "files" in health.not_ready()


def test_a_sound_program_is_ready_and_asks_the_api_once_a_minute(watched: Watched, service: ScriptedApi) -> None:
    """A probe every second must not become a call to the API every second."""
    for _ in range(5):
        assert watched.health.not_ready() == ()
    watched.harness.clock.advance(PROBE_PAUSE_S - 1)
    assert watched.health.not_ready() == ()
    assert len(service.server.requests_for("GET")) == 1
    assert watched.calls.counts() == {("price", "ok"): 1}


@pytest.mark.parametrize(
    ("response", "not_ready"),
    [
        (json_response({"error_code": 401001, "message": "no"}, 401), ()),
        (ScriptedResponse(hang_up=True), ("api",)),
        (ScriptedResponse(502), ("api",)),
        (ScriptedResponse(200, b"<html>a hotel's login page</html>"), ("api",)),
    ],
)
def test_only_a_response_of_the_api_itself_shows_that_it_is_there(
    watched: Watched, service: ScriptedApi, response: ScriptedResponse, not_ready: tuple[str, ...]
) -> None:
    """A refusal is a response of the API; a page of a gateway or a captive portal is none."""
    service.price(response)
    assert watched.health.not_ready() == not_ready


def test_an_api_that_responded_long_ago_is_probed_again(watched: Watched, service: ScriptedApi) -> None:
    """An hour without visitors must not hide that the API is gone; and nobody waits for the probe."""
    watched.calls.record("status", "ok")
    service.price(ScriptedResponse(silent=True))
    watched.harness.clock.advance(PROBE_PAUSE_S + 1)
    assert watched.health.not_ready() == ()
    watched.calls.record("price", "transport")
    watched.harness.clock.advance(2)
    assert watched.health.not_ready() == ("api",)


def test_a_ledger_that_was_taken_away_is_not_ready(watched: Watched) -> None:
    """Every request would fail; a balancer should send people elsewhere."""
    assert watched.health.not_ready() == ()
    (watched.harness.folder / "ledger.sqlite3").unlink()
    assert watched.health.not_ready() == (), "the last answer holds for a second"
    watched.harness.clock.advance(2)
    assert watched.health.not_ready() == ("ledger",)


def test_a_bucket_that_takes_no_files_is_not_ready(harness: Harness) -> None:
    """Visitors are sent to another machine, or read what is wrong, before anything is paid for."""

    def refuse() -> None:
        raise StorageError("it cannot be reached")

    health = Health(harness.ledger, harness.folder, ApiCalls(), lambda: None, check_bucket=refuse)
    assert "media" in health.not_ready()


def test_a_full_disk_is_not_ready(harness: Harness) -> None:
    """New pictures would have no place."""
    assert Watched(harness, min_free_bytes=10**18).health.not_ready() == ("disk",)


def test_the_probes_are_open_and_tell_nothing_else(app: AppProcess) -> None:
    """A balancer has no cookie, and a stranger learns no path, no URL and no version."""
    alive = requests.get(f"{app.url}/healthz", timeout=10)
    assert (alive.status_code, alive.text) == (200, "alive\n")
    ready = requests.get(f"{app.url}/readyz", timeout=10)
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "not_ready": []})
    assert requests.get(f"{app.url}/metrics", timeout=10).status_code == 404, "numbers are the owner's to switch on"


# --- numbers


def test_the_numbers_tell_what_happened(watched: Watched, service: ScriptedApi) -> None:
    """An owner sees money, failures and slow hours on a board, not in a log."""
    harness = watched.harness
    metrics = Metrics(harness.ledger, harness.guard, watched.calls, clock=harness.clock)
    service.status("in_queue", "in_progress", "completed")
    service.result({"status": "completed", "cost": 0.03, "output": {"images": [service.picture()]}})
    harness.start()
    job = harness.jobs.generate(MODEL_ID, {"prompt": "a red fox"}, visitor_id="v" * 32)
    harness.wait(job.job_id, "done")
    result = _samples(metrics)
    assert result["dreamina_jobs", "done"] == 1
    assert result["dreamina_jobs", "queued"] == 0
    assert result["dreamina_spent_usd", "day"] == result["dreamina_spent_usd", "all"] == 0.03
    assert result["dreamina_visitors_today", ""] == 1
    assert result["dreamina_api_calls_total", "ok submit"] == 1
    assert result["dreamina_api_calls_total", "ok status"] == 3
    for state in ("submitting", "queued", "running", "saving"):
        assert result["dreamina_state_seconds_count", state] == 1, state
    assert ("dreamina_state_seconds_count", "done") not in result
    text = metrics.render().decode()
    assert not re.search(f"fox|{job.job_id[:8]}|{TOKEN}|vvvv", text), "numbers name nobody"


def test_a_crashed_call_is_counted_as_such(watched: Watched, service: ScriptedApi) -> None:
    """A board that only knows good calls shows nothing when it matters."""
    service.accept(ScriptedResponse(hang_up=True))
    harness = watched.harness
    harness.start()
    harness.wait(harness.generate().job_id, "submit_unclear")
    assert watched.calls.counts()["submit", "submit_unclear"] == 1


def test_numbers_from_an_unreadable_ledger_are_none(watched: Watched) -> None:
    """No number is better than a wrong one."""
    harness = watched.harness
    metrics = Metrics(harness.ledger, harness.guard, watched.calls, clock=harness.clock)
    harness.ledger.close()
    for path in harness.folder.glob("ledger.sqlite3*"):  # the newest rows are in a file beside it
        path.write_bytes(b"no ledger any more")
    with pytest.raises(LedgerError):
        metrics.render()


def _samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, " ".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
