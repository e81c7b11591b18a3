"""The whole program as strangers get it: no secret leaves it, a crowd passes no limit, and a stop in full flight is
quick and loses nothing."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import signal
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from dreamina_ui.web.auth.visitor import VISITOR_COOKIE
from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.browser import SMALL, ScriptedApp, Visitor, last_event, read_events, wait_for
from tests.support.harness import SUBMIT, png

TOKEN, PASSWORD, METRICS_TOKEN = "marked-token-4711", "marked-password-4711", "marked-metrics-4711"
AT_ONCE = 37
CROWD = 200
PATHS = [
    "", "config", "theme.css", "manifest.json", "robots.txt", "openapi.json", "healthz", "readyz", "metrics",
    "monitoring", "monitoring/summary", "nothing-here", "login", "dreamina/sign-in", "dreamina/owner",
    "dreamina/owner/overview", "dreamina/key",
    "dreamina/jobs", "dreamina/left", "dreamina/events", "dreamina/library", "dreamina/library/usage", "dreamina/costs",
    "dreamina/library?state=failed", "dreamina/jobs/unknown", "dreamina/files/unknown/original/x.png",
    *(
        f"gradio_api/{path}"
        for path in (
            "info", "openapi.json", "app_id", "user", "token", "login_check", "startup-events", "queue/status",
            "theme.css", "runs", "run-history/buckets", "run-history/records", "dev/reload", "deep_link",
            "upload_progress?upload_id=x", "vibe-code", "file=app.py", "file=/proc/self/environ", "proxy=x",
            "stream/x/0/0/playlist.m3u8", "custom_component/x/client/x/y",
        )
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedApp]:
    """The app as a link that strangers have, on a scripted service; every secret in it is marked."""
    settings = {
        "RUNCOMFY_API_TOKEN": TOKEN,
        "DREAMINA_OWNER_PASSWORD": PASSWORD,
        "DREAMINA_METRICS": "1",
        "DREAMINA_METRICS_TOKEN": METRICS_TOKEN,
        "DREAMINA_LOG_LEVEL": "DEBUG",
        "DREAMINA_LOG_FORMAT": "json",
        "DREAMINA_SHARED": "1",
        "DREAMINA_JOBS_AT_ONCE": str(AT_ONCE),
        "DREAMINA_JOBS_PER_DAY": "1000",
        "DREAMINA_VISITOR_JOBS_AT_ONCE": "5",
        "DREAMINA_ADDRESS_JOBS_AT_ONCE": "1000",
        "DREAMINA_ADDRESS_JOBS_PER_DAY": "1000",
        "DREAMINA_USD_PER_DAY": "1000",
        "DREAMINA_USD_PER_MONTH": "1000",
    }
    with ScriptedApp(tmp_path_factory.mktemp("shared"), **settings) as running:
        yield running


class Recording(requests.Session):
    """A session that records every response."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[str, bytes]] = []

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        response = super().send(request, **more)
        heads = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        self.received.append((str(request.url), heads.encode() + response.content))
        return response


# --- no secret leaves


def test_no_secret_leaves_the_program(shared: ScriptedApp) -> None:
    """Who sees the page, a file, the log or the folder must not be able to spend the owner's money.

    Everything a visitor and the owner can do is done once, with a service that tells its callers' token to everybody.
    """
    app, http = shared.app, Recording()
    visitor = Visitor(app, http)
    done = _make_a_picture(shared, visitor)
    _let_jobs_fail_with_the_token_in_every_reason(shared, visitor)
    _cancel(shared, visitor)
    _use_the_library(visitor, done)
    _call_the_endpoints(shared, http)
    _sign_in_wrongly_and_rightly(visitor)
    assets = re.findall(r"dreamina/assets/\w+/[\w.-]+\.\w+", http.get(app.url, timeout=10).text)
    assert assets
    for path in (*PATHS, *assets):
        http.get(f"{app.url}/{path}", timeout=10)
    http.get(f"{app.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}, timeout=10)
    assert b"dreamina_jobs" in http.received[-1][1]

    assert len(http.received) > 70
    assert [url for url, reported in http.received if _is_marked(reported)] == []
    assert [path for path in app.data.rglob("*") if path.is_file() and _is_marked(path.read_bytes())] == []
    log = app.output
    assert "GET /v1/requests/***" not in log
    assert not _is_marked(log.encode())
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"queued", "done", "failed", "cancelled"} <= {line.get("state") for line in lines}
    assert done["job_id"] not in log, "a job_id is a key"
    assert done["request_id"] in log
    assert "wish of mine" not in log, "what people write is theirs"

    calls = [seen for seen in list(shared.server.requests) if seen.path.startswith("/v1/")]
    files = [seen for seen in list(shared.server.requests) if not seen.path.startswith("/v1/")]
    assert calls
    assert files
    assert {seen.header("authorization") for seen in calls} == {f"Bearer {TOKEN}"}
    for seen in calls:
        rest = [value for name, value in seen.headers if name != "authorization"]
        assert not _is_marked(json.dumps([seen.target, rest]).encode() + seen.body), seen.target
    assert not any(_is_marked(json.dumps([seen.target, seen.headers]).encode() + seen.body) for seen in files)


def _is_marked(content: bytes) -> bool:
    """Whether a secret stands there, plainly or in one of the usual disguises."""
    for secret in (TOKEN, PASSWORD, METRICS_TOKEN):
        plain = secret.encode()
        # The middle of it in each of the three positions that base64 knows.
        coded = [base64.b64encode(plain[shift:])[:16] for shift in range(3)]
        if any(form in content for form in (plain, plain.hex().encode(), *coded)):
            return True
    return False


def _press(visitor: Visitor, state: str, prompt: str) -> dict[str, Any]:
    """Press, and wait until the newest job is in a state."""
    visitor.press(prompt=prompt)

    def newest() -> dict[str, Any] | None:
        return next((job for job in visitor.jobs()[:1] if job["prompt"] == prompt and job["state"] == state), None)

    job: dict[str, Any] = wait_for(newest)
    return job


def _make_a_picture(shared: ScriptedApp, visitor: Visitor) -> dict[str, Any]:
    service = shared.service("secret-done")
    service.status("in_queue", {"status": f"odd {TOKEN}"}, "completed")
    service.completes()
    job = _press(visitor, "done", "a wish of mine")
    visitor.http.get(f"{visitor.app.url}/dreamina/events", timeout=20)
    for language in ("en", "ja"):
        visitor.http.get(f"{visitor.app.url}/dreamina/jobs/{job['job_id']}?language={language}", timeout=10)
    for tier in ("original", "preview", "thumbnail", "with_settings"):
        url = job["outputs"][0].get(tier)
        assert url is None or visitor.http.get(f"{visitor.app.url}/dreamina/{url}", timeout=10).ok, tier
    return job


def _let_jobs_fail_with_the_token_in_every_reason(shared: ScriptedApp, visitor: Visitor) -> None:
    said = f"you sent Bearer {TOKEN}"
    service = shared.service("secret-failed")
    service.status("failed")
    service.result({"status": "failed", "error": said})
    job = _press(visitor, "failed", "fails at the service")
    visitor.http.post(f"{visitor.app.url}/dreamina/jobs/{job['job_id']}/fetch-again", json={}, timeout=10)
    refusal = {"error_code": 422001, "error_message": said, "detail": [{"msg": said, TOKEN: said}]}
    service.accept(json_response(refusal, 422))
    _press(visitor, "failed", "is refused")
    service.accept(ScriptedResponse(raw=f"HTTP/1.1 {TOKEN} OK\r\n{TOKEN}\r\n\r\n".encode()))
    job = _press(visitor, "submit_unclear", "is answered with noise")
    for request_id in (TOKEN, f"../{TOKEN}"):  # people paste the wrong thing
        body = {"request_id": request_id}
        visitor.http.post(f"{visitor.app.url}/dreamina/jobs/{job['job_id']}/attach", json=body, timeout=10)
    visitor.http.post(f"{visitor.app.url}/dreamina/jobs/{job['job_id']}/put-aside", json={}, timeout=10)
    service.accept(ScriptedResponse(302, b"", {"Location": f"{shared.server.url}/elsewhere"}))
    _press(visitor, "submit_unclear", "is sent elsewhere")
    too_long = visitor.press(prompt="x" * 801)
    assert too_long["success"] is False


def _cancel(shared: ScriptedApp, visitor: Visitor) -> None:
    service = shared.service("secret-cancelled")
    service.status("in_queue")
    job = _press(visitor, "queued", "is taken back")
    service.cancel({"outcome": "cancelled", "status": "cancelled", "note": TOKEN})
    service.status("cancelled")
    response = visitor.http.post(f"{visitor.app.url}/dreamina/jobs/{job['job_id']}/cancel", json={}, timeout=10)
    assert response.json()["state"] == "cancelled"


def _use_the_library(visitor: Visitor, done: dict[str, Any]) -> None:
    http, url = visitor.http, f"{visitor.app.url}/dreamina/library"
    entry = http.get(url, timeout=10).json()["entries"][0]
    details = http.get(f"{visitor.app.url}/dreamina/jobs/{done['job_id']}", timeout=10).json()
    http.post(f"{url}/mark", json={"files": [re.findall("[0-9a-f]{32}", json.dumps(entry))[0]], "favourite": True})
    http.post(f"{url}/find", json={"sha256": next(iter(re.findall("[0-9a-f]{64}", json.dumps(details))), "0" * 64)})
    archive = http.get(f"{url}/zip", timeout=10)
    with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
        assert len(files.namelist()) >= 2
        assert not any(_is_marked(files.read(name)) for name in files.namelist())


def _call_the_endpoints(shared: ScriptedApp, http: requests.Session) -> None:
    service = shared.service("secret-program")
    service.completes()
    url = f"{shared.app.url}/gradio_api/call"
    for name, data in (("generate", ["of a program", "1024x1024(1:1)", 0.5, True]), ("job", ["no job"])):
        sent = http.post(f"{url}/{name}", json={"data": data}, timeout=10)
        http.get(f"{url}/{name}/{sent.json()['event_id']}", timeout=30)
    http.post(f"{url}/cancel", json={"data": "broken"}, timeout=10)
    http.post(f"{shared.app.url}/gradio_api/queue/join", json={"fn_index": 9999}, timeout=10)


def _sign_in_wrongly_and_rightly(visitor: Visitor) -> None:
    url = f"{visitor.app.url}/dreamina/sign-in"
    assert visitor.http.post(url, data={"password": "not the one"}, timeout=10).status_code == 401
    assert visitor.http.post(url, json={"password": PASSWORD}, timeout=10).status_code == 200


# --- a crowd


def test_a_crowd_at_the_page_passes_no_limit_by_one(shared: ScriptedApp) -> None:
    """Two hundred people have the link, and the owner pays for thirty-seven."""
    url, server = shared.app.url, shared.server
    names = [f"crowd-{number}" for number in range(CROWD)]
    for name in names:
        server.script(f"/v1/requests/{name}/status", json_response({"status": "in_queue"}))
    server.script(f"POST {SUBMIT}", *[json_response({"request_id": name}) for name in names])
    before = len(server.requests_for("POST", SUBMIT))
    template = Visitor(shared.app)
    gate = threading.Barrier(CROWD)

    def press(number: int) -> dict[str, Any]:
        visitor = Visitor.__new__(Visitor)  # who has the page open already
        visitor.app, visitor.config, visitor.http = shared.app, template.config, requests.Session()
        visitor.http.cookies.set(VISITOR_COOKIE, secrets.token_urlsafe(32), domain="127.0.0.1")
        gate.wait()
        return visitor.press(prompt=f"one of many {number}")

    with ThreadPoolExecutor(CROWD) as crowd:
        ends = list(crowd.map(press, range(CROWD)))
    refused = [end["message"] for end in ends if not end["success"]]
    why = translate("en", "error_limit_soon", limit=translate("en", "limit_at_once"), most=str(AT_ONCE))
    assert refused == [why] * (CROWD - AT_ONCE)
    wait_for(lambda: len(server.requests_for("POST", SUBMIT)) >= before + AT_ONCE)
    assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
    assert len(server.requests_for("POST", SUBMIT)) == before + AT_ONCE
    for name in names:
        server.script(f"/v1/requests/{name}/status", json_response({"status": "cancelled"}))
    wait_for(lambda: _metric(shared, 'dreamina_jobs{state="queued"}') == 0)


def test_programs_of_one_network_cannot_name_each_others_requests(shared: ScriptedApp) -> None:
    """A counter as a name would give one program's job, and its image, to another one behind the same IP address."""
    before = len(shared.server.requests)
    for name in ("1", "request-12345"):
        kind, error = last_event(shared.app, "generate", json.dumps({"data": ["a fox", SMALL, 0.5, True, name]}))
        assert kind == "error"
        assert "at least 16 characters" in error["error"]
    assert [seen.method for seen in shared.server.requests[before:]].count("POST") == 0


def _metric(shared: ScriptedApp, name: str) -> float:
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    text = requests.get(f"{shared.app.url}/metrics", headers=headers, timeout=10).text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_numbers_are_not_for_strangers(shared: ScriptedApp) -> None:
    """What the owner spends is nobody else's business."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ä"}):
        response = requests.get(f"{shared.app.url}/metrics", headers=_latin(headers), timeout=10)
        assert (response.status_code, "dreamina_" in response.text) == (401, False)


def _latin(headers: dict[str, str]) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in headers.items()}


# --- a stop in full flight


def test_a_stop_in_full_flight_is_quick_and_loses_nothing(shared: ScriptedApp) -> None:
    """A restart must not wait for a silent service, a slow file or an open page, and must not pay twice."""
    app = shared.app
    saving = shared.service("stop-saving")
    slow = saving.file(
        "slow.png", ScriptedResponse(200, png(), {"Content-Type": "image/png"}, piece_bytes=1, piece_pause_s=0.5)
    )
    saving.completes(slow)
    watcher = Visitor(app)
    _press(watcher, "saving", "slowly fetched")
    hanging = shared.service("stop-hanging")
    hanging.accept(ScriptedResponse(silent=True))
    visitor = Visitor(app)
    posts = hanging.posts
    _press(visitor, "submitting", "never answered")
    wait_for(lambda: hanging.posts == posts + 1)
    with watcher.http.get(f"{app.url}/dreamina/events", stream=True, timeout=30) as page:
        assert next(iter(read_events(page)))[0] == "jobs"
        app.process.send_signal(signal.SIGTERM)
        wait_for(lambda: app.output.rstrip().splitlines()[-1].count('"Stopping"'))
        jobs = app.count_jobs()
        assert _press_while_stopping(visitor) is not True
        assert app.process.wait(60) == 0  # the service never responds, and the file takes minutes
    assert app.count_jobs() == jobs
    saving.picture("slow.png")
    app.start()
    assert wait_for(lambda: visitor.jobs()[0]["state"] == "submit_unclear")
    assert wait_for(lambda: watcher.jobs()[0]["state"] == "done")
    assert hanging.posts == posts + 1


def _press_while_stopping(visitor: Visitor) -> bool:
    try:
        return visitor.press(prompt="too late")["success"] is True
    except (requests.RequestException, StopIteration):
        return False  # the server accepts no connections any more
