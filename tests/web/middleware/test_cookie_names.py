"""Nobody else on a host sets, reads or replaces our cookies."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.web.auth.visitor import VisitorCookie
from dreamina_ui.web.middleware.cookie_names import CookieNames

MINE, THEIRS = "m" * 43, "t" * 43
HTTP, HTTPS = "http://pictures.example", "https://pictures.example"


def installation(name: str, url: str) -> TestClient:
    """A browser at an installation whose page shows the cookies that it got."""

    async def show(request: Request) -> Response:
        return JSONResponse(request.cookies)

    middleware = [Middleware(CookieNames, name), Middleware(VisitorCookie)]
    return TestClient(Starlette(routes=[Route("/", show), Route("/cookies", show)], middleware=middleware), url)


def cookies(client: TestClient, *sent: str) -> dict[str, Any]:
    """The cookies inside the program for those that a browser sends."""
    seen: dict[str, Any] = client.get("/cookies", headers={"Cookie": "; ".join(sent)}).json()
    return seen


@pytest.mark.parametrize(("url", "prefix"), [(HTTP, ""), (HTTPS, "__Host-")])
def test_the_browser_stores_an_identity_under_a_name_of_this_installation(url: str, prefix: str) -> None:
    """Browsers send cookies to all ports and paths of a host, and without `__Host-` from sibling hosts, too."""
    client = installation("a1", url)
    stored = client.get("/").headers["set-cookie"]
    assert stored.startswith(f"{prefix}dreamina_visitor_a1=")
    assert "Path=/;" in stored
    assert "Domain" not in stored
    assert ("Secure" in stored) == (url == HTTPS)
    secret = stored.partition("=")[2].partition(";")[0]
    assert cookies(client, f"{prefix}dreamina_visitor_a1={secret}") == {"dreamina_visitor": secret}


def test_installations_on_one_host_do_not_share_cookies() -> None:
    """Each would sign the other out."""
    assert cookies(installation("a1", HTTP), f"dreamina_sign_in_b2={THEIRS}", f"dreamina_sign_in_a1={MINE}") == {
        "dreamina_sign_in_b2": THEIRS,
        "dreamina_sign_in": MINE,
    }


@pytest.mark.parametrize("planted", ["dreamina_visitor", "dreamina_visitor_a1"])
def test_a_sibling_host_cannot_plant_an_identity_over_https(planted: str) -> None:
    """The victim's next jobs would belong to whoever planted it."""
    client = installation("a1", HTTPS)
    assert cookies(client, f"{planted}={THEIRS}") == {}
    both = cookies(client, f"{planted}={THEIRS}", f"__Host-dreamina_visitor_a1={MINE}")
    assert both == {"dreamina_visitor": MINE}


@pytest.mark.parametrize("name", ["dreamina_visitor_a1", "dreamina_sign_in_a1", "dreamina_visitor"])
def test_two_cookies_of_one_name_count_as_none(name: str) -> None:
    """One of them was set by somebody else, and nobody knows which."""
    client = installation("a1", HTTP)
    assert cookies(client, f"{name}={THEIRS}", f"{name}={MINE}") == {}
    assert THEIRS not in client.get("/", headers={"Cookie": f"{name}={THEIRS}; {name}={MINE}"}).headers["set-cookie"]


def test_an_identity_of_version_1_0_stays_over_http() -> None:
    """An update must not take the library away."""
    client = installation("a1", HTTP)
    assert cookies(client, f"dreamina_visitor={MINE}") == {"dreamina_visitor": MINE}
    renewed = client.get("/", headers={"Cookie": f"dreamina_visitor={MINE}"}).headers["set-cookie"]
    assert renewed.startswith(f"dreamina_visitor_a1={MINE};")


def test_an_identity_is_renewed_at_each_visit() -> None:
    """A year after the first visit the library would be out of reach."""
    client = installation("a1", HTTP)
    stored = client.get("/", headers={"Cookie": f"dreamina_visitor_a1={MINE}"}).headers["set-cookie"]
    assert stored.startswith(f"dreamina_visitor_a1={MINE}; Path=/; Max-Age=31536000")


def test_cookies_of_other_programs_pass() -> None:
    """Gradio has one of its own where people sign in at Hugging Face."""
    assert cookies(installation("a1", HTTPS), "session=abc", "other=1") == {"session": "abc", "other": "1"}
