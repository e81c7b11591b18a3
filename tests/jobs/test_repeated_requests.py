"""A request with an id is one job: whatever repeats it, it is submitted once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from dreamina_ui.errors import InputError, LedgerError, LimitError, RequestConflictError, StateError
from dreamina_ui.ledger import job_rows
from dreamina_ui.ledger.job import Job
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.models.schema import Model
from dreamina_ui.spending.limits import Limits
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.harness import INPUTS, MODEL_ID, Harness, ScriptedApi

PRESS_ID = "press-0001"
VISITOR = "v" * 32
EDIT = "bytedance/dreamina-4-0/edit"


def generate(harness: Harness, press_id: str | None = PRESS_ID, prompt: str = "a red fox", **more: Any) -> Job:
    asked = {"visitor_id": VISITOR, "press_id": press_id} | more
    return harness.jobs.generate(MODEL_ID, {"prompt": prompt}, **asked)


@pytest.fixture
def started(harness: Harness, service: ScriptedApi) -> Harness:
    """Started job services whose accepted jobs stay in the queue."""
    service.accept(*(json_response({"request_id": f"r-{number}"}) for number in range(20)))
    service.server.default = json_response({"status": "in_queue"})
    harness.start()
    return harness


def test_the_same_id_is_the_same_job(started: Harness, service: ScriptedApi) -> None:
    """A page that lost the response repeats the request, and must not pay twice."""
    first = generate(started)
    started.wait(first.job_id, "queued")
    assert generate(started).job_id == first.job_id
    started.clock.advance(3600)
    assert generate(started).job_id == first.job_id
    assert service.posts == 1


def test_the_same_id_after_a_restart_is_the_same_job(started: Harness, service: ScriptedApi) -> None:
    """The server may have died before it responded."""
    first = generate(started)
    started.wait(first.job_id, "queued")
    started.restart()
    assert generate(started).job_id == first.job_id
    assert service.posts == 1


def test_many_at_once_with_one_id_are_one_job(started: Harness, service: ScriptedApi) -> None:
    """Browsers and proxies repeat a request while the first one is still being handled."""
    gate = threading.Barrier(8)

    def press(_number: int) -> str:
        gate.wait()
        return generate(started).job_id

    with ThreadPoolExecutor(8) as pool:
        [job_id] = set(pool.map(press, range(8)))
    started.wait(job_id, "queued")
    assert service.posts == 1
    assert len(list(started.folder.glob("media/*/*"))) == 1, "the folders of the others are gone"


class HeldFiles(InputFiles):
    """Validates given files when the test says so; meanwhile nobody else's may be validated."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def clean_up(self) -> None:
        pass

    def validate_files(self, model: Model, inputs: Any, visitor_id: str | None, client_hash: str | None = None) -> None:
        if self.began.is_set():
            raise InputError("image_urls", "address_busy", None, None)
        self.began.set()
        assert self.may_end.wait(10)


def test_a_repeat_shares_the_outcome_of_an_attempt_under_way(started: Harness, service: ScriptedApi) -> None:
    """Refused alone, it would say that nothing was sent; then people press again, and both are paid."""
    started.input_files = files = HeldFiles()
    started.restart()
    service.server.script(f"/v1/models/{EDIT}", json_response({"request_id": "r-1"}))
    inputs = {"prompt": "x", "image_urls": ["https://files.example/a.png"]}
    first = started.jobs.generate_soon(EDIT, inputs, visitor_id=VISITOR, press_id=PRESS_ID)
    assert files.began.wait(10)
    repeats = [started.jobs.generate_soon(EDIT, inputs, visitor_id=VISITOR, press_id=PRESS_ID) for _ in range(40)]
    assert not any(repeat.cancel() for repeat in repeats), "who leaves must not take the job from the others"
    with pytest.raises(InputError, match="address_busy"):
        started.jobs.generate_soon(EDIT, inputs, visitor_id="w" * 32, press_id=PRESS_ID).result(10)
    files.may_end.set()
    job_id = first.result(10).job_id
    assert {repeat.result(10).job_id for repeat in repeats} == {job_id}
    started.wait(job_id, "queued")
    assert len(service.server.requests_for("POST", f"/v1/models/{EDIT}")) == 1


def test_a_refused_attempt_is_tried_anew_by_the_next(started: Harness, service: ScriptedApi) -> None:
    """An outcome is shared while the attempt is running, and not remembered."""
    started.guard.limits = Limits(at_once=0)
    with pytest.raises(LimitError):
        started.jobs.generate_soon(MODEL_ID, INPUTS, visitor_id=VISITOR, press_id=PRESS_ID).result(10)
    started.guard.limits = Limits()
    job = started.jobs.generate_soon(MODEL_ID, INPUTS, visitor_id=VISITOR, press_id=PRESS_ID).result(10)
    started.wait(job.job_id, "queued")
    assert service.posts == 1


def test_two_ids_within_a_second_are_two_jobs(started: Harness, service: ScriptedApi) -> None:
    """Who wants the same picture twice presses twice; only callers without an id are guarded by the clock."""
    started.clock.freeze()
    jobs = {generate(started, press_id).job_id for press_id in ("press-0001", "press-0002")}
    assert len(jobs) == 2
    assert generate(started, None).job_id in jobs
    for job_id in jobs:
        started.wait(job_id, "queued")
    assert service.posts == 2


def test_another_visitors_same_id_is_another_job(started: Harness) -> None:
    """Nobody gets a stranger's job by a guessed id."""
    mine = generate(started)
    assert generate(started, visitor_id="w" * 32).job_id != mine.job_id
    match = started.reader.by_press_id(VISITOR, PRESS_ID)
    assert match
    assert match.job_id == mine.job_id
    assert started.reader.by_press_id("x" * 32, PRESS_ID) is None


@pytest.mark.parametrize("changed", [{"prompt": "a blue fox"}, {"prompt": "a red fox", "scale": 0.7}])
def test_the_same_id_with_other_inputs_is_refused(
    started: Harness, service: ScriptedApi, changed: dict[str, Any]
) -> None:
    """A program that counts its requests wrongly gets an error, and nothing is paid."""
    first = generate(started)
    started.wait(first.job_id, "queued")
    with pytest.raises(RequestConflictError, match=PRESS_ID):
        started.jobs.generate(MODEL_ID, changed, visitor_id=VISITOR, press_id=PRESS_ID)
    assert generate(started).job_id == first.job_id
    assert service.posts == 1


def test_a_refused_request_leaves_its_id_free(started: Harness, service: ScriptedApi) -> None:
    """Nothing was written, so the same request is tried anew: the limit may have room by then."""
    started.guard.limits = Limits(at_once=0)
    with pytest.raises(LimitError):
        generate(started)
    with pytest.raises(InputError):
        generate(started, prompt="")
    started.guard.limits = Limits()
    job = generate(started, prompt="another")
    started.wait(job.job_id, "queued")
    assert service.posts == 1


def test_a_repeat_asks_for_no_limit_no_stop_and_no_key(started: Harness, service: ScriptedApi) -> None:
    """The job runs already: a refusal would tell people to pay again."""
    first = generate(started)
    started.wait(first.job_id, "queued")
    started.guard.limits = Limits(at_once=0, visitor_per_day=0)
    started.moderation.stop()
    assert generate(started).job_id == first.job_id
    assert generate(started, key_session="a session whose key is gone").job_id == first.job_id
    started.services.stop(timeout_s=0.0)
    assert generate(started).job_id == first.job_id


def test_a_lost_response_of_the_service_is_not_repeated(started: Harness, service: ScriptedApi) -> None:
    """The request may have been accepted: only a person may decide to pay once more."""
    service.accept(ScriptedResponse(hang_up=True))
    job = started.wait(generate(started).job_id, "submit_unclear")
    assert generate(started).job_id == job.job_id
    assert service.posts == 1


def test_submit_again_with_one_id_is_one_new_job(started: Harness, service: ScriptedApi) -> None:
    """Its response may get lost, too: after that the old job is archived, and the repeat finds the new one."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    old = started.wait(generate(started).job_id, "submit_unclear")

    def again(press_id: str = "press-0002") -> Job:
        return started.jobs.submit_again(old.job_id, visitor_id=VISITOR, press_id=press_id, may_charge_twice=True)

    new = again()
    started.wait(new.job_id, "queued")
    assert new.job_id != old.job_id
    assert again().job_id == new.job_id
    started.restart()
    assert again().job_id == new.job_id
    with pytest.raises(StateError):
        again("press-0003")
    assert service.posts == 2


def test_a_job_is_submitted_again_only_with_its_archiving(
    started: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left in sight beside its successor, it would be sent, and paid, once more by the next click."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    old = started.wait(generate(started).job_id, "submit_unclear")

    def again(press_id: str) -> Job:
        return started.jobs.submit_again(old.job_id, visitor_id=VISITOR, press_id=press_id, may_charge_twice=True)

    def refuse(*_args: Any) -> bool:
        raise LedgerError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(job_rows, "update_job", refuse)
        with pytest.raises(LedgerError):
            again("press-0002")
    assert started.reader.job(old.job_id).archived_at is None
    assert len(started.reader.recent(VISITOR)) == 1, "no row without the archiving"
    new = again("press-0003")
    assert started.reader.job(old.job_id).archived_at is not None
    started.wait(new.job_id, "queued")
    assert service.posts == 2


def test_two_clicks_at_once_submit_a_job_again_once(started: Harness, service: ScriptedApi) -> None:
    """Two tabs offer the same button; their requests have different ids."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    old = started.wait(generate(started).job_id, "submit_unclear")
    gate = threading.Barrier(8)

    def again(number: int) -> str | None:
        gate.wait()
        with suppress(StateError):
            press_id = f"press-100{number // 2}"  # each of them sent twice, by Chromium
            more: dict[str, Any] = {"visitor_id": VISITOR, "press_id": press_id, "may_charge_twice": True}
            return started.jobs.submit_again(old.job_id, **more).job_id
        return None

    with ThreadPoolExecutor(8) as pool:
        [job_id] = set(pool.map(again, range(8))) - {None}
    started.wait(str(job_id), "queued")
    assert service.posts == 2


def test_a_job_that_was_attached_meanwhile_is_not_submitted_again(started: Harness, service: ScriptedApi) -> None:
    """The decision was taken on what is no longer true."""
    service.accept(ScriptedResponse(hang_up=True))
    old = started.wait(generate(started).job_id, "submit_unclear")
    read = started.ledger.job

    def read_late(job_id: str) -> Job:
        job = read(job_id)
        started.ledger.job = read  # type: ignore[method-assign]
        started.attacher.attach("r-9", job_id=job_id)
        return job

    started.ledger.job = read_late  # type: ignore[method-assign]
    with pytest.raises(StateError):
        started.jobs.submit_again(old.job_id, visitor_id=VISITOR, press_id="press-0002", may_charge_twice=True)
    assert service.posts == 1


@pytest.mark.parametrize(
    "refusal",
    [
        json_response({"error_code": 400002, "message": "no balance"}, 402),
        json_response({"error_code": 401001, "message": "bad token"}, 401),
        json_response({"error_code": 429001, "message": "busy"}, 429),
    ],
    ids=["balance", "token", "busy"],
)
def test_a_job_that_was_never_accepted_is_submitted_again_with_one_request(
    started: Harness, service: ScriptedApi, refusal: ScriptedResponse
) -> None:
    """Nothing was paid, so nobody need agree to pay twice."""
    service.accept(refusal, json_response({"request_id": "r-2"}))
    failed = started.wait(generate(started).job_id, "failed")
    new = started.jobs.submit_again(failed.job_id, visitor_id=VISITOR, press_id="press-0002", lifts_stop=True)
    started.wait(new.job_id, "queued")
    assert new.inputs == failed.inputs
    assert started.reader.job(failed.job_id).archived_at is not None
    assert service.posts == 2


def test_a_job_is_submitted_again_with_one_request_after_no_connection(harness: Harness, service: ScriptedApi) -> None:
    """Nothing was sent: the connection was refused."""
    url = harness.base_url
    harness.base_url = "http://127.0.0.1:9"
    harness.origin = url
    harness.rebuild()
    harness.start()
    failed = harness.wait(generate(harness).job_id, "failed")
    assert failed.problem == "transport"
    harness.base_url = url
    service.status("in_queue")
    harness.restart()
    new = harness.jobs.submit_again(failed.job_id, visitor_id=VISITOR, press_id="press-0002")
    harness.wait(new.job_id, "queued")
    assert service.posts == 1


def test_an_unclear_job_is_not_submitted_again_without_consent(started: Harness, service: ScriptedApi) -> None:
    """It may be running and billed."""
    service.accept(ScriptedResponse(hang_up=True))
    unclear = started.wait(generate(started).job_id, "submit_unclear")
    with pytest.raises(InputError, match="may_charge_twice"):
        started.jobs.submit_again(unclear.job_id, visitor_id=VISITOR, press_id="press-0002")
    assert service.posts == 1


def test_an_accepted_job_that_failed_is_not_submitted_again(harness: Harness, service: ScriptedApi) -> None:
    """It may have been billed: a new job is a new request."""
    service.status("failed")
    service.result({"status": "failed", "error": "no"})
    harness.start()
    failed = harness.wait(generate(harness).job_id, "failed")
    with pytest.raises(StateError):
        harness.jobs.submit_again(failed.job_id, visitor_id=VISITOR, press_id="press-0002", may_charge_twice=True)
    assert service.posts == 1


def test_fetch_again_twice_is_fetched_once(harness: Harness, service: ScriptedApi) -> None:
    """It costs nothing, and its repeated request is no error."""
    service.status("completed")
    service.result({"status": "failed", "error": "no"})
    harness.start()
    failed = harness.wait(harness.jobs.generate(MODEL_ID, INPUTS).job_id, "failed")
    service.result(ScriptedResponse(200, b"{}", silent=True))
    first = harness.jobs.fetch_again(failed.job_id)
    assert harness.jobs.fetch_again(failed.job_id).state == "saving"
    assert first.state == "saving"
