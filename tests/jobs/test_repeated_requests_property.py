"""Whatever happens to requests, responses and the program: one admitted id is one submit."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dreamina_ui.errors import InputError, LimitError, RequestConflictError, StateError
from dreamina_ui.ledger.job import Job
from dreamina_ui.spending.limits import Limits
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.harness import MODEL_ID, Harness, ScriptedApi

VISITOR = "v" * 32
REFUSED = json_response({"error_code": 400002, "message": "no balance"}, 402)
OUTCOMES = ("accepted", "lost", "refused")


class _DroppedWork:
    """Stands for threads of a program that was killed: they do nothing."""

    def submit(self, *_work: Any) -> Future[None]:
        return Future()

    def shutdown(self, **_how: Any) -> None:
        pass


class RepeatedRequests(RuleBasedStateMachine):
    """A page, a program that may be killed, and an API that counts what it is sent."""

    ids = Bundle("ids")
    free_ids = Bundle("free_ids")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.server = BadServer()
        self.server.__enter__()
        self.server.default = json_response({"status": "in_queue"})
        self.api = ScriptedApi(self.server)
        self.harness = Harness(Path(self.folder.name), self.server.url)
        self.harness.is_shared = False
        self.harness.rebuild()
        self.harness.start()
        self.jobs: dict[str, str] = {}  # press_id -> job_id of every admitted request
        self.prompts: dict[str, str] = {}  # press_id -> prompt, where it is not the id
        self.submits = 0
        self.count = 0

    def teardown(self) -> None:
        self.harness.close()
        self.server.__exit__(None, None, None)
        self.folder.cleanup()

    def _new_id(self) -> str:
        self.count += 1
        return f"press-{self.count:04}"

    def _script(self, outcome: str) -> None:
        accepted = json_response({"request_id": f"r-{self.count}-{self.submits}"})
        self.api.accept({"accepted": accepted, "lost": ScriptedResponse(hang_up=True), "refused": REFUSED}[outcome])

    def _generate(self, press_id: str, **changes: Any) -> Job:
        inputs = {"prompt": self.prompts.get(press_id, press_id)} | changes
        return self.harness.jobs.generate(MODEL_ID, inputs, visitor_id=VISITOR, press_id=press_id)

    def _settle(self, job_id: str) -> None:
        self.harness.wait(job_id, lambda job: job.state != "submitting")

    @rule(target=ids, outcome=st.sampled_from(OUTCOMES))
    def press(self, outcome: str) -> str:
        """Somebody presses Generate; whether the page gets the response makes no difference here."""
        press_id = self._new_id()
        self._script(outcome)
        self.jobs[press_id] = self._generate(press_id).job_id
        self.submits += 1
        self._settle(self.jobs[press_id])
        return press_id

    @rule(target=ids, outcome=st.sampled_from(OUTCOMES), times=st.integers(2, 4))
    def press_and_repeat_at_once(self, outcome: str, times: int) -> str:
        """A browser and a proxy repeat the request before there is a response."""
        press_id = self._new_id()
        self._script(outcome)
        with ThreadPoolExecutor(times) as pool:
            [job_id] = {job.job_id for job in pool.map(lambda _: self._generate(press_id), range(times))}
        self.jobs[press_id] = job_id
        self.submits += 1
        self._settle(job_id)
        return press_id

    @rule(target=ids)
    def press_and_kill_before_the_submit(self) -> str:
        """The row is written, and the program dies before it sends anything."""
        press_id = self._new_id()
        submitter = self.harness.services._submitter
        submitter._pool = _DroppedWork()  # type: ignore[assignment]
        self.jobs[press_id] = self._generate(press_id).job_id
        submitter._submits.clear()
        self.restart()
        assert self.harness.reader.job(self.jobs[press_id]).state == "submit_unclear"
        return press_id

    @rule(press_id=ids)
    def repeat(self, press_id: str) -> None:
        """The page repeats the request: its response was lost, or it was reloaded."""
        assert self._generate(press_id).job_id == self.jobs[press_id]

    @rule(press_id=ids)
    def repeat_with_other_inputs(self, press_id: str) -> None:
        """A mistake of a program."""
        with pytest.raises(RequestConflictError):
            self._generate(press_id, prompt="something else")

    @rule(target=free_ids, breaks_limit=st.booleans())
    def refused(self, breaks_limit: bool) -> str:
        """A request that is not admitted."""
        press_id = self._new_id()
        self.harness.guard.limits = Limits(at_once=0) if breaks_limit else Limits()
        with pytest.raises(LimitError if breaks_limit else InputError):
            self._generate(press_id, **({} if breaks_limit else {"scale": 7.0}))
        self.harness.guard.limits = Limits()
        return press_id

    @rule(target=ids, press_id=consumes(free_ids), outcome=st.sampled_from(OUTCOMES))
    def repeat_what_was_refused(self, press_id: str, outcome: str) -> str:
        """It is tried anew, as it left nothing."""
        self._script(outcome)
        self.jobs[press_id] = self._generate(press_id).job_id
        self.submits += 1
        self._settle(self.jobs[press_id])
        return press_id

    @rule(target=ids, old=ids, outcome=st.sampled_from(OUTCOMES), times=st.integers(1, 3), is_killed=st.booleans())
    def submit_again(self, old: str, outcome: str, times: int, is_killed: bool) -> str:
        """Somebody decides to pay once more, or tries again what was refused; the page may repeat that, too."""
        old_job = self.harness.reader.job(self.jobs[old])
        was_accepted = old_job.state not in ("submit_unclear", "failed") or old_job.archived_at is not None
        press_id = self._new_id()
        self.prompts[press_id] = old_job.inputs["prompt"]
        self._script(outcome)
        for _ in range(times):
            if was_accepted:
                with pytest.raises(StateError):
                    self._submit_again(old_job, press_id)
                return old
            job_id = self._submit_again(old_job, press_id).job_id
            assert self.jobs.setdefault(press_id, job_id) == job_id
            self._settle(job_id)
            if is_killed:
                self.restart()
        self.submits += 1
        return press_id

    def _submit_again(self, old: Job, press_id: str) -> Job:
        return self.harness.jobs.submit_again(old.job_id, visitor_id=VISITOR, press_id=press_id, may_charge_twice=True)

    @rule()
    def restart(self) -> None:
        """The program is killed and started again."""
        self.harness.restart()

    @invariant()
    def every_admitted_id_is_one_submit(self) -> None:
        """The promise."""
        if hasattr(self, "api"):
            assert self.api.posts == self.submits
            assert len(set(self.jobs.values())) == len(self.jobs)


def test_one_admitted_id_is_one_submit_whatever_happens() -> None:
    """Money is spent by intentions, not by retries, reloads, proxies or crashes."""
    limits = settings(max_examples=6, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(RepeatedRequests, settings=limits)
