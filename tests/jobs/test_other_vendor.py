"""The seam to the service is one protocol: a vendor with other words and shapes runs jobs from submit to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dreamina_ui.errors import StoppedError
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.harness import INPUTS, MODEL_ID, Harness, png
from tests.support.queue_api import QueueApi

SUBMIT, PRICE = f"/queue/{MODEL_ID}", f"/prices/{MODEL_ID}"
STATUS, RESULT, CANCEL = "/queue/requests/q-1/status", "/queue/requests/q-1", "/queue/requests/q-1/cancel"


@pytest.fixture
def other(harness: Harness, server: BadServer) -> Harness:
    """A harness that speaks to the other vendor."""
    harness.connect = lambda key: QueueApi(harness.base_url, key)
    harness.rebuild()
    server.script(f"POST {SUBMIT}", json_response({"request_id": "q-1"}))
    server.script(STATUS, json_response({"status": "IN_QUEUE", "queue_position": 0}))
    server.script(PRICE, json_response({"unit_price": 0.03, "unit": "image"}))
    return harness


def test_a_job_of_another_vendor_ends_with_its_files(other: Harness, server: BadServer) -> None:
    """Nothing above the seam knows who makes the images."""
    for name, color in (("a", "tomato"), ("b", "navy")):
        server.script(f"/{name}.png", ScriptedResponse(200, png(color=color), {"Content-Type": "image/png"}))
    server.script(
        STATUS,
        json_response({"status": "IN_QUEUE", "queue_position": 2}),
        json_response({"status": "IN_PROGRESS"}),
        json_response({"status": "COMPLETED"}),
    )
    images = [{"url": f"{server.url}/{name}.png", "content_type": "image/png"} for name in "ab"]
    server.script(RESULT, json_response({"images": images, "seed": 7}))
    other.start()
    job = other.wait(other.generate().job_id)
    assert (job.state, job.request_id, job.status) == ("done", "q-1", "COMPLETED")
    stored = [other.reader.original(job, output) for output in job.outputs]
    assert [b"".join(file.read()) for file in stored if file] == [png(color="tomato"), png(color="navy")]
    (submit,) = server.requests_for("POST", SUBMIT)
    assert json.loads(submit.body)["prompt"] == INPUTS["prompt"]
    assert other.guard.price(MODEL_ID) == (0.03, "image")


def test_a_job_of_another_vendor_is_canceled(other: Harness, server: BadServer) -> None:
    """A cancel is believed when the vendor's status or its silence about the request says so."""
    server.script(CANCEL, json_response({"status": "CANCELLATION_REQUESTED"}, 202))
    other.start()
    job = other.wait(other.generate().job_id, "queued")
    server.script(STATUS, json_response({"detail": "unknown request"}, 404))
    verdict = other.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.state) == ("cancelled", "cancelled")


@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (403, "balance")])
def test_a_refusal_of_another_vendor_stops_by_its_scope(
    other: Harness, server: BadServer, status: int, reason: str
) -> None:
    """Whether all new jobs stop is decided by what a refusal concerns, not by one vendor's numbers."""
    server.script(f"POST {SUBMIT}", json_response({"detail": "no"}, status))
    other.start()
    assert other.wait(other.generate().job_id).problem == reason
    with pytest.raises(StoppedError, match=reason):
        other.generate(prompt="another")


def test_vendor_shapes_stay_in_their_package() -> None:
    """A number or key of the service anywhere else would have to be found again for each new vendor."""
    package = Path(__file__).parents[2] / "dreamina_ui"
    sources = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in ("api", "sandbox")]
    assert len(sources) > 50
    for path in sources:
        text = path.read_text(encoding="utf-8")
        numbers = [number for number in ("400002", "400004", "400005", "401001", "403001", "404001") if number in text]
        assert numbers == [], path
        words = [word for word in ('"in_queue"', '"in_progress"', '"not_cancellable"', '"succeeded"') if word in text]
        assert words == [], path
