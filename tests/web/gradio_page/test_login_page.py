"""Signing in: who has the owner's password is the owner, from anywhere; who guesses waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.web.auth.login_throttle import FREE_ATTEMPTS, MAX_DELAY_S, LoginThrottle
from dreamina_ui.web.auth.login_wall import Authenticator
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.sessions import MAX_SESSIONS_PER_PERSON, SESSION_COOKIE, SESSION_TTL_S, Sessions
from dreamina_ui.web.auth.visitor import VisitorCookie
from dreamina_ui.web.middleware.origin_guard import OriginGuard
from dreamina_ui.web.routes.login import build_login_routes
from tests.support.browser import OWNER_PASSWORD, AppProcess, Visitor
from tests.support.harness import Clock
from tests.support.library_rows import LibraryRows

Browse = Callable[..., TestClient]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def tell(access: Permissions) -> Callable[[Request], Awaitable[Response]]:
    """A page that tells who asks."""

    async def page(request: Request) -> Response:
        return JSONResponse({"scope": access.scope(request), "visitor": access.visitor(request)})

    return page


@pytest.fixture
def browse(clock: Clock) -> Browse:
    """A new browser at an IP address, on a shared page that tells at `/` what it may see."""
    access = Permissions(is_shared=True, sessions=Sessions(clock))
    authenticator = Authenticator(access, owner_password=SecretStr(OWNER_PASSWORD), throttle=LoginThrottle(clock))
    routes = [Route("/", tell(access)), *build_login_routes(authenticator)]
    app = Starlette(routes=routes, middleware=[Middleware(OriginGuard), Middleware(VisitorCookie)])

    def browse(client_ip: str = "198.51.100.1", base_url: str = "http://pictures.example") -> TestClient:
        return TestClient(app, base_url, client=(client_ip, 50000), follow_redirects=False)

    return browse


def sign_in(browser: TestClient, password: str = OWNER_PASSWORD, **more: str) -> Any:
    return browser.post("/dreamina/sign-in", data={"password": password, **more})


def is_owner(browser: TestClient) -> bool:
    return browser.get("/").json()["scope"] is None


def test_the_owners_password_makes_a_browser_the_owners(browse: Browse) -> None:
    """The owner looks after the page from a phone, too; nobody else does."""
    owner, stranger = browse(), browse()
    assert not is_owner(owner)
    response = sign_in(owner)
    assert (response.status_code, response.headers["location"]) == (303, "../")
    assert is_owner(owner)
    assert not is_owner(stranger)
    signed_out = owner.post("/dreamina/sign-out")
    assert signed_out.headers["location"] == "sign-in"
    assert signed_out.headers["clear-site-data"] == '"cache", "storage"'
    assert not is_owner(owner)


def test_a_program_may_sign_in_with_json(browse: Browse) -> None:
    """A script of the owner's needs no form."""
    owner = browse()
    assert owner.post("/dreamina/sign-in", json={"password": "x"}).status_code == 401
    response = owner.post("/dreamina/sign-in", json={"password": OWNER_PASSWORD, "next": "owner"})
    assert response.json() == {"next": "owner"}
    assert is_owner(owner)


def test_signing_out_ends_the_session_and_not_only_the_cookie(browse: Browse) -> None:
    """A copy of the cookie that somebody took is worth nothing afterwards."""
    owner, thief = browse(), browse()
    sign_in(owner)
    thief.cookies.set(SESSION_COOKIE, owner.cookies[SESSION_COOKIE])
    assert is_owner(thief)
    owner.post("/dreamina/sign-out")
    assert not is_owner(thief)


def test_a_session_ends_by_itself(browse: Browse, clock: Clock) -> None:
    """A forgotten browser does not stay the owner's forever."""
    owner = browse()
    token = sign_in(owner).cookies[SESSION_COOKIE]
    clock.advance(SESSION_TTL_S + 1)
    later = browse()
    later.cookies.set(SESSION_COOKIE, token)
    assert not is_owner(later)


def test_the_session_is_out_of_reach_of_scripts_and_of_plain_http(browse: Browse) -> None:
    """In a Space the page lives in another site's frame; there the cookie must be partitioned."""
    plain = sign_in(browse()).headers["set-cookie"]
    secure = sign_in(browse(base_url="https://pictures.example")).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert plain.endswith("SameSite=Lax")
    assert "HttpOnly" in secure
    assert secure.endswith("SameSite=None; Secure; Partitioned")


@pytest.mark.parametrize(
    ("following", "index"),
    [("", "../"), ("owner", "owner"), ("https://evil.example", "../"), ("//evil.example", "../"), ("../x", "../")],
)
def test_signing_in_leads_to_known_places_only(browse: Browse, following: str, index: str) -> None:
    """A link to our sign-in page must not end at somebody else's, which asks for the password again."""
    browser = browse()
    assert "evil" not in browser.get("/dreamina/sign-in", params={"next": following}).text
    assert sign_in(browser, next=following).headers["location"] == index


@pytest.mark.parametrize(
    "body", [b"[1]", b'{"password": ["x"]}', b'{"password": "\\ud800"}', b'{"username": "\\ud800"}', b"{", b""]
)
def test_a_body_that_is_none_is_a_wrong_password(browse: Browse, body: bytes) -> None:
    """Strangers will send anything."""
    response = browse().post("/dreamina/sign-in", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 401


def test_another_sites_page_can_sign_nobody_in_or_out(browse: Browse) -> None:
    """What is done next would be done in somebody else's name."""
    owner = browse()
    sign_in(owner)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert owner.post("/dreamina/sign-out", headers=elsewhere).status_code == 403
    assert owner.post("/dreamina/sign-in", data={"password": OWNER_PASSWORD}, headers=elsewhere).status_code == 403
    assert is_owner(owner)


def test_who_guesses_waits_longer_and_longer(browse: Browse, clock: Clock) -> None:
    """A password must not be found by trying; the wait ends, as nobody is locked out forever."""
    guesser = browse()
    assert [sign_in(guesser, "x").status_code for _ in range(FREE_ATTEMPTS)] == [401] * FREE_ATTEMPTS
    waits = []
    for _ in range(12):
        response = sign_in(guesser)
        assert response.status_code == 429, "even the right password is not looked at"
        waits.append(int(response.headers["retry-after"]))
        clock.advance(waits[-1])
        assert sign_in(guesser, "x").status_code == 401
    assert waits[:3] == [5, 10, 20]
    assert waits[-1] == MAX_DELAY_S
    assert sign_in(browse("198.51.100.2")).status_code == 303, "others do not wait"


def test_invented_names_do_not_lock_the_owner_out(browse: Browse) -> None:
    """Sixty tries a minute for everybody were used up by one client with invented names."""
    guesser = browse("198.51.100.1")
    for number in range(200):
        guesser.post("/dreamina/sign-in", data={"username": f"invented {number}", "password": "x"})
    assert sign_in(guesser, "x").status_code == 429, "a client is counted over all names"
    assert sign_in(browse("203.0.113.1")).status_code == 303, "the owner, in a new browser"


def test_a_browser_that_signed_in_before_is_not_locked_out_by_its_neighbors(browse: Browse) -> None:
    """A family, or an office, has one IP address."""
    owner, neighbor = browse("198.51.100.1"), browse("198.51.100.1")
    owner.get("/")
    assert sign_in(owner).status_code == 303
    for _ in range(2 * FREE_ATTEMPTS):
        sign_in(neighbor, "x")
    assert sign_in(neighbor).status_code == 429
    assert sign_in(owner).status_code == 303


def test_one_person_cannot_sign_others_out(clock: Clock) -> None:
    """Ten thousand sign-ins with one login once ended the owner's session."""
    sessions = Sessions(clock)
    owner = sessions.create(None)
    first, *_ = [sessions.create("ann") for _ in range(MAX_SESSIONS_PER_PERSON + 5)]
    assert sessions.find(owner)
    assert not sessions.find(first)


def test_a_stranger_who_says_localhost_is_not_at_the_machine(browse: Browse) -> None:
    """Who sits at the machine waits for nobody; a stranger must neither have that nor use it up."""
    stranger, owner = browse(base_url="http://localhost"), browse("127.0.0.1", base_url="http://localhost")
    assert [sign_in(stranger, "x").status_code for _ in range(FREE_ATTEMPTS + 1)][-1] == 429
    assert sign_in(owner).status_code == 303


@pytest.mark.parametrize(("language", "word"), [("en", "Sign in"), ("ja", "サインイン")])
def test_the_sign_in_page_speaks_the_visitors_language(browse: Browse, language: str, word: str) -> None:
    """It is the first thing that a visitor of a closed page sees."""
    page = browse().get("/dreamina/sign-in", headers={"Accept-Language": language})
    assert f'lang="{language}"' in page.text
    assert word in page.text
    assert page.headers["cache-control"] == "no-store"


def test_the_owner_sees_every_visitors_pictures(shared: AppProcess) -> None:
    """What the owner pays for, the owner may see; on the real page, through every layer."""
    rows = LibraryRows(shared.data)
    rows.add("a visitor's own", visitor_id="somebody")
    owner = Visitor(shared)
    wall = f"{shared.url}/dreamina/library"
    assert owner.http.get(wall, timeout=10).json()["entries"] == []
    wrong = owner.http.post(f"{shared.url}/dreamina/sign-in", data={"password": "x"}, timeout=10)
    assert wrong.status_code == 401
    owner.http.post(f"{shared.url}/dreamina/sign-in", data={"password": OWNER_PASSWORD}, timeout=10)
    assert "a visitor's own" in [entry["prompt"] for entry in owner.http.get(wall, timeout=10).json()["entries"]]
    assert requests.get(wall, timeout=10).json()["entries"] == []
    rows.ledger.close()
