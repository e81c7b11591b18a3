"""Several servers know of the same sign-ins, and count wrong passwords together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.sign_ins import SignInStore
from dreamina_ui.ops.passwords import read_logins
from dreamina_ui.web.auth import sessions
from dreamina_ui.web.auth.login_throttle import FREE_ATTEMPTS
from dreamina_ui.web.auth.login_wall import Authenticator, LoginWall
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.sessions import MAX_SESSIONS_PER_PERSON, Sessions
from dreamina_ui.web.auth.visitor import VisitorCookie
from dreamina_ui.web.middleware.shared_sign_ins import SharedSignIns
from dreamina_ui.web.routes.login import build_login_routes
from tests.support.browser import OWNER_PASSWORD
from tests.support.databases import Engine
from tests.support.harness import Harness
from tests.web.auth.test_login_wall import ALICE, sign_in
from tests.web.gradio_page.test_login_page import tell


class Site:
    """Two servers; one browser that a load balancer sends to either."""

    def __init__(self, harness: Harness) -> None:
        self.store = SignInStore(harness.ledger)
        self.servers = [self._server(harness) for _ in range(2)]

    def _server(self, harness: Harness) -> Starlette:
        access = Permissions(is_shared=True, sessions=Sessions(store=self.store))
        logins = read_logins("alice:wonderland,bob:builder", None)
        authenticator = Authenticator(access, logins, SecretStr(OWNER_PASSWORD), store=self.store)
        routes = [Route("/", tell(access)), *build_login_routes(authenticator)]
        middleware = [
            Middleware(SharedSignIns, access, harness.api_keys),
            Middleware(LoginWall, authenticator),
            Middleware(VisitorCookie),
        ]
        return Starlette(routes=routes, middleware=middleware)

    def browsers(self, client_ip: str = "198.51.100.1") -> list[TestClient]:
        """The same browser at each server: they have the same cookies."""
        made = [
            TestClient(app, "http://pictures.example", client=(client_ip, 50000), follow_redirects=False)
            for app in self.servers
        ]
        for other in made[1:]:
            other._cookies = made[0].cookies  # assigned, they would be copied
        return made


@pytest.fixture
def site(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(sessions, "REFRESH_INTERVAL_S", 0.0)
    harness = Harness(tmp_path / "data", "http://127.0.0.1:9", role="all")
    yield Site(harness)
    harness.close()


def test_who_signs_in_at_one_server_is_known_at_all(site: Site) -> None:
    """A load balancer sends the next click to another server, which must not show the sign-in page."""
    first, second = site.browsers()
    assert second.get("/").status_code == 303
    assert sign_in(first, ALICE) == 303
    assert second.get("/").status_code == 200
    assert second.post("/dreamina/sign-out").status_code == 303
    assert first.get("/").status_code == 303


def test_a_cookie_that_is_signed_out_elsewhere_opens_nothing(site: Site) -> None:
    """A stolen cookie must end with the session, at each server that knew it."""
    first, second = site.browsers()
    sign_in(first, ALICE)
    stolen = dict(first.cookies)
    assert second.get("/").status_code == 200
    first.post("/dreamina/sign-out")
    thief = site.browsers()[1]
    thief.cookies.update(stolen)
    assert thief.get("/").status_code == 303


def test_guesses_at_all_servers_count_together(site: Site) -> None:
    """Else each server more would give a guesser more attempts."""
    guessers = [site.browsers("203.0.113.9")[number % 2] for number in range(FREE_ATTEMPTS + 2)]
    statuses = [sign_in(guesser, ("alice", "wrong")) for guesser in guessers]
    assert statuses == [401] * FREE_ATTEMPTS + [429, 429]
    assert sign_in(site.browsers("203.0.113.10")[0], ALICE) == 303, "others are not delayed"


def test_a_browser_that_signed_in_before_is_known_at_all_servers(site: Site) -> None:
    """A neighbor's guesses, behind the same IP address, must not lock it out wherever it arrives."""
    first, second = site.browsers("203.0.113.9")
    first.get("/dreamina/sign-in")
    first.get("/")
    sign_in(first, ALICE)
    first.get("/")  # gives the browser its identity
    sign_in(first, ALICE)
    second.post("/dreamina/sign-out")
    for _ in range(FREE_ATTEMPTS + 1):
        sign_in(site.browsers("203.0.113.9")[0], ("bob", "wrong"))
    assert sign_in(site.browsers("203.0.113.9")[1], ALICE) == 429
    assert sign_in(second, ALICE) == 303


def test_no_row_lets_anybody_in(site: Site, engine: Engine, tmp_path: Path) -> None:
    """A copy of the database must be worth nothing at the sign-in page."""
    (first, _) = site.browsers()
    sign_in(first, ALICE)
    token = next(value for name, value in first.cookies.items() if "sign_in" in name)
    rows = str(engine.rows(tmp_path / "data" / "ledger.sqlite3", "SELECT * FROM sessions"))
    assert "alice" in rows
    assert token not in rows
    basic = site.servers[0]
    program = TestClient(basic, "http://pictures.example", client=("198.51.100.7", 50000))
    assert program.get("/", auth=ALICE).status_code == 200
    assert len(engine.rows(tmp_path / "data" / "ledger.sqlite3", "SELECT * FROM sessions")) == 1


@pytest.mark.sqlite
def test_the_sessions_of_one_person_are_bounded_in_the_ledger(site: Site, engine: Engine, tmp_path: Path) -> None:
    """A program that signs in with each call must not fill the database, nor push out others."""
    ledger = Ledger(tmp_path / "bounded.sqlite3")
    store = SignInStore(ledger)
    bounds = {"per_person": MAX_SESSIONS_PER_PERSON, "most": 300}
    store.add_session("bob", "bob", 9e9, **bounds)
    store.add_session("old", "carol", 1.0, **bounds)
    for number in range(MAX_SESSIONS_PER_PERSON + 5):
        store.add_session(f"alice {number}", "alice", 9e9 + number, **bounds)
    with ledger.reading() as reader:
        names = [name for (name,) in reader.connection.execute(text("SELECT name FROM sessions"))]
    assert (names.count("alice"), names.count("bob"), names.count("carol")) == (MAX_SESSIONS_PER_PERSON, 1, 0)
    assert store.session("alice 0") is None
    ledger.close()
