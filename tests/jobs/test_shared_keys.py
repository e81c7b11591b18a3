"""A visitor's own key at several servers: given at one, used at all, and readable in no database."""

from __future__ import annotations

import pytest

from dreamina_ui.errors import KeyNeededError
from dreamina_ui.jobs import shared_keys
from dreamina_ui.jobs.shared_keys import seal, unseal
from tests.jobs.test_replicas import Start, let_all_leases_end, start, tick
from tests.support.browser import wait_for
from tests.support.databases import Engine
from tests.support.harness import INPUTS, MODEL_ID, ScriptedApi

__all__ = ["start"]
KEY, COOKIE, SESSION = "visitors-own-key", "c" * 43, "hash-of-the-session"


def test_only_the_cookie_opens_a_key() -> None:
    """Whoever reads the database has every row, and must not have a key."""
    sealed = seal(KEY, COOKIE, SESSION)
    assert KEY not in sealed
    assert unseal(sealed, COOKIE, SESSION) == KEY
    assert unseal(sealed, "d" * 43, SESSION) is None
    assert unseal(sealed, COOKIE, "another session") is None, "a row that was moved to another session opens nothing"
    assert unseal("no base64 !", COOKIE, SESSION) is None
    assert seal(KEY, COOKIE, SESSION) != sealed


@pytest.fixture(autouse=True)
def _checks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_keys, "CHECK_INTERVAL_S", 0.0)


def test_a_key_given_at_one_server_pays_at_another(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """The load balancer may send the next click anywhere."""
    first, second = start(), start()
    first.api_keys.give(KEY, SESSION, COOKIE)
    assert not second.api_keys.is_here(SESSION)
    second.api_keys.bring("e" * 43, SESSION)
    assert not second.api_keys.is_here(SESSION), "the wrong cookie"
    second.api_keys.bring(COOKIE, SESSION)
    service.completes()
    job = second.wait(second.jobs.generate(MODEL_ID, INPUTS, key_session=SESSION).job_id)
    assert job.state == "done"
    assert job.key_fingerprint in first.accounts.key_fingerprints()
    rows = engine.rows(first.folder / "ledger.sqlite3", "SELECT * FROM own_keys")
    assert KEY not in str(rows)
    assert COOKIE not in str(rows)


def test_a_key_taken_back_at_one_server_is_gone_at_all(start: Start, service: ScriptedApi) -> None:
    """Who removes a key means everywhere."""
    first, second = start(), start()
    first.api_keys.give(KEY, SESSION, COOKIE)
    second.api_keys.bring(COOKIE, SESSION)
    second.api_keys.take_back(SESSION)
    tick(first)
    assert not first.api_keys.is_here(SESSION)
    second.api_keys.bring(COOKIE, SESSION)
    assert not second.api_keys.is_here(SESSION)


def test_a_job_of_an_own_key_is_followed_where_the_key_is(start: Start, engine: Engine, service: ScriptedApi) -> None:
    """Its server died, and the browser has reached another one."""
    service.status("in_queue")
    first, second, third = start(), start(), start()
    first.api_keys.give(KEY, SESSION, COOKIE)
    job = first.wait(first.jobs.generate(MODEL_ID, INPUTS, key_session=SESSION).job_id, "queued")
    assert third.reader.is_active(job), "the page of a server without the key waits all the same"
    let_all_leases_end(first, engine)
    tick(third)
    assert third.ledger.job(job.job_id).replica_id == first.ledger.replica_id
    second.api_keys.bring(COOKIE, SESSION)
    tick(second)
    assert second.ledger.job(job.job_id).replica_id == second.ledger.replica_id
    service.completes()
    wait_for(lambda: second.ledger.job(job.job_id).state == "done")


def test_a_server_that_loses_the_key_leaves_the_job_to_others(start: Start, service: ScriptedApi) -> None:
    """Else a living server without the key would keep the job from one that has it."""
    service.status("in_queue")
    first, second = start(), start()
    first.api_keys.give(KEY, SESSION, COOKIE)
    job = first.wait(first.jobs.generate(MODEL_ID, INPUTS, key_session=SESSION).job_id, "queued")
    first.accounts.forget_key(SESSION)
    first.wait(job.job_id, lambda job: job.problem == KeyNeededError.kind)
    second.api_keys.bring(COOKIE, SESSION)
    tick(second)
    service.completes()
    wait_for(lambda: second.ledger.job(job.job_id).state == "done")
    assert second.ledger.job(job.job_id).problem is None
