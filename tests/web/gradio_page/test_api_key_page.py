"""A visitor's own key in the whole app: given, used, shown to nobody, and withdrawn."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from starlette.requests import HTTPConnection

from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions
from dreamina_ui.web.auth.sessions import SESSION_COOKIE
from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_server import BadServer, json_response
from tests.support.browser import SMALL, AppProcess, Visitor, last_event, wait_for
from tests.support.harness import MODEL_ID, SUBMIT, ScriptedApi

KEY = "rc-MARKED-key-of-visitor-9XYZ"
OTHER_KEY = "rc-OTHER-key-of-visitor-7ABC"


@pytest.fixture(scope="module")
def server() -> Iterator[BadServer]:
    with BadServer() as running:
        yield running


@pytest.fixture(scope="module")
def keyed_app(tmp_path_factory: pytest.TempPathFactory, server: BadServer) -> Iterator[AppProcess]:
    """An app without a token of its owner, behind a proxy, which asks every visitor for their own and logs all."""
    settings = {"DREAMINA_REQUIRE_OWN_KEY": "1", "DREAMINA_LOG_LEVEL": "DEBUG", "RUNCOMFY_API_BASE_URL": server.url}
    with AppProcess(tmp_path_factory.mktemp("keyed"), **settings, DREAMINA_TRUSTED_PROXIES="127.0.0.1") as running:
        yield running


def give(visitor: Visitor, key: str, **headers: str) -> requests.Response:
    return visitor.http.post(f"{visitor.app.url}/dreamina/key", json={"key": key}, headers=headers, timeout=10)


def state(visitor: Visitor) -> dict[str, Any]:
    result: dict[str, Any] = visitor.http.get(f"{visitor.app.url}/dreamina/key", timeout=10).json()
    return result


def finished(visitor: Visitor, request_id: str) -> dict[str, Any]:
    jobs = wait_for(lambda: [job for job in visitor.jobs() if job["request_id"] == request_id and not job["active"]])
    result: dict[str, Any] = jobs[0]
    return result


def test_without_a_key_nothing_is_sent(keyed_app: AppProcess, server: BadServer) -> None:
    """The owner said so; who presses reads what to do, in their language, and so does a program."""
    visitor = Visitor(keyed_app)
    before = len(server.requests)
    assert state(visitor) == {"given": False, "hint": None, "required": True}
    assert visitor.press()["message"] == translate("en", "error_key_needed")
    name, reported = last_event(keyed_app, "generate", f'{{"data": ["a fox", "{SMALL}", 0.5, true]}}')
    assert (name, "X-RunComfy-Token" in str(reported)) == ("error", True)
    assert keyed_app.count_jobs() == 0
    assert len(server.requests) == before


def test_the_key_is_in_nothing_but_the_calls_to_the_api(keyed_app: AppProcess, server: BadServer) -> None:
    """Whatever is searched, by a visitor, by the owner or by a thief of the disk: it is not there."""
    service = ScriptedApi(server, "r-marked")
    service.completes(service.picture("marked.png"))
    visitor = Visitor(keyed_app)
    given = give(visitor, KEY)
    assert given.json() == {"given": True, "hint": "9XYZ", "required": True, "is_checked": True}
    assert visitor.press()["success"]
    job = finished(visitor, "r-marked")
    assert (job["state"], job["own_key"]) == ("done", True)
    url, http, as_json = keyed_app.url, visitor.http, {"Content-Type": "application/json"}
    refused = [
        give(Visitor(keyed_app), f"{KEY} with spaces"),
        http.post(f"{url}/dreamina/key", data=f'{{"key": "{KEY}', headers=as_json, timeout=10),
        http.post(f"{url}/dreamina/key", json={"key": [KEY]}, timeout=10),
    ]
    assert {response.status_code for response in refused} == {422}
    responses = refused + [given] + [
        http.get(url + path, timeout=10)
        for path in (
            "/", "/config", "/gradio_api/info", "/dreamina/key", "/dreamina/jobs", "/dreamina/events", "/dreamina/left",
            f"/dreamina/jobs/{job['job_id']}", "/dreamina/library", "/dreamina/library/usage", "/dreamina/library/zip",
        )
    ]  # fmt: skip
    assert {response.status_code for response in responses} == {200, 422}
    for response in responses:
        assert KEY not in response.text + str(response.headers), response.url
        if response.headers.get("content-type") == "application/zip":
            with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
                assert not any(KEY.encode() in packed.read(name) for name in packed.namelist())
    for path in keyed_app.data.parent.rglob("*"):  # the ledger, the files, and all that was logged
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    assert " DEBUG dreamina_ui" in keyed_app.output
    carriers = [seen for seen in server.requests if KEY in str((seen.target, seen.headers, seen.body))]
    assert {seen.path.split("/")[1] for seen in carriers} == {"v1"}
    assert all(seen.header("authorization") == f"Bearer {KEY}" for seen in carriers)


def test_two_visitors_pay_each_for_themselves(keyed_app: AppProcess, server: BadServer) -> None:
    """Two browsers with two keys meet neither at the service nor here."""
    visitors = {"r-first": (Visitor(keyed_app), KEY), "r-second": (Visitor(keyed_app), OTHER_KEY)}
    for request_id, (visitor, key) in visitors.items():
        assert give(visitor, key).status_code == 200
        service = ScriptedApi(server, request_id)
        service.completes()
        assert visitor.press(prompt=request_id)["success"]
        finished(visitor, request_id)
        carried = {seen.header("authorization") for seen in server.requests if f"/{request_id}/" in seen.path}
        assert carried == {f"Bearer {key}"}
        assert server.requests_for("POST", SUBMIT)[-1].header("authorization") == f"Bearer {key}"
    assert [state(visitor)["hint"] for visitor, _ in visitors.values()] == ["9XYZ", "7ABC"]


def test_a_removed_key_is_gone_and_a_lost_one_is_missed(keyed_app: AppProcess, server: BadServer) -> None:
    """Who believes to pay themselves is never let pay with the owner's money, nor the other way round."""
    visitor = Visitor(keyed_app)
    assert give(visitor, "rc-short-lived").status_code == 200
    name, cookie = visitor.cookie("dreamina_key")
    assert visitor.http.delete(f"{keyed_app.url}/dreamina/key", timeout=10).json()["given"] is False
    assert name not in visitor.http.cookies
    visitor.http.cookies.set(name, cookie)
    assert state(visitor) == {"given": True, "hint": None, "required": True}
    assert not visitor.press()["success"]


def test_the_cookie_of_a_key_ends_with_the_browser_and_is_a_new_one_each_time(keyed_app: AppProcess) -> None:
    """No script can read it, no other site can plant or use it."""
    visitor = Visitor(keyed_app)
    give(visitor, KEY)
    visitor.http.cookies.set(visitor.cookie("dreamina_key")[0], "p" * 43)
    given = give(visitor, KEY)
    header = given.headers["set-cookie"]
    assert "HttpOnly" in header
    assert "SameSite=Lax" in header
    assert "Max-Age" not in header
    assert "p" * 43 not in header
    foreign = give(Visitor(keyed_app), KEY, **{"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_a_key_serves_only_the_login_that_gave_it() -> None:
    """Who signs in next on a shared computer must not pay with it."""
    access = Permissions(is_shared=True)
    cookie = "k" * 43

    def session(token: str = "") -> str | None:
        cookies = f"{KEY_COOKIE}={cookie}; {SESSION_COOKIE}={token}".encode()
        return access.key_session(HTTPConnection({"type": "http", "headers": [(b"cookie", cookies)]}))

    ann, bob = access.sessions.create("ann"), access.sessions.create("bob")
    assert len({session(), session(ann), session(bob), None}) == 4
    assert session(ann) == session(access.sessions.create("ann"))


def test_a_program_gives_its_key_with_the_call(keyed_app: AppProcess, server: BadServer) -> None:
    """It has no browser session; the header serves its job, and nobody else's press."""
    service = ScriptedApi(server, "r-program")
    service.completes()
    client = Client(keyed_app.url, headers={"X-RunComfy-Token": "rc-program-key"}, verbose=False)
    job = client.predict("a fox", SMALL, 0.5, True, api_name="/generate")
    assert (job["state"], job["model_id"]) == ("done", MODEL_ID)
    assert server.requests_for("POST", SUBMIT)[-1].header("authorization") == "Bearer rc-program-key"
    assert not Visitor(keyed_app).press()["success"]
    assert "rc-program-key" not in keyed_app.output + Path(keyed_app.data / "ledger.sqlite3").read_bytes().decode(
        "latin1"
    )


def test_a_wrong_key_is_reported_and_not_stored(keyed_app: AppProcess, server: BadServer) -> None:
    """At once, without a click; and nobody can try keys without end. Last here: it uses up this machine's tries."""
    honest = server.default
    server.default = json_response({"error_code": 401001, "message": "no"}, 401)
    try:
        visitor = Visitor(keyed_app)
        refused = give(visitor, "rc-wrong")
        assert (refused.status_code, refused.json()["message"]) == (403, translate("en", "error_key_refused"))
        assert state(visitor)["given"] is False
        rows, posts = keyed_app.count_jobs(), len(server.requests_for("POST", SUBMIT))
        program = Client(keyed_app.url, headers={"X-RunComfy-Token": "rc-wrong"}, verbose=False)
        with pytest.raises(AppError, match=translate("en", "problem_submit_auth")):
            program.predict("a fox", SMALL, 0.5, True, api_name="/generate")
        assert wait_for(lambda: give(visitor, "rc-wrong").status_code == 429)
        assert (keyed_app.count_jobs(), len(server.requests_for("POST", SUBMIT))) == (rows, posts)
    finally:
        server.default = honest
