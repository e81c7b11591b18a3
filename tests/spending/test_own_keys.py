"""A visitor's own key: used for that visitor's jobs only, kept nowhere, and never anybody else's cost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.api.client import RunComfy
from dreamina_ui.errors import AuthError, InputError, KeyNeededError, LimitError, SettingsError, StoppedError
from dreamina_ui.ledger.job import Job
from dreamina_ui.settings import Settings
from dreamina_ui.spending import accounts as accounts_module
from dreamina_ui.spending.limits import OWN_KEY_AT_ONCE, Limits
from dreamina_ui.web.auth.login_throttle import FREE_ATTEMPTS
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.routes.api_key import build_key_routes
from dreamina_ui.wiring import limits as limits_of
from tests.support.bad_server import BadServer, RecordedRequest, ScriptedResponse, json_response
from tests.support.harness import INPUTS, MODEL_ID, SUBMIT, TOKEN, Harness, ScriptedApi

KEY, OTHER_KEY = "visitor-key-AAAA", "visitor-key-BBBB"
SESSION = "a-session"


def press(harness: Harness, session: str | None = SESSION, visitor: str = "v", **inputs: object) -> Job:
    account = harness.accounts.account(session)
    return harness.jobs.generate(MODEL_ID, INPUTS | inputs, visitor_id=visitor, account=account)


def calls_to(server: BadServer) -> list[RecordedRequest]:
    """All that was asked, oldest first, but for the prices, which are asked by themselves."""
    return [seen for seen in list(server.requests) if seen.method != "GET" or not seen.path.startswith("/v1/models/")]


def keys_of(server: BadServer) -> list[str]:
    """Whose token each of these requests carried."""
    return [(seen.header("authorization") or "").removeprefix("Bearer ") for seen in calls_to(server)]


@pytest.fixture
def keyed(harness: Harness, service: ScriptedApi) -> Harness:
    """Started job services with one visitor's key, whose job stays in the queue until the test says more."""
    service.status("in_queue")
    harness.start()
    harness.api_keys.give(KEY, SESSION)
    return harness


# --- whose token is sent


def test_every_call_about_a_job_carries_the_key_it_was_made_with(keyed: Harness, service: ScriptedApi) -> None:
    """The owner's token must not pay for, nor look at, what a visitor pays for."""
    service.completes()
    done = keyed.wait(press(keyed).job_id)
    assert done.state == "done"
    asked = [seen for seen in calls_to(service.server) if seen.path.startswith("/v1/")]
    assert len(asked) >= 3
    assert {seen.header("authorization") for seen in asked} == {f"Bearer {KEY}"}
    assert [seen.header("authorization") for seen in service.server.requests if "/files/" in seen.path] == [None]


def test_two_visitors_keys_and_the_owners_token_never_mix(keyed: Harness, server: BadServer) -> None:
    """Whoever pressed pays, and is asked for nobody else's job."""
    keyed.api_keys.give(OTHER_KEY, "other")
    payers = {SESSION: KEY, "other": OTHER_KEY, None: TOKEN}
    requests = {key: ScriptedApi(server, f"r-{key}") for key in payers.values()}
    for session, key in payers.items():
        requests[key].accept()
        requests[key].completes()
        job = keyed.wait(press(keyed, session, prompt=key).job_id)
        assert (job.state, job.request_id) == ("done", f"r-{key}")
        assert (job.key_fingerprint is None) == (session is None)
    for key in payers.values():
        about = [seen for seen in server.requests if f"/r-{key}/" in seen.path]
        assert {seen.header("authorization") for seen in about} == {f"Bearer {key}"}


# --- a key that is not there


def test_after_a_restart_a_job_waits_for_its_key_and_is_posted_once(keyed: Harness, service: ScriptedApi) -> None:
    """A key is not written down, so nothing can continue without it; and nothing is lost or paid twice."""
    job = keyed.wait(press(keyed).job_id, "queued")
    keyed.services.stop(timeout_s=0.0)
    service.completes()
    keyed.restart()
    waiting = keyed.wait(job.job_id, lambda job: job.problem == "key_needed")
    assert (waiting.state, keyed.reader.is_active(waiting)) == ("queued", False)
    assert TOKEN not in keys_of(service.server), "it must not be asked of the owner's account"
    keyed.api_keys.give(KEY, "a-new-session")
    assert keyed.wait(job.job_id).state == "done"
    assert service.posts == 1
    assert TOKEN not in keys_of(service.server)


def test_another_key_does_not_wake_it(keyed: Harness, service: ScriptedApi) -> None:
    """One account's request must not be asked of another account."""
    job = keyed.wait(press(keyed).job_id, "queued")
    keyed.restart()
    keyed.wait(job.job_id, lambda job: job.problem == "key_needed")
    calls = len(calls_to(service.server))
    keyed.api_keys.give(OTHER_KEY, SESSION)
    assert not keyed.reader.is_active(keyed.reader.job(job.job_id))
    assert len(calls_to(service.server)) == calls


@pytest.mark.parametrize("how", ["removed", "replaced", "unused"])
def test_a_job_waits_when_its_key_is_gone(keyed: Harness, service: ScriptedApi, how: str) -> None:
    """It is not failed, and continues by itself when the key is back."""
    job = keyed.wait(press(keyed).job_id, "queued")
    if how == "removed":
        keyed.api_keys.take_back(SESSION)
    elif how == "replaced":
        keyed.api_keys.give(OTHER_KEY, SESSION)
    else:
        keyed.clock.advance(accounts_module.KEY_TTL_S + 60)
        keyed.accounts.forget_unused_keys()
    waiting = keyed.wait(job.job_id, lambda job: job.problem == "key_needed")
    assert waiting.state == "queued"
    service.completes()
    keyed.api_keys.give(KEY, SESSION)
    done = keyed.wait(job.job_id)
    assert (done.state, done.problem, service.posts) == ("done", None, 1)


def test_without_the_key_a_cancel_is_unconfirmed_and_asked_later(keyed: Harness, service: ScriptedApi) -> None:
    """Nothing was asked, so nothing may be claimed; the wish is kept."""
    job = keyed.wait(press(keyed).job_id, "queued")
    keyed.api_keys.take_back(SESSION)
    keyed.wait(job.job_id, lambda job: job.problem == "key_needed")
    assert keyed.jobs.cancel(job.job_id).outcome == "unconfirmed"
    assert service.count_calls("cancel") == 0
    service.cancel({"outcome": "cancelled", "status": "cancelled"})
    service.status("in_queue", "cancelled")
    keyed.api_keys.give(KEY, SESSION)
    assert keyed.wait(job.job_id).state == "cancelled"


def test_fetch_again_and_attach_ask_for_the_key(keyed: Harness, service: ScriptedApi) -> None:
    """A person reads what is missing instead of a silent wait."""
    service.accept(ScriptedResponse(hang_up=True))
    unclear = keyed.wait(press(keyed).job_id, "submit_unclear")
    keyed.api_keys.take_back(SESSION)
    with pytest.raises(KeyNeededError):
        keyed.attacher.attach("r-1", job_id=unclear.job_id)
    keyed.api_keys.give(KEY, SESSION)
    service.status("failed")
    failed = keyed.wait(keyed.attacher.attach("r-1", job_id=unclear.job_id).job_id, "failed")
    keyed.api_keys.take_back(SESSION)
    with pytest.raises(KeyNeededError):
        keyed.jobs.fetch_again(failed.job_id)
    assert keyed.reader.job(failed.job_id).state == "failed"
    assert set(keys_of(service.server)) == {KEY}


def test_a_key_pasted_as_a_request_id_goes_nowhere(keyed: Harness, service: ScriptedApi) -> None:
    """It would be sent with the owner's token, and shown in a message; people paste now and then what is in hand."""
    calls = len(calls_to(service.server))
    with pytest.raises(InputError) as caught:
        keyed.attacher.attach(f" {KEY} ")
    assert KEY not in str(caught.value)
    assert len(calls_to(service.server)) == calls


def test_a_job_submitted_again_is_paid_by_its_own_account(keyed: Harness, service: ScriptedApi) -> None:
    """Neither the owner nor another key pays for what the visitor's key was to pay."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    unclear = keyed.wait(press(keyed).job_id, "submit_unclear")
    keyed.api_keys.take_back(SESSION)
    for other_key in (None, OTHER_KEY):
        if other_key:
            keyed.api_keys.give(other_key, SESSION)
        with pytest.raises(KeyNeededError):
            keyed.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    assert keyed.reader.job(unclear.job_id) == unclear
    keyed.api_keys.give(KEY, "back")
    again = keyed.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    keyed.wait(again.job_id, "queued")
    assert again.key_fingerprint == unclear.key_fingerprint
    payers = [seen.header("authorization") for seen in service.server.requests_for("POST", SUBMIT)]
    assert payers == [f"Bearer {KEY}"] * 2


def test_the_owners_job_submitted_again_is_paid_by_the_owner(keyed: Harness, service: ScriptedApi) -> None:
    """Also for a visitor who gave a key meanwhile: it was meant for other jobs."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    unclear = keyed.wait(press(keyed, None).job_id, "submit_unclear")
    again = keyed.jobs.submit_again(unclear.job_id, visitor_id="v", may_charge_twice=True)
    keyed.wait(again.job_id, "queued")
    assert again.key_fingerprint is None


def test_a_refused_key_stops_only_its_own_job(keyed: Harness, service: ScriptedApi) -> None:
    """A stranger with a bad key must not stop the page for everyone."""
    service.accept(json_response({"error_code": 401001, "message": "no"}, 401), json_response({"request_id": "r-1"}))
    service.completes()
    assert keyed.wait(press(keyed).job_id).problem == "auth"
    with keyed.ledger.reading() as reader:
        assert keyed.moderation.rules(reader).stops == ()
    assert keyed.wait(press(keyed, None).job_id).state == "done"


def test_the_owners_refused_token_stops_no_own_key(keyed: Harness, service: ScriptedApi) -> None:
    """Who pays for themselves need not wait for the owner; only the owner's own switch stops everybody."""
    service.accept(json_response({"error_code": 401001, "message": "no"}, 401), json_response({"request_id": "r-1"}))
    service.completes()
    assert keyed.wait(press(keyed, None).job_id).problem == "auth"
    with pytest.raises(StoppedError):
        press(keyed, None, prompt="another")
    assert keyed.wait(press(keyed).job_id).state == "done"
    keyed.moderation.stop()
    with pytest.raises(StoppedError):
        press(keyed, prompt="another")


def test_a_key_that_asks_too_often_slows_down_only_itself(keyed: Harness, service: ScriptedApi) -> None:
    """One visitor's crowded account must not make the others wait."""
    service.status(ScriptedResponse(429, b"{}", {"Retry-After": "300"}))
    crowded = keyed.wait(press(keyed).job_id, "queued")
    while not service.count_calls("status"):
        threading.Event().wait(0.002)
    other = ScriptedApi(service.server, "r-2")
    other.completes()
    assert keyed.wait(press(keyed, None).job_id, timeout_s=5).state == "done"
    assert keyed.reader.job(crowded.job_id).state == "queued"


# --- nobody's limit


def test_a_job_with_an_own_key_counts_for_no_limit_of_the_owner(keyed: Harness, service: ScriptedApi) -> None:
    """It costs the owner nothing, so it uses up nothing; and it is never refused for others' use."""
    keyed.guard.limits = Limits(visitor_per_day=1, per_day=1, usd_per_day=0.1)
    keyed.guard.set_price(MODEL_ID, 0.1, None)
    service.accept(ScriptedResponse(silent=True))
    for number in range(3):
        assert press(keyed, prompt=str(number)).reserved_usd is None
    assert keyed.spending.quota("v", has_own_key=True).jobs_today is None
    assert keyed.spending.quota("v").jobs_today == 1
    with keyed.ledger.reading() as reader:
        assert keyed.guard.spent_usd(reader, 0.0) == 0.0
    press(keyed, None, prompt="4", force_single=True)
    with pytest.raises(LimitError):
        press(keyed, None, prompt="5")
    press(keyed, prompt="6")


def test_one_key_keeps_nobody_waiting(keyed: Harness, service: ScriptedApi) -> None:
    """Who pays may make many jobs; but the threads that submit are everybody's, and an empty account costs nothing."""
    service.accept(ScriptedResponse(silent=True))
    for number in range(OWN_KEY_AT_ONCE):
        press(keyed, prompt=str(number))
    with pytest.raises(LimitError, match="own_key_at_once"):
        press(keyed, prompt="one more")
    keyed.api_keys.give(OTHER_KEY, "other")
    press(keyed, "other", prompt="somebody else's")


def test_the_owner_can_require_own_keys(tmp_path: Path, service: ScriptedApi) -> None:
    """With no owner who pays there is nothing to limit, and nothing to send without a key."""
    harness = Harness(tmp_path / "data", service.server.url, token="")
    harness.start()
    with pytest.raises(KeyNeededError):
        harness.generate()
    assert service.server.requests == []
    harness.api_keys.give(KEY, SESSION)
    service.completes()
    assert harness.wait(press(harness).job_id).state == "done"
    harness.close()


def test_required_keys_need_no_owners_token_and_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hosted page without any secret of its owner."""
    monkeypatch.setenv("DREAMINA_REQUIRE_OWN_KEY", "1")
    monkeypatch.setenv("DREAMINA_SHARED", "1")
    assert not Settings().uses_sandbox
    assert limits_of(Settings()) == Limits()


def test_beside_the_sandbox_a_key_makes_real_pictures(tmp_path: Path, server: BadServer) -> None:
    """Try it free, then paste a key; and what is in progress continues where it belongs, each to its own API."""
    harness = Harness(tmp_path / "data", server.url, origin="sandbox")
    harness.start()
    harness.api_keys.give(KEY, SESSION)
    free, paid = ScriptedApi(server, "r-free"), ScriptedApi(server, "r-paid")
    jobs = {}
    for service, session in ((free, None), (paid, SESSION)):
        service.accept()
        service.status("in_queue")
        jobs[service] = harness.wait(press(harness, session, prompt=service.request_id).job_id, "queued")
    assert [job.api_origin for job in jobs.values()] == ["sandbox", server.url]
    harness.restart()
    harness.api_keys.give(KEY, "a-new-session")
    for service, job in jobs.items():
        service.completes(service.picture(f"{service.request_id}.png"))
        assert harness.wait(job.job_id).state == "done"
    for service, token in ((free, TOKEN), (paid, KEY)):
        asked = [seen for seen in server.requests if f"/{service.request_id}/" in seen.path]
        assert {seen.header("authorization") for seen in asked} == {f"Bearer {token}"}
    harness.close()


# --- what is kept


def test_the_ledger_knows_a_key_again_and_does_not_hold_it(keyed: Harness, tmp_path: Path) -> None:
    """Who gets the data folder gets no key; and another installation's mark of the same key is another."""
    job = press(keyed)
    keyed.wait(job.job_id, "queued")
    for path in keyed.folder.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    elsewhere = Harness(tmp_path / "elsewhere", keyed.base_url)
    assert elsewhere.accounts.store_key(KEY, None)[0].key_fingerprint != job.key_fingerprint
    assert keyed.accounts.store_key(KEY, None)[0].key_fingerprint == job.key_fingerprint
    elsewhere.close()


def test_only_so_many_keys_are_stored(keyed: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers must not fill the memory; the key that was not used the longest goes first."""
    monkeypatch.setattr(accounts_module, "MAX_KEYS", 3)
    monkeypatch.setattr(accounts_module, "MAX_SESSIONS", 2)
    accounts = keyed.accounts
    for number in range(5):
        keyed.clock.advance(1)
        accounts.key_suffix(SESSION)  # it is in use
        keyed.clock.advance(1)
        accounts.store_key(f"key-{number}", f"s{number}")
    assert [accounts.key_suffix(f"s{number}") for number in range(5)] == [None, None, None, "ey-3", "ey-4"]
    assert accounts.key_suffix(SESSION) == "AAAA"
    for number in range(3):
        accounts.store_key(KEY, f"more-{number}")
    assert [accounts.key_suffix(session) for session in (SESSION, "more-0", "more-1", "more-2")] == [
        None, None, "AAAA", "AAAA",
    ]  # fmt: skip


def test_the_same_key_in_two_browsers_stays_until_both_took_it_back(keyed: Harness) -> None:
    """A removal on the phone must not stop the jobs of the laptop."""
    accounts = keyed.accounts
    keyed.api_keys.give(KEY, "phone")
    keyed.api_keys.take_back("phone")
    assert (accounts.key_suffix("phone"), accounts.key_suffix(SESSION)) == (None, "AAAA")
    keyed.api_keys.take_back(SESSION)
    with pytest.raises(KeyNeededError):
        accounts.client(Job("j", MODEL_ID, keyed.origin, {}, 0.0, 0.0, key_fingerprint="another"))


# --- a try that costs nothing


@pytest.mark.parametrize(
    ("response", "is_checked"),
    [
        (json_response({"error_code": 404001, "message": "unknown"}, 404), True),
        (json_response({"error_code": 403001, "message": "another account's"}, 403), True),
        (json_response({"message": "forbidden"}, 403), True),
        (ScriptedResponse(503), False),
        (ScriptedResponse(hang_up=True), False),
    ],
)
def test_a_key_is_tried_with_a_call_that_costs_nothing(
    harness: Harness, server: BadServer, response: ScriptedResponse, is_checked: bool
) -> None:
    """A good key is never turned away because of a bad day of the service."""
    server.default = response
    assert harness.accounts.verify_key(KEY) is is_checked
    assert [seen.method for seen in server.requests] == ["GET"]


def test_a_wrong_key_is_refused_at_once(harness: Harness, server: BadServer) -> None:
    """Not only after a request."""
    server.default = json_response({"error_code": 401001, "message": f"bad token {KEY}"}, 401)
    with pytest.raises(AuthError) as caught:
        harness.accounts.verify_key(KEY)
    assert KEY not in str(caught.value)
    with pytest.raises(SettingsError):
        harness.accounts.verify_key("with a space")
    assert KEY not in repr(RunComfy(harness.base_url, KEY))


def test_keys_that_could_not_be_tried_run_out(harness: Harness, server: BadServer) -> None:
    """While the service is away, nobody may push out everybody's keys with invented ones."""
    server.default = ScriptedResponse(503)
    app = Starlette(routes=build_key_routes(harness.api_keys, harness.accounts, Permissions(is_shared=True)))
    with TestClient(app, client=("198.51.100.1", 50000)) as client:
        codes = [client.post("/dreamina/key", json={"key": f"rc-{n}"}).status_code for n in range(FREE_ATTEMPTS + 1)]
    assert codes == [200] * FREE_ATTEMPTS + [429]
