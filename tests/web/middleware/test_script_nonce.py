"""Only the page's own scripts run; each response has a nonce of its own."""

from __future__ import annotations

import re

import requests
from jinja2 import DictLoader, Environment
from playwright.sync_api import Browser
from starlette.requests import Request
from starlette.templating import Jinja2Templates

from dreamina_ui.web.middleware.script_nonce import add_nonces_to
from tests.support.browser import AppProcess

_INLINE = re.compile(r"<script(?![^>]*\ssrc=)([^>]*)>")


def _policy_nonce(policy: str) -> str:
    match = re.search(r"script-src [^;]*'nonce-([^']+)'", policy)
    assert match, policy
    return match[1]


def test_each_response_has_a_nonce_of_its_own(app: AppProcess) -> None:
    """One that repeats could be read from one page and put into another."""
    nonces = []
    for _ in range(2):
        response = requests.get(app.url, timeout=10)
        nonces.append(_policy_nonce(response.headers["content-security-policy"]))
        scripts = _INLINE.findall(response.text)
        assert len(scripts) >= 5
        assert all(f'nonce="{nonces[-1]}"' in attributes for attributes in scripts)
    assert nonces[0] != nonces[1]


def test_a_script_that_comes_in_with_a_value_gets_no_nonce() -> None:
    """With hashes of whatever a page holds, an injected script was allowed as well."""
    source = "<head><script>own()</script><script src=x></script>{{ title | safe }}</head>"
    templates = Jinja2Templates(env=Environment(loader=DictLoader({"a.html": source})))
    add_nonces_to(templates)
    add_nonces_to(templates)
    request = Request({"type": "http", "csp_nonce": "N", "headers": []})
    response = templates.TemplateResponse(request, "a.html", {"title": "<script>injected()</script>"})
    page = bytes(response.body).decode()
    assert '<script nonce="N">own()' in page
    assert "<script>injected()" in page
    assert page.count("nonce") == 1


def test_no_script_of_the_page_is_blocked_and_an_injected_one_is(app: AppProcess, browser: Browser) -> None:
    """A policy that stops the page itself would be switched off; one that stops nothing is worth nothing."""
    page = browser.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text) if "Content Security" in message.text else None)
    page.goto(app.url)
    page.wait_for_selector("#generate:visible")
    page.wait_for_function("document.documentElement.dataset.dreamina === 'ready' && window.gradio_config")
    assert blocked == []
    script = (
        "document.body.append(Object.assign(document.createElement('script'), {{textContent: 'window.{0} = 1'{1}}}))"
    )
    page.evaluate(script.format("injected", ""))
    page.evaluate(script.format("guessed", ", nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA'"))
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.injected = 1\">')")
    assert page.evaluate("[window.injected, window.guessed]") == [None, None]
    assert blocked
    page.close()
