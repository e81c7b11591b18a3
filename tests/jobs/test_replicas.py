"""Several servers on one ledger: a job is sent once and followed by one of them, whoever dies, freezes or wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from dreamina_ui.errors import LimitError
from dreamina_ui.jobs import replica
from dreamina_ui.jobs.replica import Replica, Role
from dreamina_ui.ledger.job import Job
from dreamina_ui.spending.limits import Limits
from tests.support.bad_server import BadServer, ScriptedResponse, json_response
from tests.support.browser import wait_for
from tests.support.databases import Engine
from tests.support.harness import INPUTS, MODEL_ID, Harness, ScriptedApi
from tests.support.ledger_jobs import new_job

Start = Callable[..., Harness]


@pytest.fixture
def start(tmp_path: Path, engine: Engine, server: BadServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts one more server on the same ledger; after that it looks only when the test lets it."""
    monkeypatch.setattr(replica, "INTERVAL_S", 60.0)
    monkeypatch.setattr(replica, "SUSPECT_S", 60.0)
    servers: list[Harness] = []

    def start_one(role: Role = "all") -> Harness:
        made = Harness(tmp_path / "data", server.url, role=role)
        servers.append(made)
        made.start()
        return made

    yield start_one
    for made in servers:
        made.close()


def replica_of(harness: Harness) -> Replica:
    assert harness.services.replica is not None
    return harness.services.replica


def let_all_leases_end(harness: Harness, engine: Engine) -> None:
    """As if nobody had been seen for a minute."""
    engine.rows(harness.folder / "ledger.sqlite3", "UPDATE replicas SET seen_at = seen_at - 60")


def tick(harness: Harness) -> None:
    """What a server does every two seconds."""
    replica_of(harness).tick(harness.services.take_over)


def write_unsent(harness: Harness, **fields: object) -> Job:
    """A row of a server that has not sent it yet."""
    job = new_job(api_origin=harness.origin, model_id=MODEL_ID, prompt="a red fox", **fields)
    return harness.ledger.add(replace(job, replica_id=harness.ledger.replica_id))


def test_what_a_dead_server_was_sending_is_unclear_and_sent_by_nobody_else(
    start: Start, engine: Engine, service: ScriptedApi
) -> None:
    """It may have been accepted and billed: a second request could be paid twice."""
    service.accept(ScriptedResponse(silent=True))
    first, second = start(), start()
    job = first.generate()
    wait_for(lambda: service.posts == 1)
    let_all_leases_end(first, engine)
    tick(second)
    assert second.wait(job.job_id).state == "submit_unclear"
    assert service.posts == 1


def test_what_a_dead_server_had_not_sent_is_sent_once(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """A person who pressed Generate gets the images, whichever server dies."""
    first, second = start(), start()
    job = write_unsent(first)
    service.completes()
    let_all_leases_end(first, engine)
    tick(second)
    assert second.wait(job.job_id).state == "done"
    assert replica_of(first).arm(job.job_id) is None, "the server that was away may not send it, too"
    assert service.posts == 1


def test_what_a_dead_server_followed_is_followed(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """A paid job ends with its images, not with its server."""
    service.status("in_queue")
    first, second = start(), start()
    job = first.wait(first.generate().job_id, "queued")
    let_all_leases_end(first, engine)
    tick(second)
    assert second.ledger.job(job.job_id).replica_id == second.ledger.replica_id
    service.completes()
    wait_for(lambda: second.ledger.job(job.job_id).state == "done")


def test_a_server_that_was_frozen_is_a_new_one(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """When it wakes, others may have sent and finished what it remembers as its own."""
    frozen = start()
    before, job = frozen.ledger.replica_id, write_unsent(frozen)
    let_all_leases_end(frozen, engine)
    replica_of(frozen).renew()
    assert frozen.ledger.replica_id != before
    assert not replica_of(frozen).follows(job)
    assert replica_of(frozen).arm(job.job_id) is None
    assert service.posts == 0
    tick(frozen)
    assert frozen.wait(job.job_id, lambda job: job.request_id is not None).replica_id == frozen.ledger.replica_id


def test_a_row_of_a_server_that_nobody_remembers_is_taken(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """A server that was frozen just before it wrote a row may write it when all others have forgotten it."""
    frozen, other = start(), start()
    name = frozen.ledger.replica_id
    engine.rows(frozen.folder / "ledger.sqlite3", "DELETE FROM replicas WHERE replica_id = ?", name)
    late = write_unsent(frozen)
    assert late.replica_id == name
    service.completes()
    tick(other)
    assert other.wait(late.job_id, "done").replica_id == other.ledger.replica_id


def test_the_right_to_send_exists_once(start: Start, service: ScriptedApi) -> None:
    """Whatever two servers believe, one request goes out."""
    first, second = start(), start()
    job = write_unsent(first)
    assert replica_of(second).arm(job.job_id) is None
    armed = [replica_of(first).arm(job.job_id), replica_of(first).arm(job.job_id)]
    assert [item.job_id if item else None for item in armed] == [job.job_id, None]


def test_a_server_takes_the_right_to_send_when_the_service_is_reached(
    start: Start, engine: Engine, service: ScriptedApi
) -> None:
    """What takes long comes before: a server that dies until then leaves a job that another one sends."""
    only, armed = start(), list[object]()
    folder = only.folder / "ledger.sqlite3"

    def before_send(_model_id: str, _inputs: object, before_send: Callable[[], object]) -> str:
        armed.extend(engine.rows(folder, "SELECT armed_at FROM jobs"))
        before_send()
        armed.extend(engine.rows(folder, "SELECT armed_at FROM jobs"))
        return "r-1"

    job = write_unsent(only)
    client = SimpleNamespace(submit=before_send)
    only.services._submitter.send_later(job, client)
    only.wait(job.job_id, "queued")
    assert armed[0] == (None,)
    assert armed[1] != (None,)


def test_a_right_to_send_that_was_not_used_is_given_back(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """Cut off while it took the right, a server alone knows that nothing was sent: nobody must wonder what was paid."""
    cut, other = start(), start()
    decided, open_ = write_unsent(cut), write_unsent(cut)
    armed_at = 5.0
    rows = cut.folder / "ledger.sqlite3"
    engine.rows(rows, "UPDATE jobs SET armed_at = ?", armed_at)
    other.services.take_over([other.ledger.job(decided.job_id)])
    assert other.ledger.job(decided.job_id).state == "submit_unclear"
    for job in (decided, open_):
        replica_of(cut).give_back(job.job_id, armed_at)
    known = other.ledger.job(decided.job_id)
    assert (known.state, known.problem) == ("failed", "not_sent")
    assert other.ledger.find_budget_differences() == []
    assert other.ledger.job(open_.job_id).armed_at is None
    service.completes()
    tick(other)
    assert other.wait(open_.job_id).state == "done"
    assert service.posts == 1


def test_a_server_that_stops_leaves_its_jobs_and_makes_none_unclear(start: Start, service: ScriptedApi) -> None:
    """An update of the program must cost nobody an image."""
    service.status("in_queue")
    first, second = start(), start()
    accepted = first.wait(first.generate().job_id, "queued")
    unsent = write_unsent(first)
    first.services.stop(timeout_s=0.0)
    assert [second.ledger.job(job.job_id).replica_id for job in (accepted, unsent)] == [None, None]
    service.accept(json_response({"request_id": "r-2"}))
    tick(second)
    assert second.wait(unsent.job_id, "queued").request_id == "r-2"
    assert second.ledger.job(accepted.job_id).replica_id == second.ledger.replica_id


def test_free_jobs_are_divided(start: Start, service: ScriptedApi) -> None:
    """The first server that looks must not take all jobs of a dead one."""
    first, second = start(), start()
    for number in range(10):
        job = new_job(api_origin=first.origin, model_id=MODEL_ID, prompt=f"fox {number}", state="queued")
        first.ledger.add(job)
    assert len(replica_of(first).claim()) == 5
    assert len(replica_of(second).claim()) == 5


def test_a_server_of_the_role_web_leaves_jobs_to_workers(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """Pages stay quick however many jobs there are, and workers are added by themselves."""
    service.status("in_queue")
    web, worker = start("web"), start("worker")
    sent = web.wait(web.generate().job_id, "queued")
    assert sent.replica_id is None
    assert not web.services.has_duty("retention", 600.0)
    tick(web)
    assert web.ledger.job(sent.job_id).replica_id is None
    for number in range(3):
        job = new_job(api_origin=web.origin, model_id=MODEL_ID, prompt=f"fox {number}", state="queued")
        web.ledger.add(job)
    assert len(replica_of(worker).claim()) == 4, "a page's server is not counted where jobs are divided"
    assert worker.services.has_duty("retention", 600.0)
    service.completes()
    tick(worker)
    assert worker.wait(sent.job_id).state == "done"


def test_a_duty_has_one_server_until_it_is_gone(start: Start, engine: Engine) -> None:
    """Two that remove surplus files at once remove too many."""
    first, second = start(), start()
    assert first.services.has_duty("retention", 600.0)
    assert not second.services.has_duty("retention", 600.0)
    assert first.services.has_duty("retention", 600.0)
    first.services.stop(timeout_s=0.0)
    assert second.services.has_duty("retention", 600.0)


def test_a_limit_holds_over_all_servers(start: Start, service: ScriptedApi) -> None:
    """What the owner allows is for the installation, however many servers it has."""
    service.accept(ScriptedResponse(silent=True))
    servers = [start(), start()]
    for harness in servers:
        harness.guard.limits = Limits(per_day=7)
    gate = threading.Barrier(20)

    def press(number: int) -> None:
        gate.wait()
        with suppress(LimitError):
            servers[number % 2].jobs.generate(MODEL_ID, INPUTS | {"prompt": f"fox {number}"})

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(press, range(20)))
    assert len(servers[0].ledger.unfinished(servers[0].origin)) == 7


def test_what_a_server_that_ends_did_not_report_is_noticed(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """It may die between writing a change and telling the others, whose pages would never show it."""
    first, second = start(), start()
    lost: list[float] = []
    watching = Replica(second.ledger, lambda: ((), ()), lost.append)
    watching.tick(lambda _jobs: None)
    watching.tick(lambda _jobs: None)
    assert lost == []
    first.services.stop(timeout_s=0.0)
    watching.tick(lambda _jobs: None)
    assert len(lost) == 1
