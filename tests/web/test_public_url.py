"""Input images go by links only where a stranger reaches the page."""

from __future__ import annotations

import pytest

from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.web import public_url
from dreamina_ui.web.public_url import confirm_public_url
from tests.support.bad_server import BadServer, ScriptedResponse, closed_port
from tests.support.harness import Clock, no_pause

OURS = ScriptedResponse(503, b"{}", {"X-Dreamina-UI": "1"})
SIGN_IN = ScriptedResponse(404, b"Sorry, we can't find the page")


@pytest.mark.parametrize(("responses", "is_reached"), [([OURS], True), ([SIGN_IN, OURS], True), ([SIGN_IN], False)])
def test_a_url_is_used_once_it_leads_here(
    server: BadServer, responses: list[ScriptedResponse], is_reached: bool
) -> None:
    """A private Space answers RunComfy with a sign-in page, after the job was paid for."""
    server.script("/readyz", *responses)
    links = SignedUrls("", b"s" * 32, Clock())
    confirm_public_url(links, server.url, no_pause)
    assert links.public_url == (server.url if is_reached else "")


def test_a_host_that_is_not_there_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the requests carry the images, which works everywhere."""
    monkeypatch.setattr(public_url, "ATTEMPTS", 2)
    links = SignedUrls("", b"s" * 32, Clock())
    confirm_public_url(links, f"http://127.0.0.1:{closed_port()}", no_pause)
    assert links.public_url == ""
