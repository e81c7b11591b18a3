"""What people do after a lost response: attach its request, submit again, archive; nothing is sent again by itself."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace

import pytest

from dreamina_ui.errors import (
    InputError,
    JobNotFoundError,
    RequestNotFoundError,
    ResponseError,
    StateError,
    TransportError,
)
from dreamina_ui.jobs.service import DUPLICATE_WINDOW_S
from dreamina_ui.ledger.job import Job, new_id
from dreamina_ui.ledger.ledger import Ledger
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.harness import FAST, INPUTS, MODEL_ID, Harness, ScriptedApi, png


@pytest.fixture
def unclear(harness: Harness, service: ScriptedApi) -> Job:
    """A job whose submit was answered by a gateway's 502; the service has it as request `r-1` all the same."""
    service.accept(ScriptedResponse(502, b"bad gateway"))
    harness.start()
    job = harness.wait(harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v").job_id)
    assert job.state == "submit_unclear"
    harness.clock.advance(DUPLICATE_WINDOW_S + 0.1)
    return job


# --- attach the request of a lost response


def test_a_lost_response_is_found_by_its_request_id(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """What may have been paid for comes in without a second submit."""
    service.completes()
    attached = harness.attacher.attach("  r-1\n", job_id=unclear.job_id)
    assert (attached.job_id, attached.state, attached.request_id) == (unclear.job_id, "queued", "r-1")
    assert (attached.problem, attached.detail) == (None, None)
    job = harness.wait(unclear.job_id, "done")
    assert job.inputs == unclear.inputs
    assert [output.sha256 for output in job.outputs] == [hashlib.sha256(png()).hexdigest()]
    assert service.posts == 1
    states = [state for state, _ in harness.ledger.state_changes(job.job_id)]
    assert states == ["submitting", "submit_unclear", "queued", "saving", "done"]


def test_an_unknown_request_id_changes_nothing(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """A typing mistake does not lose the job."""
    with pytest.raises(RequestNotFoundError):
        harness.attacher.attach("r-none", job_id=unclear.job_id)
    assert harness.reader.job(unclear.job_id) == unclear
    with pytest.raises(RequestNotFoundError):
        harness.attacher.attach("r-none", visitor_id="v")
    assert len(harness.reader.recent("v")) == 1


def test_a_service_that_is_away_changes_nothing(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """One can try again later."""
    service.status(ScriptedResponse(hang_up=True))
    with pytest.raises(TransportError):
        harness.attacher.attach("r-1", job_id=unclear.job_id)
    assert harness.reader.job(unclear.job_id) == unclear


@pytest.mark.parametrize("request_id", ["", "  ", "../../models", "a b", "r-1/result", "x" * 10_000, "r\0"])
def test_what_can_be_no_request_id_is_refused(harness: Harness, service: ScriptedApi, request_id: str) -> None:
    """Nothing that a person pastes turns into another URL of the API."""
    harness.start()
    with pytest.raises(InputError):
        harness.attacher.attach(request_id)
    asked = [seen.path for seen in list(service.server.requests)]
    assert all(path.startswith("/v1/models/") for path in asked), "prices are asked by themselves"


def test_only_an_unclear_job_can_be_given_a_request(harness: Harness, service: ScriptedApi) -> None:
    """A request id is not put over another one."""
    service.completes()
    harness.start()
    done = harness.wait(harness.generate().job_id, "done")
    other = ScriptedApi(service.server, "r-2")
    other.status("in_queue")
    with pytest.raises(StateError):
        harness.attacher.attach("r-2", job_id=done.job_id)
    with pytest.raises(JobNotFoundError):
        harness.attacher.attach("r-2", job_id=new_id())
    assert harness.reader.job(done.job_id) == done


def test_a_request_of_one_job_is_not_given_to_another(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """Two jobs would show one picture, and one bill would look like two."""
    service.completes()
    taken = harness.attacher.attach("r-1")
    with pytest.raises(StateError, match=taken.job_id[:8]):
        harness.attacher.attach("r-1", job_id=unclear.job_id)
    assert harness.reader.job(unclear.job_id).state == "submit_unclear"


# --- requests made elsewhere


def test_a_request_made_elsewhere_comes_in_with_its_files(harness: Harness, service: ScriptedApi) -> None:
    """What was made on RunComfy's own site is kept like everything made here."""
    service.status({"status": "in_queue", "queue_position": 1}, "in_progress", "completed")
    service.result({"cost": 0.06, "output": {"images": [service.picture("a.png"), service.picture("b.png", (30, 90))]}})
    harness.start()
    made = harness.attacher.attach("r-1", visitor_id="v")
    assert (made.state, made.visitor_id, dict(made.inputs)) == ("queued", "v", {})
    job = harness.wait(made.job_id, "done")
    assert (job.cost_usd, [output.state for output in job.outputs]) == (0.06, ["kept", "kept"])
    original = harness.media.path(job.job_id, 0, "original")
    assert original is not None
    assert original.read_bytes() == png()
    assert [listed.job_id for listed in harness.reader.recent("v")] == [job.job_id]
    assert service.posts == 0


def test_attaching_twice_gives_the_same_job(harness: Harness, service: ScriptedApi) -> None:
    """Impatience makes no doubles."""
    service.completes()
    harness.start()
    first = harness.attacher.attach("r-1", visitor_id="v")
    assert harness.attacher.attach("r-1", visitor_id="w").job_id == first.job_id
    harness.wait(first.job_id, "done")
    assert harness.attacher.attach(" r-1 ", job_id=first.job_id).state == "done"
    assert service.count_calls("result") == 1


def test_attaching_at_the_same_moment_gives_the_same_job(harness: Harness, service: ScriptedApi) -> None:
    """Two tabs, one request, one job."""
    service.status(json_response({"status": "in_queue"}, delay_s=0.05))
    harness.start()
    attached: list[Job] = []
    threads = [threading.Thread(target=lambda: attached.append(harness.attacher.attach("r-1"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attached) == 4
    assert len({job.job_id for job in attached}) == 1


def test_files_that_are_gone_are_named(harness: Harness, service: ScriptedApi) -> None:
    """The service keeps files for a while only: who comes too late reads why there is no picture."""
    service.completes(f"{service.server.url}/files/gone.png")
    harness.start()
    job = harness.wait_in_vain(harness.attacher.attach("r-1").job_id)
    assert (job.state, job.problem) == ("failed", "media")
    assert "404" in (job.detail or "")
    assert [output.state for output in job.outputs] == ["damaged"]


def test_a_request_of_another_account_is_an_error(harness: Harness, service: ScriptedApi) -> None:
    """The service answers 403001 for it; nothing is invented."""
    service.status(json_response({"error_code": 403001, "message": "not yours"}, 403))
    harness.start()
    with pytest.raises(ResponseError, match="403001"):
        harness.attacher.attach("r-1")
    assert harness.ledger.unfinished(harness.origin) == []


def test_what_another_process_wrote_is_taken_up(harness: Harness, service: ScriptedApi) -> None:
    """The command line's `attach` writes a row; the running server fetches its pictures."""
    service.completes()
    harness.pace = replace(FAST, pick_up_interval_s=0.01)
    harness.restart()
    other = Ledger(harness.folder / "ledger.sqlite3")
    made = Job(
        job_id=new_id(), model_id="", api_origin=harness.origin, inputs={}, state="queued", request_id="r-1",
        created_at=harness.clock(), updated_at=harness.clock(),
    )  # fmt: skip
    harness.media.prepare(made.job_id)
    other.add(made)
    other.close()
    assert len(harness.wait(made.job_id, "done").outputs) == 1


# --- submit again, archive


def test_submitting_again_is_one_new_submit(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """Who accepts that it may charge twice gets one more job, and the unclear one goes out of sight."""
    service.accept()
    service.completes()
    new = harness.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    assert new.job_id != unclear.job_id
    assert new.inputs == unclear.inputs
    assert harness.wait(new.job_id, "done").outputs
    assert service.posts == 2
    old = harness.reader.job(unclear.job_id)
    assert old.state == "submit_unclear"
    assert old.archived_at is not None


def test_a_double_click_on_submit_again_is_one_submit(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """May charge twice, but not three times."""
    service.accept()
    service.status("in_queue")
    new = harness.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    with pytest.raises(StateError):
        harness.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    harness.wait(new.job_id, "queued")
    assert service.posts == 2


def test_submitting_again_at_once_is_no_double_click(harness: Harness, service: ScriptedApi) -> None:
    """A response may be lost within a second: the way on is open at once, and the unclear job is not lost."""
    service.accept(ScriptedResponse(502, b"bad gateway"), json_response({"request_id": "r-1"}))
    service.status("in_queue")
    harness.start()
    job = harness.wait(harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v").job_id)
    new = harness.jobs.submit_again(job.job_id, visitor_id="v", may_charge_twice=True)
    assert new.job_id != job.job_id
    harness.wait(new.job_id, "queued")
    assert service.posts == 2


def test_only_an_unclear_job_is_submitted_again(harness: Harness, service: ScriptedApi) -> None:
    """A job that runs, or that ended, is not paid for twice by this way."""
    service.status("in_queue")
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    with pytest.raises(StateError):
        harness.jobs.submit_again(job.job_id, may_charge_twice=True)
    assert service.posts == 1


def test_archive_and_restore(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """Out of sight is not out of the ledger."""
    aside = harness.jobs.archive(unclear.job_id)
    assert aside.archived_at == pytest.approx(harness.clock(), abs=5)
    assert aside.state == "submit_unclear"
    assert harness.jobs.restore(unclear.job_id).archived_at is None


def test_an_unfinished_job_cannot_be_archived(harness: Harness, service: ScriptedApi) -> None:
    """A job that may still be billed stays in sight."""
    service.status("in_queue")
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    with pytest.raises(StateError):
        harness.jobs.archive(job.job_id)


def test_an_attached_request_restores_its_job(harness: Harness, service: ScriptedApi, unclear: Job) -> None:
    """Who archived it and finds it later sees its pictures."""
    service.completes()
    harness.jobs.archive(unclear.job_id)
    harness.attacher.attach("r-1", job_id=unclear.job_id)
    assert harness.wait(unclear.job_id, "done").archived_at is None
