"""What a stranger finds when they leave the page and talk to the server themselves."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import requests
import uvicorn
from fastapi import FastAPI
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from starlette.requests import HTTPConnection

from dreamina_ui.web.auth.permissions import is_direct
from dreamina_ui.web.auth.visitor import VisitorCookie, visitor_id
from dreamina_ui.web.http import client_ip_hash
from dreamina_ui.web.middleware import gradio_patches, request_limits
from dreamina_ui.web.middleware.proxy_headers import ProxyHeaders
from dreamina_ui.web.middleware.request_limits import (
    MAX_OPEN,
    MAX_OPEN_PER_CLIENT,
    MAX_OPEN_PER_VISITOR,
    RequestLimits,
)
from dreamina_ui.web.middleware.security_headers import SecurityHeaders
from tests.support.browser import AppProcess, HeldSandbox, Visitor, wait_for

EVIL = "https://evil.example"
A_MEGABYTE = {"data": ["x" * 1_100_000]}
Ask = Callable[[str], requests.Response]


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """The URL of a plain Gradio app, as its documentation teaches it: every route of it is open."""

    def generate(prompt: str) -> str:
        return prompt

    def job(job_id: str) -> str:
        raise ValueError(f"a secret about {job_id}")

    with gr.Blocks() as page:
        api(generate, api_name="generate")
        api(job, api_name="job")
    mounted = gr.mount_gradio_app(FastAPI(), page, path="/")
    server = uvicorn.Server(uvicorn.Config(mounted, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def get(path: str, **headers: str) -> Ask:
    return lambda url: requests.get(url + path, headers=headers, timeout=10)


def post(path: str, **given: Any) -> Ask:
    return lambda url: requests.post(url + path, **given, timeout=10)


def join(session: str) -> Ask:
    """Join the queue with the first event that there is, as a session of this name."""

    def ask(url: str) -> requests.Response:
        event = requests.get(f"{url}/config", timeout=10).json()["dependencies"][0]
        body = {"data": [None] * len(event["inputs"]), "fn_index": event["id"], "session_hash": session}
        return requests.post(f"{url}/gradio_api/queue/join", json=body, timeout=10)

    return ask


OPEN_IN_GRADIO: dict[str, Ask] = {
    "an upload without limit": post("/gradio_api/upload", files={"files": b"x" * 2_000_000}),
    "a run past the queue": post("/gradio_api/run/generate", json={"data": ["x"]}),
    "a run past the queue, by its old name": post("/gradio_api/api/generate", json={"data": ["x"]}),
    "the end of anyone's event": post("/gradio_api/cancel", json={"session_hash": "s", "fn_index": 0, "event_id": "e"}),
    "a body without limit": post("/gradio_api/call/generate", json=A_MEGABYTE),
    "a body that a session keeps": post("/gradio_api/call/generate", json={"data": ["x" * 110_000]}),
    "a session with a name without limit": join("s" * 90_000),
    "the monitoring summary": get("/monitoring/summary"),
    "the history of runs": get("/gradio_api/runs"),
    "what a visitor typed, for all": get("/gradio_api/deep_link?session_hash=x"),
    "answers for another site": get("/config", Host="studio.example", Origin=EVIL),
    "answers for a sandboxed frame": get("/config", Host="studio.example", Origin="null"),
}


@pytest.mark.parametrize("request_name", OPEN_IN_GRADIO)
def test_a_route_that_gradio_leaves_open_is_disabled(plain: str, app: AppProcess, request_name: str) -> None:
    """Nobody uploads, reads along or goes past the queue through a page that makes pictures."""
    assert OPEN_IN_GRADIO[request_name](plain).status_code == 200
    assert OPEN_IN_GRADIO[request_name](app.url).status_code in (400, 403, 404, 413)


def test_no_file_of_gradios_cache_is_served_to_anyone(plain: str, app: AppProcess) -> None:
    """A file has an owner; and `file=` fetches foreign URLs too."""
    theirs = OPEN_IN_GRADIO["an upload without limit"](plain).json()[0]
    assert requests.get(f"{plain}/gradio_api/file={theirs}", timeout=10).status_code == 200
    assert requests.get(f"{plain}/gradio_api/file=https://example.com/a.png", timeout=10).status_code != 404
    assert requests.get(f"{plain}/gradio_api/proxy=https://a.hf.space/", timeout=10).status_code != 404
    for path in (f"file={theirs}", "file=/etc/passwd", "file=https://example.com/a.png", "proxy=https://a.hf.space/"):
        assert requests.get(f"{app.url}/gradio_api/{path}", timeout=10).status_code == 404, path


def test_no_origin_is_reflected(plain: str, app: AppProcess) -> None:
    """Gradio lets every site read every response with the visitor's cookie."""
    asked = {"Host": "studio.example", "Origin": EVIL}
    preflight = asked | {"Access-Control-Request-Method": "POST"}

    def reported(url: str) -> set[str]:
        responses = [requests.get(url, headers=asked, timeout=10), requests.options(url, headers=preflight, timeout=10)]
        return {name.lower() for response in responses for name in response.headers if "access-control" in name.lower()}

    assert "access-control-allow-origin" in reported(f"{plain}/config")
    for path in ("/config", "/", "/gradio_api/call/generate", "/dreamina/jobs", "/nothing"):
        assert reported(app.url + path) == set(), path


def test_internal_errors_are_not_shown(plain: str, app: AppProcess) -> None:
    """An error's text may hold what is nobody's business; what is meant for people is shown."""

    def error(url: str, body: dict[str, Any]) -> str:
        event = requests.post(f"{url}/gradio_api/call/job", json=body, timeout=10).json()["event_id"]
        return requests.get(f"{url}/gradio_api/call/job/{event}", timeout=10).text

    assert "a secret" in error(plain, {"data": ["x"]})
    assert "handler" in error(plain, {"data": []})
    assert "handler" not in error(app.url, {"data": []})


def test_what_nobody_fetches_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio keeps each session whose events nobody reads, and a stranger makes thousands of them in a minute."""
    monkeypatch.setattr(gradio_patches, "MAX_SESSIONS", 3)

    async def stored(sessions: int, *, is_bounded: bool) -> int:
        def nothing() -> str:
            return ""

        with gr.Blocks() as page:
            gr.api(nothing, api_name="nothing")  # type: ignore[attr-defined]
        page.queue()
        if is_bounded:
            gradio_patches.limit_queue(page)
        for number in range(sessions):
            body = PredictBodyInternal(data=[], fn_index=0, session_hash=f"s{number}", request=None)
            assert (await page._queue.push(body, None, None))[0]
        return len(page._queue.pending_event_ids_session)

    assert asyncio.run(stored(5, is_bounded=False)) == 5
    assert asyncio.run(stored(5, is_bounded=True)) == 3


def test_no_private_event_reaches_the_queue(app: AppProcess) -> None:
    """Where one fails, Gradio prints the caller's text to the log, a hundred kilobytes of it."""
    events = requests.get(f"{app.url}/config", timeout=10).json()["dependencies"]
    private = [event["id"] for event in events if event["api_visibility"] != "public"]
    assert private
    before = len(app.output)
    for number in private[:3]:
        body = {"data": ["\x1b[31mspoofed\n"] * 30, "fn_index": number, "session_hash": "s"}
        response = requests.post(f"{app.url}/gradio_api/queue/join", json=body, timeout=10)
        assert response.status_code == 422, response.text
    assert "spoofed" not in app.output[before:]


@pytest.mark.parametrize("path", ["assets/0123456789abcdef/page.js", "words/0123456789abcdef/en.json"])
def test_a_file_has_one_digest(app: AppProcess, path: str) -> None:
    """A shared cache would store the old script under the digest of the next version's."""
    response = requests.get(f"{app.url}/dreamina/{path}", timeout=10)
    assert response.status_code == 404
    assert "immutable" not in response.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    ["assets/index-0.js", "svelte/x.js", "static/x.js", "dreamina/given/0.webp", "dreamina/files/0/original/a", "x"],
)
def test_no_cache_stores_that_something_is_missing(app: AppProcess, path: str) -> None:
    """Caches may store a 404 without such a header, and the next version's file may have this name."""
    response = requests.get(f"{app.url}/{path}", timeout=10)
    assert (response.status_code, response.headers["cache-control"]) == (404, "no-store")


FROM_ELSEWHERE = {
    "a proxy that speaks HTTP/1.0": {"http_version": "1.0"},
    "a proxy that passes the browser's Referer on": {"Referer": "https://studio.example/"},
    "a proxy that passes the browser's Origin on": {"Origin": "https://studio.example"},
    "a proxy that says so": {"Via": "1.1 varnish"},
    "a tunnel": {"CF-Connecting-IP": "203.0.113.9"},
    "another name for this machine": {"Host": "studio.example"},
}


@pytest.mark.parametrize("name", FROM_ELSEWHERE)
def test_whoever_comes_through_a_proxy_does_not_sit_at_the_machine(name: str) -> None:
    """With nginx and nothing but `proxy_pass`, strangers were the owner."""
    headers = {"Host": "127.0.0.1:7860"} | FROM_ELSEWHERE[name]
    version = headers.pop("http_version", "1.1")
    raw = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "http_version": version, "headers": raw}
    assert not is_direct(HTTPConnection(scope))


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "[::1]"])
def test_the_person_at_the_machine_is_known(host: str) -> None:
    """At one's own machine nobody signs in."""
    raw = [(b"host", host.encode()), (b"referer", f"http://{host}/".encode())]
    scope = {"type": "http", "client": ("127.0.0.1", 1), "http_version": "1.1", "headers": raw}
    assert is_direct(HTTPConnection(scope))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_what_changes_something_is_json(app: AppProcess, content_type: str | None) -> None:
    """A form of another port's page stopped the installation: over plain http a browser sends no more than Origin."""
    headers = {"Content-Type": content_type} if content_type else {}
    for path in ("owner/switch", "generate", "library/mark", "key"):
        body = '{"stopped": true, "files": ["a"], "deleted": true, "key": "k"}'
        response = requests.post(f"{app.url}/dreamina/{path}", data=body, headers=headers, timeout=10)
        assert response.status_code == 415, path


@pytest.mark.parametrize("origin", ["http://192.168.0.7:9000", "http://192.168.0.7"])
def test_another_port_of_the_host_is_another_site(app: AppProcess, origin: str) -> None:
    """Another program there may belong to somebody else."""
    headers = {"Host": "192.168.0.7:7860", "Origin": origin}
    response = requests.post(f"{app.url}/dreamina/library/mark", json={}, headers=headers, timeout=10)
    assert response.status_code == 403


def test_an_event_that_does_not_exist_is_no_server_error(plain: str, app: AppProcess) -> None:
    """Gradio itself answers this with a 500."""
    ask = post("/gradio_api/queue/join", json={"data": [], "fn_index": 9999, "session_hash": "s"})
    assert ask(plain).status_code == 500
    assert ask(app.url).status_code == 422


@pytest.mark.parametrize(
    "elsewhere",
    [{"Sec-Fetch-Site": "cross-site", "Origin": EVIL}, {"Sec-Fetch-Site": "same-site"}, {"Origin": EVIL}],
    ids=["a new browser", "a neighbour", "an old browser"],
)
def test_another_sites_page_may_open_ours_and_no_more(app: AppProcess, elsewhere: dict[str, str]) -> None:
    """A stranger's site must not press buttons in a visitor's name."""
    for path in ("/config", "/gradio_api/info", "/dreamina/jobs", "/dreamina/library"):
        assert requests.get(app.url + path, headers=elsewhere, timeout=10).status_code == 403, path
    posted = requests.post(app.url + "/gradio_api/call/generate", json={"data": ["x"]}, headers=elsewhere, timeout=10)
    assert posted.status_code == 403
    opened = requests.get(app.url, headers=elsewhere | {"Sec-Fetch-Mode": "navigate"}, timeout=10)
    assert opened.status_code == 200


def test_the_pages_own_origin_is_welcome(app: AppProcess) -> None:
    """Browsers send an Origin with every POST of the page itself."""
    own = {"Origin": app.url}
    response = requests.post(f"{app.url}/dreamina/library/mark", json={}, headers=own, timeout=10)
    assert response.status_code == 400


def test_a_key_of_a_file_that_is_no_text_is_no_server_error(app: AppProcess) -> None:
    """The ledger cannot look up a lone surrogate, and that is no error of the ledger."""
    response = requests.post(
        f"{app.url}/dreamina/library/mark", json={"files": ["\ud800"], "deleted": True}, timeout=10
    )
    assert response.status_code == 400


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body_is_not_read(app: AppProcess, is_chunked: bool) -> None:
    """Memory is the owner's too."""
    for path in ("/gradio_api/call/generate", "/dreamina/attach"):
        body: Any = iter([b"x" * 500_000] * 4) if is_chunked else b"x" * 2_000_000
        try:
            response = requests.post(
                app.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=10
            )
        except requests.ConnectionError:
            continue  # cut off while still sending: refused as well
        assert response.status_code == 413, response.text


def test_the_same_error_is_traced_once(caplog: pytest.LogCaptureFixture) -> None:
    """A stranger who repeats it would fill the disk with traces; that it happened is logged each time."""

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError(scope["path"])

    local = RequestLimits(breaks)
    with caplog.at_level("INFO"):
        assert [ask(local, path=f"/{number}").status for number in range(3)] == [422] * 3
    assert [bool(record.exc_info) for record in caplog.records] == [True, False, False]
    assert all("ValueError" in record.message for record in caplog.records)


# --- headers


def test_security_headers_are_on_every_response(app: AppProcess) -> None:
    """Source: OWASP Secure Headers Project."""
    for path in ("/", "/config", "/dreamina/jobs", "/nothing", "/gradio_api/upload"):
        response = requests.get(app.url + path, timeout=10)
        assert response.headers["x-content-type-options"] == "nosniff", path
        assert response.headers["referrer-policy"] == "same-origin", path
        assert "frame-ancestors 'self'" in response.headers["content-security-policy"], path
        assert response.headers["cross-origin-resource-policy"] == "same-origin", path
        assert "strict-transport-security" not in response.headers, path


def test_the_server_does_not_tell_what_it_is(app: AppProcess) -> None:
    """A name and a version are where an attack begins. It takes up to a second after the start."""
    wait_for(lambda: "server" not in requests.get(f"{app.url}/config", timeout=10).headers)


def test_the_page_runs_only_the_scripts_that_it_came_with(app: AppProcess) -> None:
    """Markup that gets into the page from somewhere stays without force."""
    policy = requests.get(app.url, timeout=10).headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
    assert "'sha256-" not in scripts
    assert "http" not in policy


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<script>1</script>", "more_body": True})
    await send({"type": "http.response.body", "body": b"<script src=x></script>"})


def test_a_space_may_show_the_page_in_its_frame() -> None:
    """Hugging Face shows every Space in a frame."""
    response = ask(SecurityHeaders(_hello, ["https://huggingface.co"], "https://s3.example.com"))
    assert "img-src 'self' data: blob: https://s3.example.com; " in response.headers["content-security-policy"]
    assert response.headers["content-security-policy"].endswith("frame-ancestors 'self' https://huggingface.co")
    assert response.body == b"<script>1</script><script src=x></script>"


def test_https_is_remembered() -> None:
    """A browser that once came by https never comes by http again."""
    assert "max-age" in ask(SecurityHeaders(_hello), scheme="https").headers["strict-transport-security"]


# --- one layer alone, without a server


class AsgiResponse:
    """What an ASGI application sent."""

    def __init__(self, sent: list[Any]) -> None:
        starts = [item for item in sent if item["type"] == "http.response.start"]
        self.status = starts[0]["status"] if starts else None
        self.headers = {k.decode().lower(): v.decode() for item in starts for k, v in item["headers"]}
        self.body = b"".join(item.get("body", b"") for item in sent)


async def response_of(
    app: Any,
    *,
    method: str = "GET",
    path: str = "/",
    client: str = "203.0.113.7",
    scheme: str = "http",
    receive: Callable[[], Awaitable[Any]] | None = None,
    send: Callable[[Any], Awaitable[None]] | None = None,
    **headers: str,
) -> AsgiResponse:
    """Ask an ASGI application; header names with `_` for `-`."""
    sent: list[Any] = []

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    named = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named, "client": (client, 1), "scheme": scheme}
    await app(scope, receive or nothing, send or keep)
    return AsgiResponse(sent)


def ask(app: Any, **given: Any) -> AsgiResponse:
    return asyncio.run(response_of(app, **given))


def never() -> Any:
    return asyncio.Event().wait()


# --- cookies


def test_a_cookie_that_is_slow_to_read_delays_nobody(app: AppProcess) -> None:
    """Python before 3.11.10 takes ten seconds to read this one, and everybody waits meanwhile."""
    cookie = 'a="' + "\\" * 60_000 + '"'
    assert requests.get(f"{app.url}/dreamina/jobs", headers={"Cookie": cookie}, timeout=4).status_code == 200


@pytest.mark.parametrize("other", ['theirs={"a": 1}', "theirs=a,b c", "bad name=x", 'theirs="', "=;;"])
def test_other_peoples_cookies_do_not_hide_ours(other: str) -> None:
    """Every program on a machine gets the cookies of all others there; a visitor would lose their library."""
    ours = f"dreamina_visitor={'x' * 43}"
    assert visitor_id(f"{other}; {ours}") == visitor_id(ours) is not None


# --- proxies


async def _who(scope: Any, receive: Any, send: Any) -> None:
    headers = [(name, value) for name, value in scope["headers"] if name.startswith(b"x-")]
    headers += [(b"client", scope["client"][0].encode()), (b"scheme", scope["scheme"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


FORGED = {"X_Forwarded_For": "198.51.100.1", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}


def test_a_forged_client_ip_does_not_count() -> None:
    """Otherwise a limit for each IP address is a limit for nobody."""
    reported = ask(ProxyHeaders(_who, ["10.0.0.0/8"]), **FORGED).headers
    assert (reported["client"], reported["scheme"]) == ("203.0.113.7", "http")
    assert "x-forwarded-host" not in reported


def test_that_a_proxy_stands_between_is_still_seen() -> None:
    """Behind a proxy that nobody named, everyone would look like the person at the machine, who sees everything."""
    reported = ask(ProxyHeaders(_who), client="127.0.0.1", **FORGED).headers
    assert [name for name in reported if name.startswith("x-forwarded")] == ["x-forwarded-untrusted"]


@pytest.mark.parametrize("proxy", ["10.1.2.3", "192.0.2.5"])
@pytest.mark.parametrize("named", ["198.51.100.1", "6.6.6.6, 198.51.100.1", "6.6.6.6, 198.51.100.1:4711, 10.9.9.9"])
def test_a_named_proxy_is_believed_and_only_what_it_added(proxy: str, named: str) -> None:
    """A client may put anything in front; the last IP address that is no proxy's own is where it came from."""
    reported = ask(ProxyHeaders(_who, ["10.0.0.0/8", "192.0.2.5/32"]), client=proxy, X_Forwarded_For=named).headers
    assert reported["client"] == "198.51.100.1"


@pytest.mark.parametrize("scheme", ["https", "https,http"])
def test_a_named_proxy_makes_the_cookie_secure(scheme: str) -> None:
    """An identity does not travel in the clear; some proxies tell the scheme of each step."""
    app = ProxyHeaders(VisitorCookie(_hello), ["10.0.0.0/8"])
    assert "Secure" in ask(app, client="10.0.0.1", X_Forwarded_Proto=scheme).headers["set-cookie"]
    assert "Secure" not in ask(app, client="203.0.113.7", X_Forwarded_Proto=scheme).headers["set-cookie"]


@pytest.mark.parametrize(("reported", "same"), [("::ffff:198.51.100.1", True), ("::ffff:198.51.100.2", False)])
def test_an_ipv4_client_is_one_in_every_spelling(reported: str, same: bool) -> None:
    """Some proxies write it as IPv6, where all of them together would share one limit."""
    assert (client_ip_hash(reported) == client_ip_hash("198.51.100.1")) is same


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"X-Forwarded-For": "203.0.113.9"}], ids=str)
def test_nobody_spends_through_a_tunnel_that_was_not_declared(held: HeldSandbox, headers: dict[str, str]) -> None:
    """No limits hold there; and any site may let its name lead to this machine, and press with the owner's browser."""
    local, elsewhere = Visitor(held.app), Visitor(held.app)
    elsewhere.http.headers.update(headers)
    rows = held.app.count_jobs()
    reported = elsewhere.http.post(f"{held.app.url}/gradio_api/call/generate", json={"data": ["a fox"]}, timeout=10)
    assert (reported.status_code, "DREAMINA_SHARED=1" in reported.json()["detail"]) == (403, True)
    assert held.app.count_jobs() == rows
    assert local.press()["success"]


# --- slow and silent clients


async def _reads(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await _hello(scope, receive, send)


async def _lasts(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


def test_an_upload_has_the_time_that_it_earns_by_sending() -> None:
    """Large images come slowly from a phone; a few silent clients must not hold all the places for uploads."""
    path = "/dreamina/given/images"
    parts = [{"type": "http.request", "body": b"x" * 20_000_000, "more_body": True}]

    async def pauses() -> Any:
        if parts:
            return parts.pop()
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b"x", "more_body": False}

    assert ask(RequestLimits(_reads, body_timeout_s=0.05), method="POST", path=path, receive=pauses).status == 200
    assert ask(RequestLimits(_reads, body_timeout_s=0.05), method="POST", path=path, receive=never).status == 408


def test_a_body_that_never_ends_is_given_up() -> None:
    """A client that sends a byte now and then would hold its slot forever."""

    async def trickle() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert ask(RequestLimits(_reads, body_timeout_s=0.05), method="POST", receive=trickle).status == 408
    assert ask(RequestLimits(_reads, body_timeout_s=0.05), method="POST", receive=never).status == 408


def test_a_client_that_reads_nothing_is_given_up() -> None:
    """It costs a coroutine for a minute, not forever."""

    async def unread(message: Any) -> None:
        await asyncio.Event().wait()

    asyncio.run(asyncio.wait_for(response_of(RequestLimits(_hello, read_timeout_s=0.05), send=unread), 5))


@pytest.mark.parametrize(
    ("limit", "headers", "stranger"),
    [
        (MAX_OPEN_PER_VISITOR, {"Cookie": f"dreamina_visitor={'v' * 43}"}, {}),
        (MAX_OPEN_PER_CLIENT, {}, {"client": "203.0.113.8"}),
    ],
    ids=["visitor", "client"],
)
def test_open_streams_are_bounded(limit: int, headers: dict[str, Any], stranger: dict[str, Any]) -> None:
    """Nobody opens all the streams there are; who closes one may open another, and others notice nothing."""

    async def story() -> None:
        local = RequestLimits(_lasts)
        path = "/dreamina/events"
        begun = [asyncio.create_task(response_of(local, path=path, **headers)) for _ in range(limit)]
        await asyncio.sleep(0)
        assert (await response_of(local, path=path, **headers)).status == 429
        assert (await response_of(RequestLimits(_hello), path="/", **headers)).status == 200
        other = asyncio.create_task(response_of(local, path="/gradio_api/queue/data", **stranger))
        begun.pop().cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        again = asyncio.create_task(response_of(local, path=path, **headers))
        await asyncio.sleep(0.01)
        assert not other.done()
        assert not again.done()
        for task in [*begun, other, again]:
            task.cancel()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("kind", "idle"),
    [
        ("stream", {"path": "/gradio_api/heartbeat/s"}),
        ("body", {"method": "POST", "path": "/dreamina/generate", "receive": never}),
    ],
    ids=["idle streams", "half-open bodies"],
)
def test_what_is_idle_takes_no_place_from_a_request(
    monkeypatch: pytest.MonkeyPatch, kind: str, idle: dict[str, Any]
) -> None:
    """A thousand heartbeats once made every request and every sign-in fail."""
    monkeypatch.setitem(MAX_OPEN, kind, 300)
    count = MAX_OPEN[kind] + 5

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/gradio_api/"):
            await _lasts(scope, receive, send)
        await _reads(scope, receive, send)

    async def story() -> None:
        limits = RequestLimits(served)
        begun = []
        for number in range(count):
            client = f"203.0.{number // 250}.{number % 250}"
            begun.append(asyncio.create_task(response_of(limits, client=client, **idle)))
            await asyncio.sleep(0)
        for path in ("/dreamina/generate", "/dreamina/sign-in"):
            assert (await response_of(limits, method="POST", path=path)).status == 200
        await asyncio.sleep(0.05)
        assert all(task.done() for task in begun[:5])
        assert not any(task.done() for task in begun[7:]), "the requests had bodies, too"
        for task in begun:
            task.cancel()

    asyncio.run(story())


def test_a_click_waits_for_its_place_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever clicks once is not refused because five hundred others did; who gets no place in time learns it."""

    async def story() -> None:
        free = asyncio.Event()

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await free.wait()
            await _hello(scope, receive, send)

        limits = RequestLimits(served)
        click: dict[str, Any] = {"method": "POST", "path": "/dreamina/generate"}
        clicks = []
        for number in range(6):
            clicks.append(asyncio.create_task(response_of(limits, client=f"203.0.113.{number}", **click)))
            await asyncio.sleep(0)
        monkeypatch.setattr(request_limits, "MAX_WAIT_S", 0.0)
        assert (await response_of(limits, **click)).status == 429
        monkeypatch.setattr(request_limits, "MAX_WAITING", 4)
        assert (await response_of(limits, **click)).status == 429
        clicks.pop().cancel()  # it goes away while it waits
        free.set()
        assert [(await task).status for task in clicks] == [200] * 5

    monkeypatch.setitem(MAX_OPEN, "work", 2)
    asyncio.run(story())


def test_three_hundred_silent_clients_delay_nobody(held: HeldSandbox) -> None:
    """Each costs a coroutine at most, never a thread; who presses meanwhile is served as if alone."""
    app = held.app
    openings = (
        b"",
        b"POST /gradio_api/call/generate HTTP/1.1\r\nHost: ",
        b"POST /gradio_api/call/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{",
        b"POST /dreamina/library/zip HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        b"GET /gradio_api/heartbeat/s HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /dreamina/events HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    threads = count_threads(app)
    with ExitStack() as stack:
        for number in range(300):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", app.port), timeout=10))
            silent.sendall(openings[number % len(openings)])
        visitor = Visitor(app)
        assert visitor.press(prompt="in spite of them")["success"]
        assert count_threads(app) - threads < 50
    assert len(visitor.jobs()) == 1


def count_threads(app: AppProcess) -> int:
    return len(list(Path(f"/proc/{app.process.pid}/task").iterdir()))
