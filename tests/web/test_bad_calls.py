"""Calls that no page makes, by the thousand: they break nothing, tell nothing and cost nothing.

`DREAMINA_BAD_CALLS=10000` makes so many of them; without it, the suite makes a few hundred.
"""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.browser import AppProcess, HeldSandbox
from tests.support.harness import MODEL_ID, TOKEN

CALLS = int(os.environ.get("DREAMINA_BAD_CALLS", "300"))
CALLS_AT_ONCE = 5
GROWTH_BYTES = 40e6

TEXT = st.text(max_size=20) | st.sampled_from(
    ["../../etc/passwd", "%00", "\x00", "x" * 5000, "<script>", "' OR 1=1 --", "nan", "1e999", "-1", "𝕏" * 300]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NO_PROMPT = st.sampled_from([None, "", "  ", "x" * 801, 1, 0.5, True, [], {}, ["a fox"], {"path": "/etc/passwd"}])
"""What is no prompt at all: a call of `/generate` with one of them never costs money."""

GETS = (
    "/", "/config", "/config/", "/theme.css", "/robots.txt", "/manifest.json", "/pwa_icon", "/pwa_icon/{}",
    "/login_check", "/static/{}", "/assets/{}", "/svelte/{}", "/favicon.ico", "/monitoring", "/monitoring/{}",
    "/token", "/user", "/logout", "/docs", "/redoc", "/openapi.json", "/healthz", "/readyz", "/metrics", "/{}",
    "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/app_id", "/gradio_api/startup-events",
    "/gradio_api/{}", "/gradio_api/heartbeat/{}", "/gradio_api/queue/status",
    "/gradio_api/queue/data?session_hash={}", "/gradio_api/call/generate/{}", "/gradio_api/call/{}/{}",
    "/gradio_api/file={}", "/gradio_api/proxy={}", "/gradio_api/stream/{}/{}/{}/playlist.m3u8",
    "/gradio_api/upload_progress?upload_id={}", "/gradio_api/runs", "/gradio_api/custom_component/{}/{}/{}/{}",
    "/gradio_api/deep_link?session_hash={}", "/gradio_api/run-history/records", "/dreamina/files/{}/{}/{}",
    "/dreamina/prices", "/dreamina/given/{}.webp", "/dreamina/inputs/{}/{}/{}/{}", "/dreamina/jobs",
    "/dreamina/jobs?language={}", "/dreamina/jobs/{}", "/dreamina/left",
    "/dreamina/events?language={}", "/dreamina/assets/{}/{}", "/dreamina/library?text={}&state={}&since={}&after={}",
    "/dreamina/library?size={}&until={}&favourites={}", "/dreamina/library/usage",
    "/dreamina/library/zip?text={}&since={}", "/dreamina/sign-in", "/dreamina/sign-in?next={}",
    "/dreamina/owner", "/dreamina/owner/overview", "/dreamina/owner/texts", "/dreamina/owner/invitation?url={}",
    "/dreamina/key", "/dreamina/batches", "/dreamina/prompts?text={}", "/dreamina/presets", "/dreamina/wildcards/{}",
    "/dreamina/given/images", "/dreamina/given/images/{}.webp",
    "/dreamina/batch/fields?model_id={}", "/dreamina/batches/{}?since={}", "/dreamina/models",
    "/dreamina/models/form?model_id={}", "/dreamina/boards", "/dreamina/shares?whose={}", "/dreamina/shared/{}",
    "/dreamina/shared/{}/{}/{}/{}", "/dreamina/history/import", "/dreamina/history/export", "/dreamina/presses/{}",
    "/dreamina/costs", "/dreamina/words/{}/{}.json", "/dreamina/library/count?board={}&color={}&rating={}",
    "/.well-known/security.txt",
)  # fmt: skip
POSTS = (
    "/gradio_api/queue/join", "/gradio_api/call/generate", "/gradio_api/call/job", "/gradio_api/call/cancel",
    "/gradio_api/call/{}", "/gradio_api/call/v2/generate", "/gradio_api/call/v2/job", "/gradio_api/call/v2/{}",
    "/gradio_api/run/generate", "/gradio_api/run/predict", "/gradio_api/api/{}", "/gradio_api/cancel",
    "/gradio_api/reset", "/gradio_api/upload", "/gradio_api/component_server", "/gradio_api/process_recording",
    "/gradio_api/stream/{}", "/gradio_api/vibe-edit", "/login", "/dreamina/sign-in", "/dreamina/sign-out",
    "/dreamina/generate", "/dreamina/given/look", "/dreamina/given/images/from-library",
    "/dreamina/prompts/pin", "/dreamina/presets", "/dreamina/wildcards",
    "/dreamina/attach", "/dreamina/library/mark", "/dreamina/library/find", "/dreamina/library/zip",
    "/dreamina/jobs/{}/cancel", "/dreamina/jobs/{}/fetch-again", "/dreamina/jobs/{}/put-aside",
    "/dreamina/jobs/{}/attach", "/dreamina/jobs/{}/submit-again", "/dreamina/key", "/dreamina/jobs/{}/{}",
    "/dreamina/owner/switch", "/dreamina/owner/limits", "/dreamina/owner/shut-out", "/dreamina/owner/words",
    "/dreamina/owner/name", "/dreamina/owner/try-words",
    "/dreamina/batch/plan", "/dreamina/batches", "/dreamina/batches/{}/{}", "/dreamina/batches/{}/retry",
    "/dreamina/boards", "/dreamina/boards/order", "/dreamina/boards/of-files", "/dreamina/boards/{}",
    "/dreamina/boards/{}/delete", "/dreamina/shares", "/dreamina/shares/revoke", "/dreamina/history/import",
    "/dreamina/history/erase", "/dreamina/owner/erase", "/dreamina/owner/models", "/dreamina/given/images",
    "/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/{}",
)  # fmt: skip
KEYS = (
    "fn_index", "session_hash", "event_id", "event_data", "trigger_id", "simple_format", "batched", "request_id",
    "files", "favourite", "deleted", "sha256", "may_charge_twice", "back", "job_id", "size", "scale", "force_single",
    "password", "key", "stopped", "kind", "name", "out", "words", "model_id", "inputs", "text", "values", "repeats",
    "digest", "token", "seed", "prompt", "template", "parameters", "is_pinned", "remove", "file", "board", "boards",
    "shares", "on", "confirm", "visitor", "models", "field", "address", "press_id", "own_key", "rating",
)  # fmt: skip
HEADERS = {
    "Content-Type": st.sampled_from(
        ["application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=x", "x"]
    ),
    "Cookie": st.sampled_from(["dreamina_visitor=" + "v" * 40, "dreamina_visitor=", "a=b; =; ;;", "\x01", "x" * 6000]),
    "Range": st.sampled_from(["bytes=0-1", "bytes=9-1", "bytes=-", "x=0-1", "bytes=0-1,5-9999999999999"]),
    "Accept-Language": st.sampled_from(["ja", "xx;q=nan", ";;q=,", "x" * 500]),
    "X-Forwarded-For": st.sampled_from(["1.2.3.4", "x" * 300, ",,,", "::1%x"]),
    "X-Forwarded-Host": st.sampled_from(["evil.example", "[", "x\ty", "a b", ":"]),
    "Host": st.sampled_from(["[", "localhost:x", "::", "evil.example", "a b", ""]),
    "Origin": st.sampled_from(["null", "https://[", "http://127.0.0.1", ""]),
    "If-None-Match": st.sampled_from(["*", '"', ""]),
    "Transfer-Encoding": st.sampled_from(["chunked", "x"]),
    "Authorization": st.sampled_from(["Bearer é", "Basic x", ""]),
}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["call", "call", "call", "json", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    if kind == "json":
        return json.dumps(draw(JSON)).encode()
    body: dict[str, Any] = draw(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
    if draw(st.booleans()):
        body["data"] = [draw(NO_PROMPT), *draw(st.lists(JSON, max_size=5))]
    elif draw(st.booleans()):
        body["data"] = draw(st.none() | st.integers() | TEXT)
    if draw(st.booleans()):
        body |= {"fn_index": draw(st.integers(-2, 12)), "session_hash": draw(st.sampled_from(["s", "t"]) | TEXT)}
    if draw(st.booleans()):
        inputs = draw(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4)) | {"prompt": draw(NO_PROMPT)}
        body |= {"model_id": draw(st.sampled_from([MODEL_ID]) | JSON), "inputs": draw(st.just(inputs) | JSON)}
    body["prompt"] = draw(NO_PROMPT)
    return json.dumps(body).encode()


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, str, dict[str, str], bytes | None]:
    is_post = draw(st.booleans())
    parts = draw(st.sampled_from(POSTS if is_post else GETS)).split("{}")
    path = parts[0] + "".join(quote(draw(TEXT), safe=draw(st.sampled_from(["", "/"]))) + part for part in parts[1:])
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=2, unique=True))
    headers = {name: draw(HEADERS[name]) for name in names}
    if "/owner" in path:
        headers["X-Forwarded-For"] = "198.51.100.1"  # the person at the machine would be the owner
    if is_post:
        return "POST", path, {"Content-Type": "application/json"} | headers, draw(bodies())
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    return method, path, headers, draw(st.none() | st.binary(max_size=20))


def response_to(port: int, call: tuple[str, str, dict[str, str], bytes | None]) -> tuple[int, bytes]:
    """The status and the first piece of a response; a stream is left after it."""
    method, path, headers, body = call
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        caller.putrequest(method, path[:8000], skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            caller.putheader(name, value.encode("utf-8"))
        if body is not None and "Transfer-Encoding" not in headers:
            caller.putheader("Content-Length", str(len(body)))
        caller.endheaders()
        if body is not None:
            caller.send(
                body if "Transfer-Encoding" not in headers else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) or 1, body)
            )
        response = caller.getresponse()
        lasts = "event-stream" in response.headers.get("content-type", "")
        return response.status, b"" if lasts else response.read(100_000)
    except (TimeoutError, ConnectionError, http.client.RemoteDisconnected):
        return 0, b""
    finally:
        caller.close()


def resident_bytes(app: AppProcess) -> int:
    return int(Path(f"/proc/{app.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_bad_calls_break_nothing_and_cost_nothing(held: HeldSandbox) -> None:
    """Strangers will send anything, to every URL there is: ours and Gradio's."""
    app = held.app
    jobs, requests = app.count_jobs(), len(held.requests())
    sizes: list[int] = []

    @settings(
        max_examples=CALLS // CALLS_AT_ONCE, deadline=None, derandomize=CALLS < 1000, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(some=st.lists(calls(), min_size=CALLS_AT_ONCE, max_size=CALLS_AT_ONCE))
    def make(some: list[tuple[str, str, dict[str, str], bytes | None]]) -> None:
        for call in some:
            status, body = response_to(app.port, call)
            assert status < 500, (call, status, body[:500])
            assert b"Traceback" not in body, call
            assert b"site-packages" not in body, call
        sizes.append(resident_bytes(app))

    make()
    assert app.count_jobs() == jobs
    assert len(held.requests()) == requests
    assert TOKEN not in app.output
    warm = sizes[len(sizes) // 4]
    print(
        f"{len(sizes) * CALLS_AT_ONCE} calls; memory {sizes[0] / 1e6:.0f}, {warm / 1e6:.0f}, {sizes[-1] / 1e6:.0f} MB"
    )
    assert sizes[-1] - warm < GROWTH_BYTES
