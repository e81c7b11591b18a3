"""What the real service does, and gateways before it: every accepted job still ends truthfully."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import StateError
from dreamina_ui.jobs.canceling import CancelSender
from dreamina_ui.jobs.poll_state import FILES_TIMEOUT_S, RESULT_TIMEOUT_S, STATUS_TIMEOUT_S, PollState
from dreamina_ui.jobs.saving import EMPTY_RESULT_S
from dreamina_ui.jobs.worker import MISSING_GRACE_S
from dreamina_ui.ledger.job import LOST_AFTER_S, Job
from dreamina_ui.web.i18n.job_texts import message
from tests.support.bad_server import ScriptedResponse, closed_port, json_response
from tests.support.harness import Harness, ScriptedApi, png

PAGE_404 = ScriptedResponse(404, b"404 page not found", {"Content-Type": "text/plain"})
NOT_READY = json_response({"error_code": 400005, "error_message": "The result is not ready."}, 400)
GATEWAY_PAGES = {
    "404 text": PAGE_404,
    "404 html": ScriptedResponse(404, b"<html>nothing</html>"),
    "404 framework": json_response({"detail": "Not Found"}, 404),
    "502": ScriptedResponse(502, b"<html>bad gateway</html>"),
    "504": ScriptedResponse(504, b"<html>gateway timeout</html>"),
    "403 firewall": ScriptedResponse(403, b"<html>blocked</html>"),
    "200 page": ScriptedResponse(200, b"<html>maintenance</html>"),
}


def wait_for_calls(service: ScriptedApi, verb: str, count: int) -> None:
    """Wait until there were so many calls."""
    for _ in range(5000):
        if service.count_calls(verb) >= count:
            return
        threading.Event().wait(0.002)
    pytest.fail(f"only {service.count_calls(verb)} calls of {verb}")


def text_of(harness: Harness, job: Job) -> str:
    """What a person reads below the job."""
    return " ".join((message(job, harness.origin, "en"), job.detail or ""))


# --- gateways


@pytest.mark.parametrize("verb", ["status", "result"])
@pytest.mark.parametrize("page", GATEWAY_PAGES.values(), ids=GATEWAY_PAGES.keys())
def test_a_deployment_fails_no_running_job(
    harness: Harness, service: ScriptedApi, verb: str, page: ScriptedResponse
) -> None:
    """The pages of a gateway say nothing about a request, however long they come."""
    service.completes()
    getattr(service, verb)(page)
    harness.start()
    job = harness.generate()
    wait_for_calls(service, verb, 3)
    harness.clock.advance(MISSING_GRACE_S * 4)
    wait_for_calls(service, verb, 6)
    assert not harness.reader.job(job.job_id).is_settled
    service.completes()
    assert harness.wait(job.job_id).state == "done"


# --- cancels


@pytest.mark.parametrize("outcome", ["cancelled", "canceled", "cancellation_requested"])
def test_a_slow_cancel_is_sent_once(harness: Harness, service: ScriptedApi, outcome: str) -> None:
    """The service accepts a cancel and carries it out later; until then the page says that it is being canceled."""
    service.status("in_queue")
    service.cancel(json_response({"outcome": outcome, "status": "completed"}, 202))
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    harness.clock.freeze()
    verdict = harness.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.state, verdict.job.cancel_outcome) == ("unconfirmed", "queued", None)
    harness.jobs.cancel(job.job_id)  # an impatient person is no second wish
    wait_for_calls(service, "status", service.count_calls("status") + 10)
    assert service.count_calls("cancel") == 1
    service.status("cancelled")
    job = harness.wait(job.job_id)
    assert (job.state, job.cancel_outcome) == ("cancelled", "cancelled")


LOST_CANCELS = {"504": ScriptedResponse(504), "429": json_response({}, 429), "409": json_response({}, 409)}


@pytest.mark.parametrize("response", LOST_CANCELS.values(), ids=LOST_CANCELS.keys())
def test_a_cancel_that_got_no_response_is_repeated_only_after_growing_pauses(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """The wish may be lost and must be sent again; a service that is in trouble gets no flood of them."""
    service.status("in_queue")
    service.cancel(response)
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    harness.clock.freeze()
    harness.jobs.cancel(job.job_id)
    wait_for_calls(service, "status", service.count_calls("status") + 10)
    assert service.count_calls("cancel") == 1
    harness.clock.advance(31)
    wait_for_calls(service, "cancel", 2)
    service.cancel(json_response({"outcome": "cancelled"}, 202))
    service.status("cancelled")
    assert harness.wait(job.job_id).cancel_outcome == "cancelled"


def test_a_wish_that_a_poll_has_sent_already_is_not_sent_again(harness: Harness, service: ScriptedApi) -> None:
    """A poll may find the wish in the ledger before the thread that wrote it has sent it: that is one wish."""
    service.status("in_queue")
    service.cancel(ScriptedResponse(504))
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    sender, state, client = CancelSender(Pace(), harness.clock), PollState(), harness.accounts.client(job)
    attempts_before = state.cancel_attempts
    sender.send(client, job, state)  # the poll
    sender.send(client, job, state, attempts_before=attempts_before)
    assert service.count_calls("cancel") == 1
    sender.send(client, job, state, attempts_before=state.cancel_attempts)  # the person asks once more
    assert service.count_calls("cancel") == 2


def test_an_accepted_cancel_is_repeated_only_after_growing_pauses(harness: Harness, service: ScriptedApi) -> None:
    """A wish that the service forgot is sent again, and never more often than a patient person would."""
    service.status("in_queue")
    service.cancel(json_response({"outcome": "cancellation_requested"}, 202))
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    harness.clock.freeze()
    harness.jobs.cancel(job.job_id)
    for pause_s in (30, 60, 120):
        cancels = service.count_calls("cancel")
        harness.clock.advance(pause_s - 10)
        wait_for_calls(service, "status", service.count_calls("status") + 4)
        assert service.count_calls("cancel") == cancels
        harness.clock.advance(11)
        wait_for_calls(service, "cancel", cancels + 1)


def test_a_canceled_job_that_began_to_run_is_reported_as_too_late(harness: Harness, service: ScriptedApi) -> None:
    """A running job cannot be canceled: its images come, and the page says so."""
    service.status("in_queue")
    service.cancel(json_response({"outcome": "cancelled"}, 202))
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    harness.clock.freeze()
    harness.jobs.cancel(job.job_id)
    service.completes()
    job = harness.wait(job.job_id)
    assert (job.state, job.cancel_outcome) == ("done", "too_late")


# --- results that do not come


def test_a_result_that_is_not_ready_is_asked_for_again(harness: Harness, service: ScriptedApi) -> None:
    """The service may say `completed` a moment before it can hand out the result."""
    service.completes()
    service.result(NOT_READY, NOT_READY, {"status": "succeeded", "output": {"image": service.picture()}})
    harness.start()
    assert harness.wait(harness.generate().job_id).state == "done"


@pytest.mark.parametrize(
    "result",
    [NOT_READY, json_response({"error_code": 500001, "message": "oops"}), json_response({"error_code": 422777}, 422)],
    ids=["not ready", "an error in a 200", "a refusal"],
)
def test_a_result_that_never_comes_is_given_up_after_a_bound(
    harness: Harness, service: ScriptedApi, result: ScriptedResponse
) -> None:
    """Such a job must not hold a place of the limits forever, and can be fetched again or archived."""
    service.status("completed")
    service.result(result)
    harness.start()
    job = harness.generate()
    wait_for_calls(service, "result", 10)
    assert harness.reader.job(job.job_id).state == "saving"
    harness.clock.advance(RESULT_TIMEOUT_S + 1)
    job = harness.wait(job.job_id)
    assert (job.state, job.problem) == ("failed", "gave_up")
    assert "Retry download" in text_of(harness, job)
    assert harness.jobs.archive(job.job_id).archived_at
    service.completes()
    harness.jobs.fetch_again(job.job_id)
    assert harness.wait(job.job_id, "done").outputs[0].state == "kept"


def test_a_status_that_never_says_anything_is_given_up_after_a_day(harness: Harness, service: ScriptedApi) -> None:
    """An outage of an hour is none of these; a job that nobody can ask about any more is."""
    service.status(ScriptedResponse(503))
    harness.start()
    job = harness.generate()
    wait_for_calls(service, "status", 10)
    harness.clock.advance(STATUS_TIMEOUT_S / 2)
    wait_for_calls(service, "status", 13)
    assert harness.reader.job(job.job_id).state == "queued"
    harness.clock.advance(STATUS_TIMEOUT_S)
    assert harness.wait(job.job_id).problem == "gave_up"


# --- reasons

REASONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "on status only": ({"status": "failed", "error": "The GPU was lost."}, {"status": "failed"}),
    "on result only": ({"status": "failed"}, {"status": "failed", "error": "The GPU was lost."}),
    "an object": ({"status": "failed", "error": {"type": "oom", "message": "The GPU was lost."}}, {"status": "failed"}),
    "failure_reason": ({"status": "failed"}, {"status": "failed", "failure_reason": "The GPU was lost."}),
    "completed, then failed": ({"status": "completed"}, {"status": "failed", "error": "The GPU was lost."}),
    "the word error": ({"status": "error", "error": "The GPU was lost."}, {"status": "error"}),
    "a time-out": ({"status": "timed_out"}, {"status": "timed_out", "errors": ["The GPU was lost."]}),
    "in the output": ({"status": "failed"}, {"status": "failed", "output": {"error": "The GPU was lost."}}),
    "in place of the output": ({"status": "failed"}, {"status": "failed", "output": "The GPU was lost."}),
    "beside no images": (
        {"status": "completed"},
        {"status": "completed", "output": {"images": [], "error": "The GPU was lost."}},
    ),
}


@pytest.mark.parametrize(("status", "result"), REASONS.values(), ids=REASONS.keys())
def test_a_reason_is_shown_as_its_text(
    harness: Harness, service: ScriptedApi, status: dict[str, Any], result: dict[str, Any]
) -> None:
    """People change their prompt by it; raw JSON helps nobody."""
    service.status(json_response(status))
    service.result(json_response(result))
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem, job.detail) == ("failed", "failed_at_service", "The GPU was lost.")


def test_a_reason_in_a_refused_result_is_shown_as_its_text(harness: Harness, service: ScriptedApi) -> None:
    """The status says that it failed, and only the error about the result says why."""
    service.status("failed")
    service.result(json_response({"error_code": 500123, "error_message": "The GPU was lost."}, 400))
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.problem, job.detail) == ("failed_at_service", "The GPU was lost.")


def test_a_failed_status_with_a_good_result_is_a_good_job(harness: Harness, service: ScriptedApi) -> None:
    """The result decides: what was paid for is stored."""
    service.status("failed")
    service.result({"status": "completed", "output": {"image": service.picture()}, "cost": 0.03})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.cost_usd) == ("done", 0.03)


# --- outputs

DATA_URL = "data:image/png;base64," + base64.b64encode(png()).decode()
SHAPES: dict[str, Callable[[str], Any]] = {
    "one URL": lambda url: url,
    "a list": lambda url: [url],
    "a list of objects": lambda url: [{"url": url, "content_type": "image/png"}],
    "image_urls": lambda url: {"image_urls": [url]},
    "images of objects": lambda url: {"images": [{"url": url, "width": 64}]},
    "a data: URL": lambda _: {"image": DATA_URL},
    "base64": lambda _: {"images": [{"b64_json": base64.b64encode(png()).decode()}]},
    "nested": lambda url: {"result": {"items": {"first": {"image": {"url": url}}}}},
    "only a preview": lambda url: {"preview_url": url, "seed": 7},
    "previews in a list": lambda url: {"images": [{"preview": url}]},
    "JSON in a text": lambda url: '{"images": ["' + url + '"]}',
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_file_is_found_in_every_shape_of_output(
    harness: Harness, service: ScriptedApi, shape: Callable[[str], Any]
) -> None:
    """Models give their files in different shapes, and the inputs come back beside them."""
    service.status("completed")
    given = {"prompt": "a fox", "image_urls": [service.picture("given.png")]}
    service.result({"status": "succeeded", "output": shape(service.picture()), "input": given})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, [output.state for output in job.outputs]) == ("done", ["kept"])
    assert service.server.requests_for("GET", "/files/given.png") == []


def test_a_part_of_the_files_is_shown_and_what_is_missing_is_named(harness: Harness, service: ScriptedApi) -> None:
    """One image was refused by the service's filter; the other one was paid for."""
    service.status("completed")
    output = {"images": [None, service.picture()]}
    service.result({"status": "completed", "output": output, "error": "One image was filtered."})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem) == ("failed", "incomplete")
    assert [output.state for output in job.outputs] == ["damaged", "kept"]
    assert "1 of 2" in text_of(harness, job)
    assert "One image was filtered." in text_of(harness, job)


@pytest.mark.parametrize("late", [None, {}, {"images": []}, {"images": [None]}], ids=str)
def test_an_output_that_comes_late_is_waited_for(harness: Harness, service: ScriptedApi, late: Any) -> None:
    """A service may call a request completed before it has written down the files."""
    service.status("completed")
    service.result({"status": "completed", "output": late})
    harness.start()
    job = harness.generate()
    wait_for_calls(service, "result", 6)
    harness.clock.advance(EMPTY_RESULT_S / 2)
    service.completes()
    assert harness.wait(job.job_id).state == "done"


def test_a_preview_is_stored_only_if_the_file_does_not_come(harness: Harness, service: ScriptedApi) -> None:
    """The preview is often there first; it is all that was paid for only if nothing follows."""
    service.status("completed")
    service.result({"status": "completed", "output": {"images": [], "preview": service.picture("preview.png")}})
    harness.start()
    job = harness.generate()
    wait_for_calls(service, "result", 6)
    assert service.server.requests_for("GET", "/files/preview.png") == []
    harness.clock.advance(EMPTY_RESULT_S)
    job = harness.wait(job.job_id)
    assert (job.state, [output.state for output in job.outputs]) == ("done", ["kept"])


# --- late files


@pytest.mark.parametrize(
    "trouble",
    [ScriptedResponse(404), ScriptedResponse(403), ScriptedResponse(503), ScriptedResponse(200, b"<Error>NoSuchKey")],
)
def test_a_file_that_comes_late_is_fetched_without_a_person(
    harness: Harness, service: ScriptedApi, trouble: ScriptedResponse
) -> None:
    """Storage needs a while; the image is paid for and must not wait for somebody to press a button."""
    url = service.file("one.png", trouble)
    service.completes(url)
    harness.start()
    job = harness.wait(harness.generate().job_id, lambda job: job.problem == "file_unavailable")
    assert job.state == "saving"
    harness.clock.advance(FILES_TIMEOUT_S / 2)
    service.picture("one.png")
    assert harness.wait(job.job_id).state == "done"


def test_an_expired_url_is_replaced_by_a_fresh_one(harness: Harness, service: ScriptedApi) -> None:
    """A signed URL may run out while a disk is full or a host is down; the result has a new one."""
    old, new = service.file("old.png", ScriptedResponse(403)), service.picture("new.png")
    service.status("completed")
    service.result({"output": {"image": old}}, {"output": {"image": old}}, {"output": {"image": new}})
    harness.start()
    assert harness.wait(harness.generate().job_id).state == "done"


# --- jobs that a person gives up


def test_a_job_that_waits_for_its_files_can_be_given_up(harness: Harness, service: ScriptedApi) -> None:
    """Nobody should have to look at it for a quarter of an hour. That it is billed is said, and it can come back."""
    service.completes(service.file("one.png", ScriptedResponse(404)))
    harness.start()
    job = harness.wait(harness.generate().job_id, lambda job: job.problem == "file_unavailable")
    assert harness.presenter.card(job, "en", for_owner=True)["can_archive"]
    job = harness.jobs.archive(job.job_id)
    assert (job.state, job.problem, job.cost_usd, job.archived_at is not None) == ("failed", "given_up", 0.03, True)
    assert "RunComfy finished it and bills it" in text_of(harness, job)
    service.picture("one.png")
    harness.jobs.restore(job.job_id)
    harness.jobs.fetch_again(job.job_id)
    assert harness.wait(job.job_id, "done").problem is None


def test_a_lost_job_can_be_given_up_without_a_lie(harness: Harness, service: ScriptedApi) -> None:
    """Whether it runs and is billed is not known then, and its price still counts against the limits."""
    service.status(ScriptedResponse(503))
    harness.start()
    job = harness.wait(harness.generate().job_id, lambda job: job.problem == "transport")
    job = harness.jobs.archive(job.job_id)
    assert (job.state, job.problem, job.cost_is_unknown) == ("failed", "given_up", True)
    assert "may still be running and billed" in text_of(harness, job)


def test_a_job_that_is_well_cannot_be_given_up_for_an_hour(harness: Harness, service: ScriptedApi) -> None:
    """Archiving it would hide what is being paid for; no image takes an hour."""
    service.status("in_queue")
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    with pytest.raises(StateError):
        harness.jobs.archive(job.job_id)
    assert not harness.presenter.card(job, "en", for_owner=True)["can_archive"]
    harness.clock.advance(LOST_AFTER_S)
    assert harness.presenter.card(job, "en", for_owner=True)["can_archive"]
    assert harness.jobs.archive(job.job_id).state == "failed"


# --- submits that did not go through


def test_a_submit_to_a_closed_port_says_that_nothing_was_sent(harness: Harness) -> None:
    """ "We keep asking" would be untrue: there is nothing to ask about."""
    harness.base_url = f"http://127.0.0.1:{closed_port()}"
    harness.rebuild()
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem) == ("failed", "transport")
    assert message(job, job.api_origin, "en") == "Couldn't reach RunComfy. Nothing was sent or billed."


def test_a_submit_that_is_one_too_many_says_to_try_again(harness: Harness, service: ScriptedApi) -> None:
    """The service is busy; the job was never there."""
    service.accept(json_response({"message": "slow down"}, 429))
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem) == ("failed", "rate_limit")
    assert message(job, harness.origin, "en") == "RunComfy is busy. Nothing was sent."
    assert service.posts == 1


# --- calls


def test_a_job_takes_no_more_calls_than_a_plain_poller(harness: Harness, service: ScriptedApi) -> None:
    """One status that says `completed`, one result: nothing else is asked."""
    service.completes()
    harness.start()
    harness.wait(harness.generate().job_id)
    assert [service.count_calls(verb) for verb in ("status", "result", "cancel")] == [1, 1, 0]
