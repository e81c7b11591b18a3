"""The routes that cost money, without a process: one id is one job, whatever happened to the response."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.testclient import TestClient

from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.store import BatchStore
from dreamina_ui.errors import BlockedError, pack
from dreamina_ui.ledger import batch_rows
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web.auth.permissions import KEY_COOKIE, REQUESTER_HEADER, Permissions
from dreamina_ui.web.auth.sessions import SESSION_COOKIE
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from dreamina_ui.web.batch_presenter import BatchPresenter
from dreamina_ui.web.routes.batches import build_batch_routes
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.jobs import build_job_routes
from dreamina_ui.web.routes.request_lookup import build_request_lookup_routes
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.harness import MODEL_ID, Harness, ScriptedApi

PRESS_ID = "0b8f6c1e-5f0a-4f0e-9d6b-7f3c2f6a1d11"
SITE = "https://pictures.example"
NO_BALANCE = json_response({"error_code": 400002, "message": "no balance"}, 402)


class SharedSite:
    """The routes of a shared page; it can be stopped and opened again as after a crash."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.permissions = Permissions(is_shared=True)
        self.owner_token = self.permissions.sessions.create(None)
        harness.start()
        self._open()

    def _open(self) -> None:
        harness, permissions = self.harness, self.permissions
        self.batches = BatchStore(harness.ledger, harness.moderation, harness.clock)
        batch_presenter = BatchPresenter(harness.presenter, harness.models, Dispatcher(harness.services, self.batches))
        self.app = Starlette(
            routes=[
                *build_form_routes(harness.services, harness.presenter, permissions, uses_sandbox=False),
                *build_job_routes(harness.services, harness.presenter, permissions),
                *build_batch_routes(
                    harness.services,
                    batch_presenter,
                    self.batches,
                    PromptTools(harness.ledger, harness.clock),
                    permissions,
                ),
                *build_request_lookup_routes(
                    harness.reader, harness.presenter, self.batches, batch_presenter, permissions
                ),
            ]
        )

    def restart(self) -> None:
        self.harness.restart()
        self._open()

    def visitor(self, name: str = "v", *, is_owner: bool = False) -> TestClient:
        cookies = {VISITOR_COOKIE: name * 40} | ({SESSION_COOKIE: self.owner_token} if is_owner else {})
        return TestClient(self.app, SITE, cookies=cookies)

    def generate(self, prompt: str = "a red fox", press_id: Any = PRESS_ID, **who: Any) -> Any:
        body = {"model_id": MODEL_ID, "inputs": {"prompt": prompt}, "press_id": press_id}
        return self.visitor(**who).post("/dreamina/generate", json=body)

    def act(self, job_id: str, action: str, body: dict[str, Any], **who: Any) -> Any:
        return self.visitor(**who).post(f"/dreamina/jobs/{job_id}/{action}", json=body)

    def begin_batch(self, text: str, press_id: Any = PRESS_ID, digest: str = "", **who: Any) -> Any:
        wanted = {"model_id": MODEL_ID, "inputs": {}, "text": text, "repeats": 1}
        digest = digest or self.visitor(**who).post("/dreamina/batch/plan", json=wanted).json()["digest"]
        body = wanted | {"digest": digest, "press_id": press_id}
        return self.visitor(**who).post("/dreamina/batches", json=body)


@pytest.fixture
def site(harness: Harness, service: ScriptedApi) -> SharedSite:
    """Its accepted jobs stay in the queue."""
    service.accept(*(json_response({"request_id": f"r-{number}"}) for number in range(20)))
    service.server.default = json_response({"status": "in_queue"})
    return SharedSite(harness)


def test_a_repeated_request_is_the_same_card(site: SharedSite, service: ScriptedApi) -> None:
    """A gateway lost the response, Chromium sent the request twice, or the server died in between."""
    first = site.generate().json()
    site.harness.wait(first["job_id"], "queued")
    for _ in range(2):
        again = site.generate()
        assert (again.status_code, again.json()["job_id"]) == (200, first["job_id"])
        site.restart()
    assert service.posts == 1


def test_who_pays_is_decided_by_the_click(site: SharedSite, service: ScriptedApi) -> None:
    """A lost request is repeated when the visitor has given a key since, or removed it: it must not pay for both."""
    browser = site.visitor()
    key_session = "k" * 40
    browser.cookies.set(KEY_COOKIE, key_session)
    hashed = hashlib.sha256(f"None {key_session}".encode()).hexdigest()
    site.harness.api_keys.give("visitor-key-AAAA", hashed)

    def generate(client: TestClient, press_id: str, **more: Any) -> Any:
        body = {"model_id": MODEL_ID, "inputs": {"prompt": "a red fox"}, "press_id": press_id} | more
        return client.post("/dreamina/generate", json=body)

    assert generate(browser, "press-0001", own_key=False).json()["own_key"] is False
    assert generate(browser, "press-0002", own_key=True).json()["own_key"] is True
    assert generate(browser, "press-0003").json()["own_key"] is True, "a page from before says nothing"
    without_key = site.visitor()
    assert generate(without_key, "press-0004", own_key=True).status_code == 403
    assert generate(without_key, "press-0002", own_key=True).status_code == 200, "it is there already"
    assert generate(without_key, "press-0005").json()["own_key"] is False
    for job in site.harness.reader.recent(visitor_id(f"{VISITOR_COOKIE}={'v' * 40}") or ""):
        site.harness.wait(job.job_id, "queued")
    assert service.posts == 4


def test_a_page_finds_after_a_reload_what_its_request_made(site: SharedSite) -> None:
    """It knows its id only; a stranger who knows it, too, learns nothing."""
    assert site.visitor().get(f"/dreamina/presses/{PRESS_ID}").json() == {"job": None, "batch": None}
    job_id = site.generate().json()["job_id"]
    site.restart()
    known = site.visitor().get(f"/dreamina/presses/{PRESS_ID}").json()
    assert (known["job"]["job_id"], known["batch"]) == (job_id, None)
    for stranger in (site.visitor("w"), TestClient(site.app, SITE)):
        assert stranger.get(f"/dreamina/presses/{PRESS_ID}").json() == {"job": None, "batch": None}


def test_the_same_id_with_other_inputs_is_a_conflict(site: SharedSite, service: ScriptedApi) -> None:
    """Nothing is paid, and the message names the id."""
    first = site.generate().json()
    site.harness.wait(first["job_id"], "queued")
    response = site.generate("a blue fox")
    assert response.status_code == 409
    assert PRESS_ID in response.json()["message"]
    assert service.posts == 1


@pytest.mark.parametrize(
    "press_id", ["short", "x" * 65, "with space", "<script>", "ütf-eight", 12345678, ["a" * 8], ""]
)
def test_an_id_of_another_form_is_refused(site: SharedSite, service: ScriptedApi, press_id: Any) -> None:
    """What goes to the ledger and into messages is bounded."""
    response = site.generate(press_id=press_id)
    assert response.status_code == 422
    assert site.begin_batch("one", press_id=press_id).status_code == 422
    assert service.posts == 0


def test_without_an_id_two_clicks_within_a_second_are_one_job(site: SharedSite, service: ScriptedApi) -> None:
    """An old page that is still open has no ids."""
    first, second = site.generate(press_id=None).json(), site.generate(press_id=None).json()
    assert first["job_id"] == second["job_id"]
    site.harness.wait(first["job_id"], "queued")
    assert service.posts == 1


def test_a_refused_request_may_be_repeated(site: SharedSite, service: ScriptedApi) -> None:
    """The refusal wrote no row."""
    assert site.generate("").status_code == 422
    response = site.generate()
    assert response.status_code == 200
    site.harness.wait(response.json()["job_id"], "queued")
    assert service.posts == 1


def test_submit_again_repeated_is_one_new_job(site: SharedSite, service: ScriptedApi) -> None:
    """Who agreed to pay twice must not pay three times for a lost response."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    old = site.generate().json()["job_id"]
    site.harness.wait(old, "submit_unclear")
    assert site.act(old, "submit-again", {"press_id": "press-0002"}).status_code == 422, "nobody agreed to pay twice"
    body = {"may_charge_twice": True, "press_id": "press-0002"}
    first = site.act(old, "submit-again", body).json()
    site.harness.wait(first["job_id"], "queued")
    site.restart()
    assert site.act(old, "submit-again", body).json()["job_id"] == first["job_id"] != old
    assert service.posts == 2


def test_nobody_pays_for_the_click_of_somebody_else(site: SharedSite, service: ScriptedApi) -> None:
    """A request stays unanswered, somebody else signs in on the same tab, and the page repeats it."""
    service.accept(ScriptedResponse(hang_up=True), json_response({"request_id": "r-2"}))
    ann = site.visitor("a")
    tag = {REQUESTER_HEADER: ann.get("/dreamina/left").json()["requester"]}
    body = {"model_id": MODEL_ID, "inputs": {"prompt": "a red fox"}, "press_id": PRESS_ID}
    old = ann.post("/dreamina/generate", json=body, headers=tag).json()["job_id"]
    site.harness.wait(old, "submit_unclear")
    plan: dict[str, Any] = {"model_id": MODEL_ID, "inputs": {}, "text": "one", "repeats": 1}
    plan["digest"] = ann.post("/dreamina/batch/plan", json=plan).json()["digest"]
    bob = site.visitor("b", is_owner=True)
    again: dict[str, Any] = {"press_id": "press-0002", "may_charge_twice": True}
    for client in (bob, TestClient(site.app, SITE)):
        requests: dict[str, dict[str, Any]] = {"generate": body, "batches": plan, f"jobs/{old}/submit-again": again}
        for path, sent in requests.items():
            response = client.post(f"/dreamina/{path}", json={"press_id": PRESS_ID} | sent, headers=tag)
            assert response.status_code in (403, 404, 409), path
            if client is bob:
                assert (response.status_code, response.json()["kind"]) == (409, "other_requester"), path
    assert service.posts == 1
    assert ann.post("/dreamina/generate", json=body, headers=tag).json()["job_id"] == old
    again_as_ann = ann.post(f"/dreamina/jobs/{old}/submit-again", json=again, headers=tag)
    assert again_as_ann.status_code == 200
    site.harness.wait(again_as_ann.json()["job_id"], "queued")
    assert service.posts == 2


def test_who_signs_in_anew_is_the_same_requester() -> None:
    """A session that ran out, or a restart of the server, must not drop what the same person clicked."""
    tags = []
    for _ in range(2):
        access = Permissions(is_shared=True, tag_secret=b"s" * 32)
        token = access.sessions.create("ann")
        scope = {"type": "http", "headers": [(b"cookie", f"{SESSION_COOKIE}={token}".encode())], "query_string": b""}
        tags.append(access.requester_tag(HTTPConnection(scope)))
        access.ensure_same_requester(HTTPConnection(scope))
    assert len(tags[0]) == 16
    assert tags[0] == tags[1]


def test_a_refusal_says_when_to_come_again(site: SharedSite) -> None:
    """The button counts the seconds down; programs read the header."""
    site.harness.guard.limits = Limits(visitor_per_day=0)
    refused = site.generate()
    assert (refused.status_code, refused.json()["kind"]) == (429, "limit")
    assert 0 < refused.json()["retry_after_s"] <= 86400
    assert refused.headers["retry-after"] == str(refused.json()["retry_after_s"])
    site.harness.guard.limits = Limits(at_once=0)
    assert "retry_after_s" not in site.generate().json(), "nobody knows when a job ends"


def test_a_repeated_batch_is_the_same_batch(site: SharedSite, service: ScriptedApi) -> None:
    """Even if the price has changed since: it was agreed on at the start."""
    first = site.begin_batch("one\ntwo").json()
    site.harness.guard.set_price(MODEL_ID, 0.5, None)
    again = site.begin_batch("one\ntwo", digest="the table that was seen")
    assert (again.status_code, again.json()["batch_id"]) == (200, first["batch_id"])
    site.restart()
    known = site.visitor().get(f"/dreamina/presses/{PRESS_ID}").json()
    assert (known["job"], known["batch"]["batch_id"]) == (None, first["batch_id"])
    for other in ("one\ntwo\nthree", "one\nthree"):
        conflict = site.begin_batch(other)
        assert (conflict.status_code, PRESS_ID in conflict.json()["message"]) == (409, True)
    site.visitor().post(f"/dreamina/batches/{first['batch_id']}/cancel")
    assert site.begin_batch("one\ntwo").json()["state"] == "ended", "a late repeat must not start it anew"


def test_a_repeated_retry_is_one_retry(site: SharedSite) -> None:
    """Its response may be lost, and the page asks again; a new id for the same table finds that it has changed."""
    card = site.begin_batch("one\ntwo").json()
    [first, _] = site.batches.grid(card["batch_id"]).cells
    with site.harness.ledger.writing() as transaction:
        batch_rows.refuse_item(transaction, card["batch_id"], first.position, json.dumps(pack(BlockedError())))
    path = f"/dreamina/batches/{card['batch_id']}"
    digest = site.visitor().get(path).json()["retry"]["digest"]

    def retry(press_id: str) -> Any:
        return site.visitor().post(f"{path}/retry", json={"digest": digest, "press_id": press_id})

    assert [retry("id-of-this-click").status_code for _ in range(2)] == [200, 200]
    assert retry("id-of-another").status_code == 422
    site.restart()
    assert retry("id-of-this-click").status_code == 200, "the server may have died with the response"
    assert site.batches.batch(card["batch_id"]).counts == {"waiting": 2}


def test_the_owners_next_request_lifts_the_stop_of_an_empty_balance(site: SharedSite, service: ScriptedApi) -> None:
    """Visitors wait for the owner, who tops up the balance and presses Generate or Try again: once."""
    service.accept(NO_BALANCE, json_response({"request_id": "r-2"}), json_response({"request_id": "r-3"}))
    failed = site.generate(name="o", is_owner=True).json()["job_id"]
    site.harness.wait(failed, "failed")
    assert site.generate(press_id="press-of-visitor").status_code == 503
    body = {"press_id": "press-0002"}
    assert site.act(failed, "submit-again", body, name="v").status_code == 404
    again = site.act(failed, "submit-again", body, name="o", is_owner=True)
    assert again.status_code == 200
    site.harness.wait(again.json()["job_id"], "queued")
    assert site.generate(press_id="press-of-visitor").status_code == 200


def test_the_owners_batch_lifts_the_stop_too(site: SharedSite, service: ScriptedApi) -> None:
    """A batch is a request like any other."""
    service.accept(NO_BALANCE, json_response({"request_id": "r-2"}))
    site.harness.wait(site.generate(press_id="press-0001").json()["job_id"], "failed")
    assert site.begin_batch("one\ntwo").status_code == 503
    batch = site.begin_batch("one\ntwo", name="o", is_owner=True)
    assert batch.status_code == 200
    assert site.harness.spending.quota("v").stopped is None


def test_a_visitor_attaches_no_request_of_the_owners_account(site: SharedSite, service: ScriptedApi) -> None:
    """It would show a stranger's pictures to whoever guesses or overhears a request id."""
    service.accept(ScriptedResponse(hang_up=True))
    unclear = site.generate().json()["job_id"]
    site.harness.wait(unclear, "submit_unclear")
    calls = len(service.server.requests)
    response = site.act(unclear, "attach", {"request_id": "r-of-somebody"})
    assert response.status_code == 409
    assert len(service.server.requests) == calls
    assert site.act(unclear, "attach", {"request_id": "r-9"}, is_owner=True).status_code == 200


def test_a_visitor_attaches_requests_of_an_own_key(site: SharedSite, service: ScriptedApi) -> None:
    """The account is the visitor's own."""
    service.accept(ScriptedResponse(hang_up=True))
    account = site.harness.api_keys.give("visitor-key-AAAA", "session")
    visitor_id = site.permissions.visitor(_connection(site))
    job = site.harness.jobs.generate(MODEL_ID, {"prompt": "mine"}, visitor_id=visitor_id, account=account)
    site.harness.wait(job.job_id, "submit_unclear")
    assert site.act(job.job_id, "attach", {"request_id": "r-9"}).status_code == 200


def _connection(site: SharedSite) -> Any:
    """A request of the visitor, as the routes see it."""
    seen: list[Any] = []

    async def note(request: Any) -> Response:
        seen.append(request)
        return Response()

    app = Starlette()
    app.add_route("/", note)
    TestClient(app, SITE, cookies=site.visitor().cookies).get("/")
    return seen[0]


# --- what is left


def left(site: SharedSite, **who: Any) -> Any:
    return site.visitor(**who).get("/dreamina/left").json()


def test_who_has_nothing_left_reads_the_words_of_the_refusal(site: SharedSite) -> None:
    """Two wordings for one limit look like two limits."""
    site.harness.guard.limits = Limits(visitor_per_day=1)
    before = left(site)
    assert (before["jobs_today"], before["stopped"], before["can_generate"]) == (1, "", True)
    assert site.generate().status_code == 200
    refused = site.generate(press_id="press-0002")
    after = left(site)
    assert (after["jobs_today"], after["can_generate"]) == (0, False)
    assert after["stopped"] == refused.json()["message"]


def test_the_owner_may_generate_to_end_a_stop_that_the_program_made(site: SharedSite, service: ScriptedApi) -> None:
    """After topping up one request is enough; everybody else would be refused."""
    service.accept(NO_BALANCE)
    site.harness.wait(site.generate(name="o", is_owner=True).json()["job_id"], "failed")
    visitor, owner = left(site), left(site, name="o", is_owner=True)
    assert (visitor["can_generate"], visitor["action"]) == (False, "use_own_key")
    assert (owner["can_generate"], owner["action"]) == (True, "add_funds")
    assert "" != visitor["stopped"] != owner["stopped"] != ""
