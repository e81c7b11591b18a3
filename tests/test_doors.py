"""What a stranger finds when they leave the page and talk to the server themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.page_kit import AppProcess

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
PATHS = (
    "/gradio_api/queue/join", "/gradio_api/call/generate", "/gradio_api/call/job", "/gradio_api/call/cancel",
    "/gradio_api/call/v2/generate", "/gradio_api/run/predict", "/gradio_api/api/predict", "/gradio_api/cancel",
    "/gradio_api/reset", "/dreamina/attach", "/dreamina/library/mark", "/dreamina/library/find",
    "/dreamina/jobs/x/cancel", "/dreamina/jobs/x/submit-again",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=https://example.com/a.png"),
        ("GET", "/gradio_api/proxy=https://example.com/"),
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/dev/reload"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
    ],
)
def test_what_gradio_leaves_open_is_shut(app: AppProcess, method: str, path: str) -> None:
    """Nobody uploads, proxies or reads along through a page that makes pictures."""
    answer = requests.request(method, app.url + path, files={"files": b"x"} if method == "POST" else None, timeout=10)
    assert answer.status_code == 404


def test_another_sites_page_may_open_ours_and_no_more(app: AppProcess) -> None:
    """A stranger's site must not press buttons in a visitor's name."""
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    for path in ("/config", "/gradio_api/info", "/dreamina/jobs", "/dreamina/library"):
        assert requests.get(app.url + path, headers=elsewhere, timeout=10).status_code == 403, path
    posted = requests.post(app.url + "/gradio_api/call/generate", json={"data": ["x"]}, headers=elsewhere, timeout=10)
    assert posted.status_code == 403
    opened = requests.get(app.url, headers=elsewhere | {"Sec-Fetch-Mode": "navigate"}, timeout=10)
    assert opened.status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_large_body_is_not_read(app: AppProcess, is_chunked: bool) -> None:
    """Memory is the owner's too."""
    body: Any = iter([b"x" * 500_000] * 4) if is_chunked else b"x" * 2_000_000
    for path in ("/gradio_api/call/generate", "/dreamina/attach"):
        try:
            answer = requests.post(app.url + path, data=body, timeout=10)
        except requests.ConnectionError:
            continue  # cut off while still sending: refused as well
        assert answer.status_code in (400, 413, 422), answer.text


def test_security_headers_are_on_every_answer(app: AppProcess) -> None:
    """Source: OWASP Secure Headers Project."""
    for path in ("/", "/config", "/dreamina/jobs", "/nothing"):
        answer = requests.get(app.url + path, timeout=10)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_an_event_that_does_not_exist_is_no_server_error(app: AppProcess) -> None:
    """Gradio itself answers this with a 500."""
    body = {"data": [], "fn_index": 9999, "session_hash": "s"}
    assert requests.post(app.url + "/gradio_api/queue/join", json=body, timeout=10).status_code < 500


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), body=JSON | st.binary(max_size=40))
def test_bad_calls_break_nothing_and_cost_nothing(app: AppProcess, path: str, body: Any) -> None:
    """Strangers will send anything."""
    jobs = app.count_jobs()
    data = body if isinstance(body, bytes) else json.dumps(body)
    answer = requests.post(app.url + path, data=data, headers={"Content-Type": "application/json"}, timeout=10)
    assert answer.status_code < 500, (path, body, answer.text)
    assert "Traceback" not in answer.text
    assert app.count_jobs() == jobs
