"""What the page is given of a job is what it shows, without reading texts."""

from __future__ import annotations

from typing import Any

from tests.support.bad_server import ScriptedResponse
from tests.support.harness import Harness, ScriptedApi


def card_of(harness: Harness, **inputs: Any) -> dict[str, Any]:
    job = harness.wait(harness.generate(**inputs).job_id, lambda job: job.state != "submitting")
    return harness.presenter.card(job, "en", for_owner=True)


def test_as_many_slots_are_reserved_as_images_are_expected(harness: Harness) -> None:
    """Skeletons in the right number and shape: nothing jumps when the images come."""
    wide = {"width×height": "3024x1296(21:9)"}
    assert card_of(harness, **wide, force_single=False)["expected"] == {"files": 4, "width": 3024, "height": 1296}
    assert card_of(harness, **wide, force_single=True)["expected"] == {"files": 1, "width": 3024, "height": 1296}


def test_a_busy_service_says_when_to_try_again(harness: Harness, service: ScriptedApi) -> None:
    """Whoever tries at once is refused once more; the button counts down what the service asked for."""
    service.accept(ScriptedResponse(429, b'{"message": "busy"}', {"Retry-After": "20"}))
    card = card_of(harness)
    assert card["action"] == "try_again"
    assert 0 < card["retry_in_s"] <= 20
    harness.clock.advance(5)
    job = harness.reader.job(card["job_id"])
    assert harness.presenter.card(job, "en", for_owner=True)["retry_in_s"] <= 15
    harness.clock.advance(20)
    assert harness.presenter.card(job, "en", for_owner=True)["retry_in_s"] == 0
