"""A page that is closed with names and passwords: nothing of it is open, and a login is one visitor on every device."""

from __future__ import annotations

import asyncio
import base64
import math
import re
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import anyio
import pytest
import requests
from anyio.from_thread import start_blocking_portal
from gradio.routes import App
from gradio_client import Client
from gradio_client.exceptions import AuthenticationError
from playwright.sync_api import Page, expect
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.store import BatchStore
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.media.input_store import FolderInputs
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.ops import passwords
from dreamina_ui.ops.passwords import QUICK, Logins, hash_password, read_logins
from dreamina_ui.web.auth.login_throttle import FREE_ATTEMPTS, LoginThrottle
from dreamina_ui.web.auth.login_wall import BUSY_WAIT_S, MAX_VERIFYING, PUBLIC_PATHS, Authenticator, LoginWall
from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions
from dreamina_ui.web.auth.sessions import Sessions
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, VisitorCookie, person_id, visitor_id
from dreamina_ui.web.batch_presenter import BatchPresenter
from dreamina_ui.web.gradio_page.endpoints import Endpoints
from dreamina_ui.web.gradio_page.page import build_page
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import asset_path
from dreamina_ui.web.routes.admin import build_admin_routes
from dreamina_ui.web.routes.api_key import build_key_routes
from dreamina_ui.web.routes.batches import build_batch_routes
from dreamina_ui.web.routes.files import build_file_routes
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.jobs import build_job_routes
from dreamina_ui.web.routes.library import build_library_routes
from dreamina_ui.web.routes.login import build_login_routes
from dreamina_ui.web.routes.page_files import build_page_file_routes
from dreamina_ui.web.routes.personal.prompts import build_prompt_routes
from dreamina_ui.web.routes.personal.uploads import build_upload_routes
from dreamina_ui.web.routes.request_lookup import build_request_lookup_routes
from tests.support.browser import OWNER_PASSWORD, SMALL, AppProcess, last_event
from tests.support.decoding import decoder
from tests.support.harness import MODEL_ID, Clock, Harness
from tests.support.library_rows import LibraryRows
from tests.support.page import OpenPage, press_generate
from tests.web.gradio_page.test_login_page import Browse, tell

ALICE, BOB = ("alice", "wonderland"), ("bob", "builder")


@pytest.fixture
def forgotten_keys() -> list[str]:
    """The sessions whose key was forgotten."""
    return []


@pytest.fixture
def browse(forgotten_keys: list[str]) -> Browse:
    """A new browser or program at an IP address, before a closed page that tells at `/` who asks."""
    clock = Clock()
    access = Permissions(is_shared=True, owners=["bob"], sessions=Sessions(clock))
    logins = read_logins("alice:wonderland,bob:builder", None)
    authenticator = Authenticator(access, logins, SecretStr(OWNER_PASSWORD), LoginThrottle(clock))

    async def echo(socket: WebSocket) -> None:
        await socket.accept()

    routes = [
        Route("/", tell(access)),
        WebSocketRoute("/ws", echo),
        *build_login_routes(authenticator, forgotten_keys.append),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(LoginWall, authenticator), Middleware(VisitorCookie)])

    def browse(client_ip: str = "198.51.100.1") -> TestClient:
        return TestClient(app, "http://pictures.example", client=(client_ip, 50000), follow_redirects=False)

    return browse


def sign_in(browser: TestClient, login: tuple[str, str]) -> int:
    return browser.post("/dreamina/sign-in", data={"username": login[0], "password": login[1]}).status_code


def test_a_browser_is_led_to_the_sign_in_page_and_back(browse: Browse) -> None:
    """A stranger sees one form and nothing else."""
    browser = browse()
    assert browser.get("/").headers["location"] == "dreamina/sign-in"
    assert browser.get("/dreamina/owner").headers["location"] == "sign-in?next=owner"
    assert 'name="username"' in browser.get("/dreamina/sign-in").text
    assert sign_in(browser, ("alice", "builder")) == 401
    assert sign_in(browser, ALICE) == 303
    assert browser.get("/").status_code == 200
    assert "alice" in browser.get("/dreamina/sign-in").text
    browser.post("/dreamina/sign-out")
    assert browser.get("/").status_code == 303


def test_signing_out_forgets_the_key_of_the_login(browse: Browse, forgotten_keys: list[str]) -> None:
    """Whoever leaves a borrowed browser leaves no key behind."""
    browser = browse()
    sign_in(browser, ALICE)
    browser.cookies.set(KEY_COOKIE, "k" * 43, domain="pictures.example", path="/")
    browser.post("/dreamina/sign-out")
    assert len(forgotten_keys) == 1
    assert KEY_COOKIE not in browser.cookies
    browser.post("/dreamina/sign-out")
    assert len(forgotten_keys) == 1


def test_a_login_is_the_same_visitor_on_every_device(browse: Browse) -> None:
    """Begun at the desk, looked at on the phone."""
    runner, phone, other = browse(), browse("203.0.113.7"), browse()
    for browser, login in ((runner, ALICE), (phone, ALICE), (other, BOB)):
        browser.get("/")
        sign_in(browser, login)
    assert (
        runner.get("/").json()
        == phone.get("/").json()
        == {"scope": person_id("login", "alice")} | {"visitor": person_id("login", "alice")}
    )
    assert other.get("/").json() == {"scope": None, "visitor": person_id("login", "bob")}, "bob is named as an owner"


def test_the_owners_password_opens_a_closed_page(browse: Browse) -> None:
    """Without a name, as the owner."""
    owner = browse()
    assert sign_in(owner, ("", OWNER_PASSWORD)) == 303
    assert owner.get("/").json()["scope"] is None
    assert sign_in(browse(), ("", "wonderland")) == 401
    assert sign_in(browse(), ("alice", OWNER_PASSWORD)) == 401


@pytest.mark.parametrize("value", ["login alice".ljust(40, "x"), person_id("login", "alice"), "person-".ljust(40)])
def test_a_made_up_cookie_is_never_a_person(value: str) -> None:
    """What a person is in the ledger follows from the name; knowing it must open nothing."""
    made_up = SimpleCookie({VISITOR_COOKIE: value}).output(header="").strip()
    assert not str(visitor_id(made_up)).startswith("person-")


def test_a_program_may_send_its_password_with_each_call(browse: Browse) -> None:
    """`curl -u` needs no cookies; guesses count as they do in the form."""
    program = browse()
    assert program.get("/x").headers["www-authenticate"].startswith("Basic")
    assert "www-authenticate" not in program.get("/x", headers={"Sec-Fetch-Site": "same-origin"}).headers
    for _ in range(2 * FREE_ATTEMPTS):
        assert program.get("/", auth=ALICE).json()["visitor"] == person_id("login", "alice")
    for broken in ("Basic", "Basic %%%", "Basic " + base64.b64encode(b"\xff").decode()):
        assert program.get("/x", headers={"Authorization": broken}).status_code == 401
    codes = [program.get("/x", auth=("alice", str(number))).status_code for number in range(FREE_ATTEMPTS + 1)]
    assert codes[-1] == 429
    assert program.get("/", auth=ALICE).status_code == 200


def test_gradios_own_login_route_counts_attempts(browse: Browse) -> None:
    """Else a guesser goes around the form."""
    guesser = browse()
    codes = [guesser.post("/login", data={"username": "alice", "password": "x"}).status_code for _ in range(20)]
    assert codes == [401] * FREE_ATTEMPTS + [429] * (20 - FREE_ATTEMPTS)
    assert sign_in(guesser, ALICE) == 429


def test_invented_names_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand of them per second, from many networks, must not stop the owner from signing in on a new phone."""
    logins = Logins({"alice": hash_password("wonderland"), "bob": hash_password("builder", QUICK)})
    authenticator = Authenticator(Permissions(is_shared=True), logins)
    may_end, hashed = threading.Event(), []

    def is_hash_of(password: str, stored: str) -> bool:
        if password == "guess":
            hashed.append(password)
            may_end.wait(30)
        return is_hash(password, stored)

    is_hash = passwords._is_hash_of
    monkeypatch.setattr(passwords, "_is_hash_of", is_hash_of)

    async def attempt(number: int, name: str, password: str) -> float:
        client = (f"10.0.{number // 200}.{number % 200 + 1}", 1)
        request = HTTPConnection({"type": "http", "client": client, "headers": []})
        return await authenticator.verify(request, name, password)

    async def flood() -> list[float]:
        waits: list[float] = []

        async def guess(number: int) -> None:
            waits.append(await attempt(number, f"name{number}", "guess"))

        async with anyio.create_task_group() as tasks:
            for number in range(400):
                tasks.start_soon(guess, number)
            while len(waits) < 400 - MAX_VERIFYING:
                await anyio.sleep(0.01)
            assert await attempt(900, "bob", "builder") == 0.0
            assert await attempt(901, "alice", "wonderland") == 0.0
            assert await attempt(902, "alice", "wonderlamp") == math.inf
            may_end.set()
        return waits

    waits = asyncio.run(flood())
    assert len(hashed) == MAX_VERIFYING
    assert sorted(waits) == [BUSY_WAIT_S] * (400 - MAX_VERIFYING) + [math.inf] * MAX_VERIFYING


@pytest.mark.parametrize("keeps_cookies", [True, False])
def test_signing_in_gives_no_new_attempts_for_another_login(browse: Browse, keeps_cookies: bool) -> None:
    """Who has any login could otherwise find the owner's password, one sign-in after every fourth guess."""
    guesser = browse()
    if keeps_cookies:
        guesser.get("/dreamina/sign-in")
        guesser.cookies.set(VISITOR_COOKIE, "x" * 43)
    codes = []
    for number in range(FREE_ATTEMPTS):
        assert sign_in(guesser, ALICE) == 303
        codes.append(sign_in(guesser, ("", f"guess {number}")))
    codes.append(sign_in(guesser, ("", "one too many")))
    assert codes == [401] * FREE_ATTEMPTS + [429]


def test_a_websocket_is_closed_too(browse: Browse) -> None:
    """A wall has no gap for what nobody uses."""
    with pytest.raises(WebSocketDisconnect), browse().websocket_connect("/ws"):
        pass


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app, closed to all but two logins, one from the list and one from the file."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "logins").write_text(f"bob:{hash_password('builder')}\n", encoding="utf-8")
    settings = {"DREAMINA_AUTH": "alice:wonderland", "DREAMINA_AUTH_FILE": str(folder / "logins")}
    quick = {"DREAMINA_SANDBOX_QUEUE_S": "0", "DREAMINA_SANDBOX_RUN_S": "0"}
    with AppProcess(folder, **settings, **quick) as running:
        yield running


def test_every_route_is_closed(closed: AppProcess, harness: Harness) -> None:
    """Gradio's own login leaves the heartbeat, `/cancel` and others open; this one nothing but itself."""
    access = Permissions(is_shared=True)
    endpoints = Endpoints(harness.services, harness.presenter, access)
    page, _, _ = build_page(harness.models, harness.models[MODEL_ID], access, endpoints, uses_sandbox=False)
    rows = LibraryRows(harness.folder)
    ours = build_job_routes(harness.services, harness.presenter, access)
    ours += build_file_routes(harness.reader, access, LateCopies(harness.media, decoder())) + build_page_file_routes(
        None
    )
    ours += build_form_routes(harness.services, harness.presenter, access, uses_sandbox=False)
    ours += build_library_routes(harness.reader, harness.presenter, rows.library, access, harness.clock)
    batches = BatchStore(harness.ledger, harness.moderation, harness.clock)
    batch_presenter = BatchPresenter(harness.presenter, harness.models, Dispatcher(harness.services, batches))
    prompt_tools = PromptTools(harness.ledger, harness.clock)
    ours += build_batch_routes(harness.services, batch_presenter, batches, prompt_tools, access)
    ours += build_prompt_routes(prompt_tools, access)
    images = InputImages(harness.ledger, FolderInputs(harness.folder / "inputs"), decoder(), harness.clock)
    ours += build_upload_routes(images, rows.library, SignedUrls("", b"s" * 32, harness.clock), access)
    ours += build_request_lookup_routes(harness.reader, harness.presenter, batches, batch_presenter, access)
    ours += build_key_routes(harness.api_keys, harness.accounts, access)
    ours += build_admin_routes(harness.services, access, can_sign_in=True)
    routes = App.create_app(page, app_kwargs={"routes": ours}).routes
    result: set[tuple[str, str]] = {("GET", "/nothing"), ("GET", "/gradio_api/heartbeat/x"), ("GET", "/theme.css")}
    for route in read_all_pages(routes):
        for method in getattr(route, "methods", None) or {"GET"}:
            result.add((method, re.sub(r"\{[^}]*\}", "x", route.path)))
    assert len(result) > 60
    session = requests.Session()
    for method, path in sorted(result):
        if path not in PUBLIC_PATHS:
            response = session.request(
                method, closed.url + path, json={} if method == "POST" else None, timeout=10, allow_redirects=False
            )
            gone = not path.startswith("/dreamina/") and response.status_code == 404  # shut for all
            expected = 303 if (method, path) in (("GET", "/"), ("GET", "/dreamina/owner")) else 401
            assert gone or response.status_code == expected, (method, path, response.status_code)
    assert session.get(f"{closed.url}/{asset_path('sign-in.css')}", timeout=10).status_code == 200
    rows.ledger.close()


def test_only_a_signature_opens_a_picture_on_a_closed_page(closed: AppProcess) -> None:
    """The service has no name and no password; a wrong signature gets nothing."""
    response = requests.get(f"{closed.url}/dreamina/inputs/1/{'0' * 64}/x/x.png", timeout=10)
    assert response.status_code == 404
    for path in ("prices", "given/look", "given/images", "given/images/x.webp", "given/x.webp", "inputs"):
        assert requests.get(f"{closed.url}/dreamina/{path}", timeout=10).status_code == 401, path


def read_all_pages(routes: Any) -> Iterator[Any]:
    """Every route, those of routers within included."""
    for route in routes:
        inner = getattr(route, "original_router", None)  # FastAPI's, kept as it was included
        if inner:
            yield from read_all_pages(inner.routes)
        elif hasattr(route, "path"):
            yield route


def test_gradios_client_signs_in_and_its_jobs_are_the_persons(closed: AppProcess) -> None:
    """A program and a browser of one person have one library; another person's has nothing of it."""
    with pytest.raises(AuthenticationError):
        Client(closed.url, verbose=False)
    with pytest.raises(AuthenticationError):
        Client(closed.url, auth=("alice", "builder"), verbose=False)
    client = Client(closed.url, auth=ALICE, verbose=False)
    job = client.predict("a fox of alice's", SMALL, 0.5, True, api_name="/generate")
    assert job["state"] == "done"
    mine, theirs = (
        requests.get(f"{closed.url}/dreamina/library", auth=login, timeout=10).json()["entries"]
        for login in (ALICE, BOB)
    )
    assert [entry["prompt"] for entry in mine] == ["a fox of alice's"]
    assert theirs == []
    picture = job["images"][0]["original_url"]
    codes = [requests.get(picture, auth=login, timeout=10).status_code for login in (ALICE, BOB, None)]
    assert codes == [200, 200, 401], "a file's URL is unguessable; whoever is let in and has it may have the file"
    assert last_event(closed, "job", "{}")[0] == "refused"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_balancer_needs_no_login(closed: AppProcess, path: str) -> None:
    """A closed page that seems dead would be started again and again."""
    assert requests.get(closed.url + path, timeout=10).status_code == 200


def test_one_person_on_two_devices_beside_another(closed: AppProcess, open_page: OpenPage) -> None:
    """The whole way through real browsers: form, press, card, stream, picture, sign out."""
    runner, other = (open_page(closed, lambda page, who=who: enter(page, closed, who)) for who in (ALICE, BOB))
    picture = press_generate(runner, "seen on both").locator("img")
    expect(picture).to_be_visible()
    press_generate(other, "bob's")
    expect(other.locator(".job .prompt")).to_have_text(["bob's"])
    assert other.request.get(str(picture.get_attribute("src"))).status == 200, "whoever is let in and has the URL"
    phone = requests.get(f"{closed.url}/dreamina/jobs", auth=ALICE, timeout=10)
    assert "seen on both" in [job["prompt"] for job in phone.json()]
    runner.locator("#account").click()
    runner.get_by_role("button", name=translate("en", "sign_out")).click()
    expect(runner.get_by_label(translate("en", "sign_in_password"))).to_be_visible()
    assert runner.request.get(f"{closed.url}/dreamina/jobs").status == 401


def enter(page: Page, app: AppProcess, login: tuple[str, str]) -> None:
    """Fill in the form that a closed page leads to."""
    page.goto(app.url)
    page.get_by_label(translate("en", "sign_in_name")).fill(login[0])
    page.get_by_label(translate("en", "sign_in_password")).fill(login[1])
    page.get_by_role("button", name=translate("en", "sign_in")).click()


def test_a_known_browser_at_the_machine_is_counted_by_itself() -> None:
    """A program on the machine, or whoever comes through a tunnel that hides itself, must not lock the owner out."""
    authenticator = Authenticator(Permissions(is_shared=True), owner_password=SecretStr("right"))

    def at_the_machine(visitor: str) -> HTTPConnection:
        headers = [(b"host", b"localhost:7860"), (b"cookie", f"{VISITOR_COOKIE}={visitor * 43}".encode())]
        return HTTPConnection({"type": "http", "client": ("127.0.0.1", 1), "http_version": "1.1", "headers": headers})

    async def story() -> None:
        assert await authenticator.verify(at_the_machine("o"), "", "right") == 0
        guesses = [await authenticator.verify(at_the_machine("g"), "", "wrong") for _ in range(FREE_ATTEMPTS + 1)]
        assert 0 < guesses[-1] < math.inf, "the guesser waits"
        assert await authenticator.verify(at_the_machine("o"), "", "right") == 0

    with start_blocking_portal() as portal:  # tests of this module with a browser leave a loop in this thread
        portal.call(story)
