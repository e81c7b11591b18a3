"""The promises of the job services, against a scripted service: submit once, follow to the end, cancel honestly."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.api.run_time_fit import fit_run_times
from dreamina_ui.errors import DiskError, InputError, JobNotFoundError, LedgerError, StateError
from dreamina_ui.jobs.saving import EMPTY_RESULT_S
from dreamina_ui.jobs.service import DUPLICATE_WINDOW_S
from dreamina_ui.jobs.worker import MISSING_GRACE_S
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job, State
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.store import FileFacts
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.harness import INPUTS, MODEL_ID, TOKEN, Harness, ScriptedApi, body_of, png

GONE = ScriptedResponse(hang_up=True)


# --- from a prompt to pictures


def test_a_job_goes_through_every_state_to_its_pictures(harness: Harness, service: ScriptedApi) -> None:
    """The main road: what was asked is what arrives, byte for byte."""
    service.status({"status": "in_queue", "queue_position": 2}, "in_progress", "completed")
    service.result({"output": {"images": [service.picture("a.png"), service.picture("b.png", (30, 90))]}, "cost": 0.06})
    harness.start()
    job = harness.wait(harness.generate(scale=0.25).job_id)
    assert job.state == "done"
    assert job.cost_usd == 0.06
    assert [state for state, _ in harness.ledger.state_changes(job.job_id)] == [
        "submitting", "queued", "running", "saving", "done",
    ]  # fmt: skip
    assert [(output.width, output.height, output.state) for output in job.outputs] == [
        (64, 48, "kept"), (30, 90, "kept"),
    ]  # fmt: skip
    original = harness.media.path(job.job_id, 0, "original")
    assert original is not None
    assert original.read_bytes() == png()
    assert job.outputs[0].sha256 == hashlib.sha256(png()).hexdigest()
    assert body_of(service.server) == {
        "prompt": "a red fox", "width×height": "2048x2048(1:1)", "scale": 0.25, "force_single": False,
    }  # fmt: skip


def test_every_change_of_state_has_its_time(harness: Harness, service: ScriptedApi) -> None:
    """Someone who asks what happened to a job reads it in the ledger."""
    service.completes()
    harness.start()
    job = harness.wait(harness.generate().job_id)
    times = [moment for _, moment in harness.ledger.state_changes(job.job_id)]
    assert times == sorted(times)
    assert job.created_at <= times[-1] == job.finished_at


@pytest.mark.parametrize("key", ["image", "video"])
def test_a_single_file_of_either_kind_is_stored(harness: Harness, service: ScriptedApi, key: str) -> None:
    """The service may answer with one URL instead of a list."""
    clip = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64
    video = service.file("clip.mp4", ScriptedResponse(200, clip, {"Content-Type": "video/mp4"}))
    service.status("succeeded")
    service.result({"output": {key: service.picture() if key == "image" else video}})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, [output.kind for output in job.outputs]) == ("done", [key])


def test_pictures_and_videos_come_together_each_once(harness: Harness, service: ScriptedApi) -> None:
    """`image` is often the first of `images`; nobody wants it twice."""
    clip = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64
    video = service.file("clip.mp4", ScriptedResponse(200, clip, {"Content-Type": "video/mp4"}))
    item, two = service.picture("1.png"), service.picture("2.png")
    service.status("completed")
    service.result({"output": {"image": item, "images": [item, two], "video": video, "videos": [video]}})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert [(output.index, output.kind) for output in job.outputs] == [(0, "image"), (1, "image"), (2, "video")]


def test_bad_inputs_make_no_job_and_no_submit(harness: Harness, service: ScriptedApi) -> None:
    """A run that cannot succeed must not be paid for."""
    harness.start()
    with pytest.raises(InputError, match=r"scale: breaks the rule maximum \(1\); got 1\.0001"):
        harness.generate(scale=1.0001)
    assert service.posts == 0
    assert harness.ledger.unfinished(harness.origin) == []


def test_a_double_click_is_one_job_and_a_later_request_another(harness: Harness, service: ScriptedApi) -> None:
    """One click, one bill; and who wants the same again gets it."""
    service.status("in_queue")
    harness.start()
    harness.clock.freeze()
    first = harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v")
    assert harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v").job_id == first.job_id
    assert harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="w").job_id != first.job_id
    harness.clock.advance(DUPLICATE_WINDOW_S + 0.1)
    assert harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v").job_id != first.job_id


def test_many_requests_at_the_same_moment_are_one_job(harness: Harness, service: ScriptedApi) -> None:
    """The guard against a double click holds between threads."""
    service.status("in_queue")
    harness.start()
    harness.clock.freeze()
    result: list[Job] = []
    gate = threading.Barrier(12)

    def press() -> None:
        gate.wait()
        result.append(harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="v"))

    threads = [threading.Thread(target=press) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.job_id for job in result}) == 1
    harness.wait(result[0].job_id, "queued")
    assert service.posts == 1


# --- nothing is sent that cannot be written, nothing is sent twice


def test_the_row_is_on_disk_before_the_submit(harness: Harness, service: ScriptedApi) -> None:
    """A crash in the middle of a POST must leave a trace."""
    service.accept(ScriptedResponse(silent=True))
    harness.start()
    job = harness.generate()
    while not service.posts:
        threading.Event().wait(0.002)
    assert harness.ledger.job(job.job_id).state == "submitting"


def test_an_unwritable_media_folder_is_found_before_the_submit(harness: Harness, service: ScriptedApi) -> None:
    """Pictures that cannot be kept must not be bought."""
    harness.start()
    (harness.folder / "media").write_text("in the way")
    with pytest.raises(DiskError):
        harness.generate()
    assert service.posts == 0


def test_a_ledger_that_refuses_stops_the_submit(harness: Harness, service: ScriptedApi) -> None:
    """No row, no POST."""
    harness.start()
    harness.ledger.close()
    path = harness.folder / "ledger.sqlite3"
    for leftover in harness.folder.glob("ledger.sqlite3*"):
        leftover.unlink()
    path.mkdir()
    with pytest.raises(LedgerError):
        harness.generate()
    assert service.posts == 0


@pytest.mark.parametrize(
    "response",
    [
        GONE,
        ScriptedResponse(502, b"bad gateway"),
        ScriptedResponse(200, b"<html>"),
        json_response({}),
        json_response({"request_id": "r"}, cut_after=4),
    ],
    ids=["cut", "502", "html", "no-id", "half"],
)
def test_a_lost_response_is_unclear_and_never_submitted_again(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """It may be running and billed: only a person may decide to send it again."""
    service.accept(response)
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem) == ("submit_unclear", "submit_unclear")
    harness.restart()
    assert (harness.reader.job(job.job_id).state, service.posts) == ("submit_unclear", 1)


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (json_response({"error_code": 400002, "message": "no balance"}, 402), "balance"),
        (json_response({"error_code": 401001, "message": "who?"}), "auth"),
        (json_response({"error_code": 422001, "message": "no", "detail": [{"msg": "scale"}]}, 422), "refused"),
        (json_response({"message": "slow down"}, 429), "rate_limit"),
    ],
    ids=["balance", "auth-in-200", "schema", "429"],
)
def test_a_refused_submit_fails_with_its_reason(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse, problem: str
) -> None:
    """Refused means not billed, and the person reads why."""
    service.accept(response)
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem, service.posts) == ("failed", problem, 1)
    assert TOKEN not in (job.detail or "")


def test_a_request_id_that_another_job_holds_is_reported_and_not_lost(harness: Harness, service: ScriptedApi) -> None:
    """Two jobs with one request would show one picture for two bills."""
    service.status("in_queue")
    harness.start()
    harness.wait(harness.generate(prompt="one").job_id, "queued")
    second = harness.wait(harness.generate(prompt="two").job_id)
    assert second.state == "submit_unclear"
    assert "r-1" in (second.detail or "")


# --- restarts


def test_a_row_found_submitting_at_start_becomes_unclear(harness: Harness, service: ScriptedApi) -> None:
    """Nobody knows whether that POST arrived."""
    service.accept(ScriptedResponse(silent=True))
    harness.start()
    job = harness.generate()
    while not service.posts:
        threading.Event().wait(0.002)
    harness.restart()
    assert harness.reader.job(job.job_id).state == "submit_unclear"
    assert service.posts == 1


@pytest.mark.parametrize("state", ["queued", "running", "saving"])
def test_a_restart_resumes_by_the_request_id(harness: Harness, service: ScriptedApi, state: str) -> None:
    """A request already paid for is never forgotten."""
    url = service.file("one.png", ScriptedResponse(503))
    service.status({"queued": "in_queue", "running": "in_progress", "saving": "completed"}[state])
    service.result(ScriptedResponse(503) if state == "saving" else {"status": "in_progress"})
    harness.start()
    job = harness.generate()
    harness.wait(job.job_id, state)
    service.completes(service.picture("one.png"))
    harness.restart()
    assert harness.wait(job.job_id).state == "done"
    assert service.posts == 1
    assert url


def test_after_a_restart_a_page_knows_at_once_how_long_a_run_takes(harness: Harness, service: ScriptedApi) -> None:
    """Who opens the page again sees the progress that they saw before."""
    service.status("in_progress")
    harness.start()
    first = harness.wait(harness.generate(prompt="first").job_id, "running")
    harness.clock.advance(9.0)
    service.completes()
    harness.wait(first.job_id, "done")
    service.request_id = "r-2"
    service.accept()
    service.status("in_progress")
    job = harness.wait(harness.generate(prompt="second").job_id, "running")
    service.status(ScriptedResponse(silent=True))
    harness.restart()
    assert harness.reader.run_time_model(job) != fit_run_times([])


def test_a_job_of_another_api_is_left_alone(tmp_path: Path, harness: Harness, service: ScriptedApi) -> None:
    """A sandbox job must never be asked of RunComfy when a token is added later."""
    service.status("in_queue")
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    harness.origin = "https://model-api.runcomfy.net"
    asked = service.count_calls("status")
    harness.restart()
    assert not harness.reader.is_active(harness.reader.job(job.job_id))
    assert harness.jobs.cancel(job.job_id).outcome == "unconfirmed"
    assert service.count_calls("status") <= asked + 1  # one may have been under way
    assert service.count_calls("cancel") == 0


# --- the service misbehaves while a job runs


def test_errors_while_polling_lose_nothing(harness: Harness, service: ScriptedApi) -> None:
    """Every kind of bad answer is asked again."""
    bad = [
        GONE,
        ScriptedResponse(500),
        ScriptedResponse(200, b"<html>"),
        json_response([]),
        json_response({"status": 5}),
        ScriptedResponse(429),
    ]
    service.status(*bad, "in_progress", *bad, "completed")
    service.result(*bad[:3], {"output": {"image": service.picture()}})
    harness.start()
    assert harness.wait(harness.generate().job_id).state == "done"


def test_a_silence_is_shown_and_then_withdrawn(harness: Harness, service: ScriptedApi) -> None:
    """People see that the service does not answer, and that it does again."""
    service.status(GONE)
    harness.start()
    job = harness.generate()
    assert harness.wait(job.job_id, lambda job: job.problem == "transport").state == "queued"
    service.status("in_progress")
    assert harness.wait(job.job_id, "running").problem is None


def test_an_unknown_status_is_stored_and_polled_again(harness: Harness, service: ScriptedApi) -> None:
    """The service may learn new words; a job must not die of them."""
    service.status("warming_up")
    harness.start()
    job = harness.generate()
    assert harness.wait(job.job_id, lambda job: job.status == "warming_up").state == "queued"
    service.completes()
    assert harness.wait(job.job_id).state == "done"


def test_completed_without_files_is_a_failure_with_a_way_on(harness: Harness, service: ScriptedApi) -> None:
    """Never an empty gallery."""
    service.status("completed")
    service.result({"status": "completed", "output": {}})
    harness.start()
    job = harness.generate()
    while service.count_calls("result") < 5:
        threading.Event().wait(0.002)
    assert harness.reader.job(job.job_id).state == "saving", "it may be late"
    harness.clock.advance(EMPTY_RESULT_S)
    job = harness.wait(job.job_id)
    assert (job.state, job.problem) == ("failed", "no_files")
    assert "r-1" in (job.detail or "")
    service.completes()
    harness.jobs.fetch_again(job.job_id)
    assert harness.wait(job.job_id, "done").outputs[0].state == "kept"


def test_a_result_that_takes_completed_back_resumes_polling(harness: Harness, service: ScriptedApi) -> None:
    """For a job that is not finished, the result says where it stands."""
    service.status("completed", "in_progress", "completed")
    service.result({"status": "in_progress"}, {"output": {"image": service.picture()}})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert job.state == "done"
    assert "running" in [state for state, _ in harness.ledger.state_changes(job.job_id)]


def test_a_request_that_failed_says_why(harness: Harness, service: ScriptedApi) -> None:
    """The service's own reason reaches the person."""
    service.status("failed")
    service.result({"status": "failed", "error": "the prompt was blocked"})
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, job.problem, job.detail) == ("failed", "failed_at_service", "the prompt was blocked")


def test_an_unknown_request_fails_after_a_grace(harness: Harness, service: ScriptedApi) -> None:
    """A fresh request may not be everywhere yet; one that stays unknown is gone."""
    service.status(json_response({"error_code": 404001, "message": "unknown"}, 404))
    harness.start()
    job = harness.generate()
    harness.wait(job.job_id, "queued")
    while service.count_calls("status") < 3:
        threading.Event().wait(0.002)
    assert harness.reader.job(job.job_id).state == "queued"
    harness.clock.advance(MISSING_GRACE_S + 1)
    result = harness.wait(job.job_id)
    assert (result.state, result.problem) == ("failed", "not_found")


def test_a_revoked_token_keeps_accepted_jobs(harness: Harness, service: ScriptedApi) -> None:
    """They are paid for: with a good token they resume."""
    service.status(json_response({"error_code": 401001, "message": "revoked"}, 401))
    harness.start()
    job = harness.generate()
    assert harness.wait(job.job_id, lambda job: job.problem == "auth").state == "queued"
    service.completes()
    assert harness.wait(job.job_id).state == "done"


# --- files


def test_whole_files_are_shown_and_damaged_ones_named(harness: Harness, service: ScriptedApi) -> None:
    """Three good pictures must not be lost because of a fourth."""
    good = service.picture("good.png")
    bad = service.file(
        "bad.png", ScriptedResponse(200, png().replace(b"IDATx", b"IDATy"), {"Content-Type": "image/png"})
    )
    service.completes(good, bad)
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert (job.state, [output.state for output in job.outputs]) == ("failed", ["kept", "damaged"])
    assert "r-1" in (job.detail or "")

    asked = len(service.server.requests_for("GET", "/files/good.png"))
    service.picture("bad.png")
    harness.jobs.fetch_again(job.job_id)
    job = harness.wait(job.job_id, "done")
    assert [output.state for output in job.outputs] == ["kept", "kept"]
    assert len(service.server.requests_for("GET", "/files/good.png")) == asked, "only what is missing is fetched"
    assert service.posts == 1


def test_a_picture_is_shown_before_the_next_one_is_there(harness: Harness, service: ScriptedApi) -> None:
    """The first of four must not wait for the second."""
    service.completes(service.picture("good.png"), service.file("late.png", ScriptedResponse(silent=True)))
    harness.start()
    job = harness.wait(harness.generate().job_id, lambda job: any(output.state == "kept" for output in job.outputs))
    assert (job.state, [output.state for output in job.outputs]) == ("saving", ["kept", "pending"])


def test_files_that_come_at_once_are_written_together_with_the_end(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many jobs at a time the ledger and the streams are what everybody waits for."""
    monkeypatch.setattr("dreamina_ui.jobs.saving.SAVING_S", 60.0)
    service.completes(service.picture("one.png"))
    handled: list[tuple[str, str]] = []
    is_called = threading.Event()

    def on_change(job: Job | None) -> None:
        if job:
            handled.append((job.state, harness.ledger.job(job.job_id).state))
            if job.state == "done":
                is_called.set()

    harness.reader.changes.subscribe(EVERY_JOB, on_change)
    harness.start()
    job = harness.wait(harness.generate().job_id)
    assert is_called.wait(10)
    assert handled[-2:] == [("saving", "done"), ("done", "done")]
    moves = dict(harness.ledger.state_changes(job.job_id))
    assert moves["saving"] == job.completed_at
    assert moves["saving"] <= moves["done"] == job.finished_at


def test_files_that_take_longer_are_shown_as_on_their_way(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow host must not look like a slow model."""
    monkeypatch.setattr("dreamina_ui.jobs.saving.SAVING_S", 0.01)
    service.completes(service.file("late.png", ScriptedResponse(silent=True)))
    harness.start()
    job = harness.wait(harness.generate().job_id, "saving")
    assert job.completed_at is not None
    assert [output.state for output in job.outputs] == ["pending"]


def test_a_refusing_ledger_has_no_file_fetched_twice(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next step must not begin while the files of this one are still coming."""
    service.completes(service.picture("a.png"), service.picture("b.png"))
    fetch, change = harness.fetcher.fetch, harness.ledger.change
    fetched: list[int] = []
    is_refused, came_again = threading.Event(), threading.Event()

    def fetch_slowly(job_id: str, index: int, kind: str, url: str) -> FileFacts:
        if index in fetched:
            came_again.set()
        fetched.append(index)
        if index == 1:
            is_refused.wait(10)
            came_again.wait(0.2)
        return fetch(job_id, index, kind, url)

    def refuse_once(job: Job | str, to: State | None = None, **fields: Any) -> Job:
        if to == "saving" and not is_refused.is_set():
            is_refused.set()
            raise LedgerError("The ledger is full.")
        return change(job, to, **fields)

    monkeypatch.setattr(harness.fetcher, "fetch", fetch_slowly)
    monkeypatch.setattr(harness.ledger, "change", refuse_once)
    harness.start()
    assert harness.wait(harness.generate().job_id).state == "done"
    assert sorted(fetched) == [0, 1]


def test_a_refusing_disk_keeps_the_job_saving(harness: Harness, service: ScriptedApi) -> None:
    """A full disk is no failure of the job: it resumes when it can."""
    service.status("in_progress")
    harness.start()
    job = harness.generate()
    harness.wait(job.job_id, "running")
    folder = harness.folder / "media" / job.job_id[:2]
    (folder / job.job_id).rmdir()
    (folder / job.job_id).write_text("in the way")
    service.completes()
    stuck = harness.wait(job.job_id, lambda job: job.problem == "disk")
    assert stuck.state == "saving"
    (folder / job.job_id).unlink()
    assert harness.wait(job.job_id).state == "done"


def test_a_file_that_a_crash_left_whole_is_not_fetched_again(harness: Harness, service: ScriptedApi) -> None:
    """Between the file and its row there is a moment in which the power may go."""
    url = service.picture()
    service.status("in_progress")
    harness.start()
    job = harness.generate()
    harness.wait(job.job_id, "running")
    harness.fetcher.fetch(job.job_id, 0, "image", url)
    service.completes(url)
    assert harness.wait(job.job_id).outputs[0].sha256 == hashlib.sha256(png()).hexdigest()
    assert len(service.server.requests_for("GET", "/files/one.png")) == 1


def test_the_token_stays_with_the_api(harness: Harness, service: ScriptedApi) -> None:
    """A file host must never see it."""
    service.completes()
    harness.start()
    harness.wait(harness.generate().job_id)
    for seen in service.server.requests:
        assert (TOKEN in str(seen.headers)) == seen.path.startswith("/v1/"), seen.path


# --- cancel


def test_a_queued_job_is_cancelled_when_the_service_says_so(harness: Harness, service: ScriptedApi) -> None:
    """The first honest answer."""
    service.status("in_queue")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    service.status("cancelled")
    verdict = harness.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.state) == ("cancelled", "cancelled")


def test_a_running_job_is_too_late_to_cancel_and_its_images_are_stored(harness: Harness, service: ScriptedApi) -> None:
    """The second honest answer."""
    service.status("in_progress")
    service.cancel({"outcome": "not_cancellable", "status": "in_progress"})
    harness.start()
    job = harness.wait(harness.generate().job_id, "running")
    assert harness.jobs.cancel(job.job_id).outcome == "too_late"
    service.completes()
    done = harness.wait(job.job_id)
    assert (done.state, done.cancel_outcome) == ("done", "too_late")


@pytest.mark.parametrize(
    "response", [GONE, ScriptedResponse(500), ScriptedResponse(200, b"<html>"), json_response({}, 409)]
)
def test_a_cancel_without_a_response_is_unconfirmed_and_polling_continues(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """The third honest answer; and the wish stays a wish."""
    service.status("in_queue")
    service.cancel(response)
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    verdict = harness.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.state) == ("unconfirmed", "queued")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    while service.count_calls("cancel") < 3:
        harness.clock.advance(5)
        threading.Event().wait(0.002)
    service.status("cancelled")
    assert harness.wait(job.job_id).state == "cancelled"


def test_a_wish_to_cancel_that_another_process_wrote_is_asked_for(harness: Harness, service: ScriptedApi) -> None:
    """The command line may write into the ledger while the server follows the job."""
    service.status("in_queue")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    harness.pace = replace(harness.pace, pick_up_interval_s=0.02)
    harness.restart()
    job = harness.wait(harness.generate().job_id, "queued")
    other = Ledger(harness.folder / "ledger.sqlite3", clock=harness.clock)
    other.change(job.job_id, cancel_requested_at=harness.clock())
    other.close()
    while not service.count_calls("cancel"):
        threading.Event().wait(0.002)
    service.status("cancelled")
    assert harness.wait(job.job_id).state == "cancelled"


def test_cancelled_is_never_said_of_a_running_job(harness: Harness, service: ScriptedApi) -> None:
    """A service that says cancelled and runs on is not believed."""
    service.status("in_queue")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    harness.start()
    job = harness.wait(harness.generate().job_id, "queued")
    service.status("in_progress")
    assert harness.jobs.cancel(job.job_id).outcome == "too_late"
    service.completes()
    assert harness.wait(job.job_id).state == "done"


def test_a_cancel_before_the_request_id_is_known_still_cancels(harness: Harness, service: ScriptedApi) -> None:
    """The button works in the very second of the submit."""
    service.accept(json_response({"request_id": "r-1"}, delay_s=0.1))
    service.status("cancelled")
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    harness.start()
    job = harness.generate()
    verdict = harness.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.request_id) == ("cancelled", "r-1")
    assert service.count_calls("cancel") == 1


def test_a_cancel_of_a_lost_submit_is_unconfirmed(harness: Harness, service: ScriptedApi) -> None:
    """Nobody knows whether there is anything to cancel."""
    service.accept(GONE)
    harness.start()
    job = harness.generate()
    assert harness.jobs.cancel(job.job_id).outcome == "unconfirmed"


def test_a_cancel_after_the_end_is_too_late(harness: Harness, service: ScriptedApi) -> None:
    """Pictures that are here stay here."""
    service.completes()
    harness.start()
    job = harness.wait(harness.generate().job_id)
    verdict = harness.jobs.cancel(job.job_id)
    assert (verdict.outcome, verdict.job.state, service.count_calls("cancel")) == ("too_late", "done", 0)


def test_a_cancel_touches_no_other_job(harness: Harness, service: ScriptedApi) -> None:
    """Somebody else's picture is not yours to stop."""
    other = ScriptedApi(service.server, "r-2")
    service.accept(json_response({"request_id": "r-1"}), json_response({"request_id": "r-2"}))
    for item in (service, other):
        item.status("in_queue")
        item.cancel({"outcome": "cancelled"})
    harness.start()
    mine = harness.wait(harness.generate(prompt="mine").job_id, "queued")
    theirs = harness.wait(harness.generate(prompt="theirs").job_id, "queued")
    service.status("cancelled")
    assert harness.jobs.cancel(mine.job_id).outcome == "cancelled"
    assert (other.count_calls("cancel"), harness.reader.job(theirs.job_id).state) == (0, "queued")


def test_an_unknown_job_cannot_be_cancelled_or_read(harness: Harness) -> None:
    """A guessed id is answered with nothing."""
    harness.start()
    for call in (harness.jobs.cancel, harness.reader.job, harness.jobs.fetch_again):
        with pytest.raises(JobNotFoundError):
            call("0" * 32)


def test_fetch_again_is_only_for_what_failed_at_the_files(harness: Harness, service: ScriptedApi) -> None:
    """It must never become a second submit."""
    service.accept(json_response({"error_code": 422001, "message": "no"}, 422))
    harness.start()
    refused = harness.wait(harness.generate().job_id)
    with pytest.raises(StateError, match="never accepted"):
        harness.jobs.fetch_again(refused.job_id)


def test_a_stopping_program_sends_nothing_new(harness: Harness, service: ScriptedApi) -> None:
    """Between SIGTERM and the end no money is spent."""
    harness.start()
    harness.services.stop(timeout_s=0.0)
    with pytest.raises(StateError, match="nothing was submitted"):
        harness.generate()
    assert service.posts == 0


@pytest.mark.parametrize("pool", ["submit", "poll"])
def test_without_new_threads_nothing_is_lost_or_paid_twice(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    """Containers allow only so many threads; a pool that can start none raises, and does the work later."""
    start = threading.Thread.start
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(pool) and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    service.completes()
    harness.start()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    first = harness.generate()
    if pool == "poll":
        assert harness.wait(first.job_id, lambda job: bool(job.request_id) or bool(refused))
    service.accept(json_response({"request_id": "r-2"}))
    for verb in ("status", "result"):
        service.server.script(f"/v1/requests/r-2/{verb}", json_response({"status": "cancelled"}))
    second = harness.generate(prompt="another")
    assert harness.wait(second.job_id).state == "cancelled"
    assert harness.wait(first.job_id).state == "done"
    assert refused
    assert service.posts == 2


def test_a_request_that_got_no_thread_is_not_made_later(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads that nothing was submitted presses again, and must not pay for both."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("generate"):
            monkeypatch.undo()
            raise RuntimeError("can't start new thread")
        start(thread)

    service.completes()
    harness.start()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(StateError, match="nothing was submitted"):
        harness.jobs.generate_soon(MODEL_ID, INPUTS)
    again = harness.jobs.generate_soon(MODEL_ID, INPUTS).result(10)
    assert harness.wait(again.job_id).state == "done"
    assert service.posts == 1
