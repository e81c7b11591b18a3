"""Whatever the service answers, whoever cancels and however often the program starts anew: nothing is lost.

Stories are made at random and played against the job services at full speed; in the end the API becomes honest.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import DiskError
from dreamina_ui.jobs.worker import MISSING_GRACE_S
from dreamina_ui.ledger.job import TERMINAL, TRANSITIONS, Job
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.harness import SUBMIT, Harness, ScriptedApi, png

FILES = {"one.png": png(), "two.png": png((40, 30), "navy")}

WAITING_WORDS = ["in_queue", "pending", "waiting", "in_progress", "starting", "processing", "warming_up", "in queue?"]
LAST_WORDS = ["completed", "succeeded", "failed", "cancelled", "canceled"]
CANCELLED = ("cancelled", "canceled")
UNKNOWN = json_response({"error_code": 404001, "message": "unknown"}, 404)
FAILURES = [
    *(
        ScriptedResponse(hang_up=True),
        ScriptedResponse(500),
        ScriptedResponse(503),
        ScriptedResponse(429),
        ScriptedResponse(429, headers={"Retry-After": "0"}),
    ),
    *(
        ScriptedResponse(200, b"<html>"),
        json_response([]),
        json_response({}),
        json_response({"status": 5}),
        ScriptedResponse(302),
        UNKNOWN,
    ),
    json_response({"status": "in_progress"}, cut_after=5),
    json_response({"error_code": 401001, "message": "revoked"}, 401),
    json_response({"error_code": 403001, "message": "not yours"}, 403),
    json_response({"error_code": 500001, "message": "oops"}),
]
BAD_FILES = [
    ScriptedResponse(404),
    ScriptedResponse(500),
    ScriptedResponse(hang_up=True),
    ScriptedResponse(200, png()[:60]),
    ScriptedResponse(200, b"<html>"),
    ScriptedResponse(),
]


@dataclass(frozen=True)
class Says:
    """From now on the service responds to a verb, or for a file, with these; it repeats the last response."""

    what: str
    responses: Sequence[ScriptedResponse]


@dataclass(frozen=True)
class Happens:
    """`restart`, `cancel` or `time goes by`."""

    what: str


def statuses() -> st.SearchStrategy[ScriptedResponse]:
    words = st.sampled_from(WAITING_WORDS * 3 + LAST_WORDS)
    positions = st.sampled_from([None, 0, 3, -1, "two", 10**30])
    said = st.builds(
        lambda word, position: json_response({"status": word, "queue_position": position}), words, positions
    )
    return said | st.sampled_from(FAILURES)


def results() -> st.SearchStrategy[dict[str, Any] | ScriptedResponse]:
    """A result; `{"files": n}` stands for the first n of FILES, whose URLs are not known yet."""
    words = st.sampled_from([None, *WAITING_WORDS, *LAST_WORDS])
    outputs = st.sampled_from([{"files": 1}, {"files": 2}, {}, None])
    costs = st.sampled_from([0.03, None, "free"])
    return st.fixed_dictionaries({"status": words, "output": outputs, "cost": costs}) | st.sampled_from(FAILURES)


def steps() -> st.SearchStrategy[Says | Happens]:
    cancels = st.sampled_from(
        [
            json_response({"outcome": "cancelled", "status": "cancelled"}),
            json_response({"outcome": "not_cancellable", "status": "in_progress"}),
            *FAILURES,
        ]
    )
    files = st.sampled_from([*BAD_FILES, None])
    return st.one_of(
        st.builds(Says, st.just("status"), st.lists(statuses(), min_size=1, max_size=4)),
        st.builds(Says, st.just("result"), st.lists(results(), min_size=1, max_size=3)),
        st.builds(Says, st.just("cancel"), st.lists(cancels, min_size=1, max_size=2)),
        st.builds(Says, st.sampled_from(sorted(FILES)), st.lists(files, min_size=1, max_size=3)),
        st.builds(Happens, st.sampled_from(["restart", "cancel", "time goes by"])),
    )


class Stage:
    """One job at a service that follows a story."""

    def __init__(self, harness: Harness, service: ScriptedApi) -> None:
        self.harness = harness
        self.service = service
        self.said_cancelled = False
        self.urls = [service.file(name, _whole(name)) for name in FILES]
        service.status("in_queue")
        service.cancel({"outcome": "not_cancellable"})
        self.job_id = harness.generate().job_id
        harness.wait(self.job_id, "queued")

    @property
    def job(self) -> Job:
        return self.harness.reader.job(self.job_id)

    def play(self, step: Says | Happens) -> None:
        if isinstance(step, Says):
            self.translate(step)
        elif step.what == "restart":
            restart(self.harness)
        elif step.what == "cancel":
            self.cancel()
        else:
            self.harness.clock.advance(MISSING_GRACE_S + 1)
        assert self.job.request_id == "r-1"

    def translate(self, step: Says) -> None:
        if step.what in FILES:
            self.service.file(step.what, *(response or _whole(step.what) for response in step.responses))
            return
        responses = [self._result(response) if isinstance(response, dict) else response for response in step.responses]
        self.said_cancelled |= any(word in str(response.body) for response in responses for word in CANCELLED)
        {"status": self.service.status, "result": self.service.result, "cancel": self.service.cancel}[step.what](
            *responses
        )
        if step.what == "status":
            self.await_polls(len(responses))

    def cancel(self) -> None:
        verdict = self.harness.jobs.cancel(self.job_id)
        assert (verdict.outcome == "cancelled") == (verdict.job.state == "cancelled")
        assert verdict.outcome != "too_late" or verdict.job.state not in ("submitting", "submit_unclear", "queued")

    def await_polls(self, times: int) -> None:
        """Wait until the job was polled so often; a job that is not settled always is."""
        before = self._polls()
        wait_for(lambda: self._polls() >= before + times or self.job.is_settled)

    def end(self, how: str) -> Job:
        """The service becomes honest and comes to its end."""
        for name in FILES:
            self.service.file(name, _whole(name))
        if how == "completed":
            self.service.completes(*self.urls)
        elif how == "gone":
            for script in (self.service.status, self.service.result, self.service.cancel):
                script(UNKNOWN)
            self.await_polls(3)
            self.harness.clock.advance(MISSING_GRACE_S + 1)
        else:
            self.said_cancelled |= how == "cancelled"
            self.service.status(how)
            self.service.result({"status": how, "error": "blocked" if how == "failed" else None})
        return self.harness.wait(self.job_id)

    def _polls(self) -> int:
        return self.service.count_calls("status") + self.service.count_calls("result")

    def _result(self, said: dict[str, Any]) -> ScriptedResponse:
        number = (said["output"] or {}).get("files")
        output = {"images": self.urls[:number]} if number else said["output"]
        return json_response({key: value for key, value in (said | {"output": output}).items() if value is not None})


@contextmanager
def curtain() -> Iterator[tuple[Harness, ScriptedApi]]:
    """Started job services in a folder of their own, against a scripted service; for each example anew."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, BadServer() as server:
        harness = Harness(Path(folder), server.url)
        harness.start()
        try:
            yield harness, ScriptedApi(server)
        finally:
            harness.close()


def restart(harness: Harness) -> None:
    """Begin anew; threads of the old services, which a crash would have ended, may disturb the first cleaning up."""
    for _ in range(50):
        with suppress(DiskError):
            harness.restart()
            return
        threading.Event().wait(0.01)
    harness.restart()


def wait_for(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait for something that no change of a job tells of."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        threading.Event().wait(0.002)


def check_history(harness: Harness, job: Job) -> None:
    states = [state for state, _ in harness.ledger.state_changes(job.job_id)]
    assert states[0] == "submitting"
    assert states[-1] == job.state
    assert all(after in TRANSITIONS[before] for before, after in pairwise(states)), states


def check_files(harness: Harness, job: Job) -> None:
    """`done` means that every file is here, byte for byte."""
    assert job.outputs
    for output, content in zip(job.outputs, FILES.values(), strict=False):
        path = harness.media.path(job.job_id, output.index, "original")
        assert path
        assert path.read_bytes() == content
        assert (output.state, output.sha256) == ("kept", hashlib.sha256(content).hexdigest())


at_random = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@settings(at_random, max_examples=10)
@given(
    story=st.lists(steps(), max_size=8), end=st.sampled_from(["completed", "completed", "failed", "cancelled", "gone"])
)
def test_a_request_is_never_lost_and_ends_once_the_service_does(story: list[Says | Happens], end: str) -> None:
    """It is paid for: no response, no cancel and no restart may lose the image, and nothing is submitted twice."""
    with curtain() as (harness, service):
        stage = Stage(harness, service)
        for step in story:
            stage.play(step)
        job = stage.end(end)
        event(f"{end}: {job.state} {job.problem or ''}")
        assert job.state in TERMINAL
        assert job.state != "cancelled" or stage.said_cancelled, "cancelled is only what the service called so"
        check_history(harness, job)
        if job.state == "failed" and end == "completed":
            harness.jobs.fetch_again(job.job_id)
            job = harness.wait(job.job_id)
            assert job.state == "done", "what failed here can still be fetched"
        if end == "completed":
            assert job.state in ("done", "cancelled")
        if job.state == "done":
            check_files(harness, job)
        result = harness.ledger.by_request(harness.origin, "r-1")
        assert result
        assert result.job_id == job.job_id
        assert service.posts == 1


@dataclass(frozen=True)
class PlannedRequest:
    """One request, what the service answers to its submit, and whether the program starts anew right after it."""

    response: str
    restart: str


RESPONSES: dict[str, ScriptedResponse] = {
    "lost": ScriptedResponse(hang_up=True),
    "late and lost": ScriptedResponse(hang_up=True, delay_s=0.02),
    "half": json_response({"request_id": "r"}, cut_after=6),
    "502": ScriptedResponse(502),
    "no id": json_response({}),
    "no balance": json_response({"error_code": 400002, "message": "no balance"}, 402),
    "revoked": json_response({"error_code": 401001, "message": "who?"}),
    "bad inputs": json_response({"error_code": 422001, "message": "no"}, 422),
    "slow down": json_response({"message": "slow down"}, 429),
}
REFUSED = ("no balance", "revoked", "bad inputs", "slow down")


@settings(at_random, max_examples=10)
@given(
    requests=st.lists(
        st.builds(
            PlannedRequest,
            st.sampled_from(["accepted", "accepted late", "taken", *RESPONSES]),
            st.sampled_from(["none", "none", "at once", "when answered"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_no_request_is_sent_twice_and_every_accepted_one_is_followed(requests: list[PlannedRequest]) -> None:
    """Each submit may cost money: a lost response is reported, and only a person may submit again."""
    with curtain() as (harness, service):
        job_ids = []
        for number, request in enumerate(requests):
            ours = ScriptedApi(service.server, "r-taken" if request.response == "taken" else f"r-{number}")
            ours.completes(ours.file("one.png", _whole("one.png")))
            delay_s = 0.02 if request.response == "accepted late" else 0.0
            ours.accept(
                RESPONSES.get(request.response) or json_response({"request_id": ours.request_id}, delay_s=delay_s)
            )
            harness.moderation.resume()  # a refused token or an empty account stops the requests that follow
            job_ids.append(harness.generate(prompt=f"request {number}").job_id)
            if request.restart == "at once":
                harness.services.stop()  # waits for the response to the running submit, and sends nothing else
            else:
                harness.wait(job_ids[-1], lambda job: job.state != "submitting")
            if request.restart != "none":
                restart(harness)
        jobs = [harness.wait(job_id) for job_id in job_ids]
        posted = _posted(service.server)
        taken = [job.request_id for job, request in zip(jobs, requests, strict=True) if request.response == "taken"]
        assert taken.count("r-taken") <= 1
        for number, (request, job) in enumerate(zip(requests, jobs, strict=True)):
            event(f"{request.response}, restart {request.restart}: {job.state}")
            check_history(harness, job)
            assert posted[f"request {number}"] == (0 if job.problem == "not_sent" else 1)
            assert job.state != "done" or job.request_id
            if job.problem != "not_sent" and request.response.startswith("accepted"):
                assert (job.state, job.request_id) == ("done", f"r-{number}")
            elif job.problem != "not_sent" and request.response in REFUSED:
                assert job.state == "failed"
            elif job.problem != "not_sent" and request.response in RESPONSES:
                assert job.state == "submit_unclear"


def _posted(server: BadServer) -> Counter[str]:
    """How often each prompt was submitted."""
    return Counter(json.loads(seen.body)["prompt"] for seen in server.requests_for("POST", SUBMIT))


def _whole(name: str) -> ScriptedResponse:
    return ScriptedResponse(200, FILES[name], {"Content-Type": "image/png"})
