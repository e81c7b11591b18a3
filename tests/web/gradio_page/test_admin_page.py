"""The Admin tab: nobody else has it, every control does what it says, and the tab has a button for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import requests
import segno
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from dreamina_ui.errors import BlockedError, BlockedWordError, LimitError, StoppedError
from dreamina_ui.spending.limits import NO_LIMIT, Limits
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import visitor_id
from dreamina_ui.web.http import client_ip_hash
from dreamina_ui.web.i18n.translate import page_words, translate
from dreamina_ui.web.middleware.origin_guard import OriginGuard
from dreamina_ui.web.routes.admin import build_admin_routes
from tests.support.bad_server import ScriptedResponse
from tests.support.browser import OWNER_PASSWORD, AppProcess, Visitor
from tests.support.harness import INPUTS, MODEL_ID, Harness, ScriptedApi
from tests.support.page import OpenPage, await_form

CONTROLS: dict[str, Any] = {
    "switch": {"stopped": True},
    "limits": {"per_day": 1},
    "shut-out": {"kind": "visitor", "name": "a" * 32, "out": True},
    "words": {"words": ["fox"]},
}


@pytest.fixture
def owner(harness: Harness, service: ScriptedApi) -> Iterator[TestClient]:
    """The owner, at the machine itself, without a page."""
    service.accept(ScriptedResponse(silent=True))
    harness.start()
    routes = build_admin_routes(harness.services, Permissions(is_shared=False), can_sign_in=False)
    app = Starlette(routes=routes, middleware=[Middleware(OriginGuard)])
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


def test_each_control_does_what_it_says(owner: TestClient, harness: Harness) -> None:
    """The response is the new dashboard: the page shows what holds."""

    def change(control: str, **body: Any) -> Any:
        response = owner.post(f"/dreamina/owner/{control}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def press() -> None:
        harness.jobs.generate(MODEL_ID, INPUTS, visitor_id="a" * 32)

    assert change("words", words=["fox"])["rules"]["words"] == ["fox"]
    with pytest.raises(BlockedWordError):
        press()
    assert change("shut-out", **CONTROLS["shut-out"])["rules"]["shut_out"][0]["name"] == "a" * 32
    with pytest.raises(BlockedError):
        press()
    assert change("switch", stopped=True)["rules"]["stops"][0]["reason"] == "owner"
    with pytest.raises(StoppedError):
        press()
    change("switch", stopped=False)
    change("words", words=[])
    change("shut-out", kind="visitor", name="a" * 32, out=False)
    assert [limit["most"] for limit in change("limits", per_day=0)["limits"] if limit["name"] == "per_day"] == [0]
    with pytest.raises(LimitError):
        press()
    change("limits", per_day=None)
    press()


def _dark_modules(svg: str) -> set[tuple[int, int]]:
    """What an SVG draws: column and row of each dark square."""
    dark, x, y = set(), 0.0, 0.0
    line = svg.split('class="qrline"')[1].split('d="')[1].split('"')[0]
    for command, text in re.findall(r"([Mmh])([-\d. ]+)", line):
        first, *rest = (float(number) for number in text.split())
        if command == "h":
            dark |= {(int(x) + step, int(y)) for step in range(int(first))}
        x, y = (first, rest[0]) if command == "M" else (x + first, y + sum(rest))
    return dark


def test_an_invitation_is_the_url_as_a_code(owner: TestClient) -> None:
    """A friend points a phone at the screen; nobody reads a URL aloud."""
    short, long = (
        owner.get("/dreamina/owner/invitation", params={"url": url}).json()["svg"]
        for url in ("https://pictures.example/", "https://pictures.example/" + "a" * 200)
    )
    assert len(long) > len(short)
    modules = segno.make("https://pictures.example/", micro=False, error="m").matrix
    assert _dark_modules(short) == {
        (x + 4, y + 4) for y, row in enumerate(modules) for x, dark in enumerate(row) if dark
    }
    assert 'fill="#fff" d="M0 0h33v33h-33z"' in short, "white around it, in dark mode too"
    for url in ("", "javascript:alert(1)", "https://x/" + "a" * 600):
        assert owner.get("/dreamina/owner/invitation", params={"url": url}).status_code == 422


def test_nobody_blocks_themselves(owner: TestClient, harness: Harness) -> None:
    """One click too many would lock the owner out of their own page."""
    secret = "s" * 40
    me, home = visitor_id(f"dreamina_visitor={secret}"), client_ip_hash("127.0.0.1")
    overview = owner.get("/dreamina/owner/overview", headers={"Cookie": f"dreamina_visitor={secret}"}).json()
    assert {me, home} <= set(overview["you"])
    for kind, name in (("visitor", me), ("address", home)):
        body = {"kind": kind, "name": name, "out": True}
        refused = owner.post("/dreamina/owner/shut-out", json=body, headers={"Cookie": f"dreamina_visitor={secret}"})
        assert (refused.status_code, translate("en", "rule_self") in refused.json()["message"]) == (422, True)
    assert harness.spending.dashboard().rules.blocks == ()


def test_a_list_of_words_can_be_tried_before_it_holds(owner: TestClient, harness: Harness) -> None:
    """A word that matches too much is noticed before visitors notice it."""
    body = {"words": ["fox", "red  Wine", ""], "text": "A FOX and some Red wine, no foxglove"}
    assert owner.post("/dreamina/owner/try-words", json=body).json() == {"found": ["fox", "red  Wine"]}
    assert owner.post("/dreamina/owner/try-words", json=body | {"text": "foxglove"}).json() == {"found": []}
    assert owner.post("/dreamina/owner/try-words", json={"words": "fox"}).status_code == 422
    assert harness.spending.dashboard().rules.words == ()


def test_each_preset_can_be_chosen_and_left(owner: TestClient, harness: Harness) -> None:
    """Also the one without limits, where the environment has some."""
    harness.guard.limits = Limits(per_day=3)
    presets = owner.get("/dreamina/owner/overview").json()["presets"]
    assert set(presets) == {"private", "friends", "public"}
    for values in presets.values():
        chosen = {name: NO_LIMIT if value is None else value for name, value in values.items()}
        assert owner.post("/dreamina/owner/limits", json=chosen).status_code == 200
        assert asdict(harness.spending.limits()) == values
    owner.post("/dreamina/owner/limits", json=dict.fromkeys(presets["public"]))
    assert harness.spending.limits() == Limits(per_day=3)


@pytest.mark.parametrize(
    ("control", "body", "field"),
    [
        ("name", {"visitor": "x", "name": "Ida"}, "Visitor"), ("name", {"visitor": "a" * 32, "name": "x" * 99}, "name"),
        ("limits", {"per_day": "many"}, "Daily jobs"),
        ("switch", {}, "stopped"), ("switch", {"stopped": "yes"}, "stopped"), ("limits", {"per_day": -1}, "Daily jobs"),
        ("limits", {"per_day": []}, "Daily jobs"), ("limits", {"x": 1}, "x"), ("words", {}, "words"),
        ("words", {"words": [1]}, "words"), ("shut-out", {"kind": "visitor", "name": "x", "out": True}, "Visitor"),
        ("shut-out", {"kind": "stop", "name": "a" * 32, "out": True}, "kind"),
        ("shut-out", {"kind": "visitor", "name": "a" * 32}, "out"), ("else", {}, "control"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_named_and_changes_nothing(
    owner: TestClient, harness: Harness, control: str, body: Any, field: str
) -> None:
    """A typo is reported, not guessed at."""
    response = owner.post(f"/dreamina/owner/{control}", json=body)
    assert response.status_code == 422
    assert field in response.json()["message"]
    overview = harness.spending.dashboard()
    assert overview.rules == type(overview.rules)((), (), ())
    assert harness.spending.limits() == Limits()


def test_another_sites_page_cannot_press_a_switch(owner: TestClient, harness: Harness) -> None:
    """The owner's browser may be on any site."""
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert owner.get("/dreamina/owner/overview", headers=elsewhere).status_code == 403
    for control, body in CONTROLS.items():
        assert owner.post(f"/dreamina/owner/{control}", json=body, headers=elsewhere).status_code == 403
    assert harness.spending.dashboard().rules.stops == ()


def test_a_stranger_sees_and_changes_nothing(shared: AppProcess) -> None:
    """Who has the link is a guest; the way in is the sign-in, and it leads back."""
    stranger = Visitor(shared).http
    opened = stranger.get(f"{shared.url}/dreamina/owner", timeout=10, allow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "sign-in?next=owner")
    reported = [stranger.get(f"{shared.url}/dreamina/owner/overview", timeout=10)]
    reported += [
        stranger.post(f"{shared.url}/dreamina/owner/{path}", json=body, timeout=10) for path, body in CONTROLS.items()
    ]
    assert [response.status_code for response in reported] == [403] * 5
    assert {tuple(response.json()) for response in reported} == {("message",)}
    assert stranger.get(f"{shared.url}/dreamina/owner/texts", timeout=10).status_code == 403
    left = stranger.get(f"{shared.url}/dreamina/left", timeout=10).json()
    assert (left["is_owner"], "owner_words" in left) == (False, False)
    assert [key for key in json.loads(page_words("en")) if key.startswith("owner_")] == []
    assert Visitor(shared).press()["success"]
    wrong = {"Host": "pictures.example"}
    assert requests.get(f"{shared.url}/dreamina/owner/overview", headers=wrong, timeout=10).status_code == 403


def test_without_a_password_there_is_no_way_in(harness: Harness) -> None:
    """And none is promised."""
    routes = build_admin_routes(harness.services, Permissions(is_shared=True), can_sign_in=False)
    app = Starlette(routes=routes, middleware=[Middleware(OriginGuard)])
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        assert client.get("/dreamina/owner").status_code == 403


def test_no_url_and_no_key_leads_a_stranger_to_the_tab(shared: AppProcess, open_page: OpenPage) -> None:
    """What is hidden by a style alone is found by the first who is curious."""
    page = open_page(shared)
    page.goto(f"{shared.url}/#/admin")
    page.reload()
    await_form(page)
    expect(page).to_have_url(f"{shared.url}/#/create")
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.get_by_role("tab")).to_have_count(3)
    expect(page).to_have_url(f"{shared.url}/#/create")
    page.keyboard.press("?")
    expect(page.locator(".key-help")).to_contain_text(translate("en", "key_go_library"))
    expect(page.locator(".key-help")).not_to_contain_text(translate("en", "owner_go"))
    assert page.locator("dreamina-admin").count() == 0


def test_the_owner_stops_and_resumes_on_the_page(shared: AppProcess, open_page: OpenPage, tmp_path: Path) -> None:
    """The switch, pressed in a browser, is felt by a visitor at the next request and named to them; and then lifted."""
    visitor = Visitor(shared)
    page = open_page(shared)
    page.goto(f"{shared.url}/dreamina/owner")
    page.locator("input[type=password]").fill(OWNER_PASSWORD)
    page.get_by_role("button", name=translate("en", "sign_in")).click()
    try:
        page.get_by_role("button", name=translate("en", "owner_stop")).click()
        expect(page).to_have_url(f"{shared.url}/#/admin")
        expect(page.locator(".switch")).to_contain_text(translate("en", "owner_stop_owner"))
        refused = visitor.press(prompt="while it is stopped")
        assert not refused["success"]
        assert refused["message"] == translate("en", "error_stopped_owner")
        left = f"{shared.url}/dreamina/left?language=ja"
        assert visitor.http.get(left, timeout=10).json()["stopped"] == translate("ja", "error_stopped_owner")
        page.get_by_role("button", name=translate("en", "owner_resume")).click()
        expect(page.get_by_role("button", name=translate("en", "owner_stop"))).to_be_visible()
        assert visitor.press(prompt="as it goes on")["success"]
        assert visitor.http.get(left, timeout=10).json()["stopped"] == ""
        limit = page.get_by_role("textbox", name=translate("en", "owner_limit_per_day"))
        limit.fill("0")
        limit.press("Enter")
        expect(page.locator("#dreamina-note")).to_have_text(translate("en", "owner_saved"))
        assert not visitor.press(prompt="beyond the limit")["success"]
        limit.fill("many")
        limit.press("Enter")
        expect(page.locator("#dreamina-note")).to_contain_text(translate("en", "owner_limit_per_day"))
        limit.fill("")
        limit.press("Enter")
        expect(page.locator("#dreamina-note")).to_have_text(translate("en", "owner_saved"))
        assert visitor.press(prompt="within the limit")["success"]
        expect(page.locator(".qr-code svg path").first).to_be_attached()
        page.get_by_role("button", name=re.compile(f"^{translate('en', 'owner_give_name')}")).first.click()
        page.get_by_label(translate("en", "owner_visitor_name")).fill("Aunt Ida")
        page.keyboard.press("Enter")
        visitors = page.locator("section", has=page.get_by_role("heading", name=translate("en", "owner_visitors")))
        row = visitors.locator("tr", has_text="Aunt Ida")
        row.get_by_role("button", name=f"{translate('en', 'owner_put_out')}: Aunt Ida").click()
        expect(row.get_by_role("button", name=f"{translate('en', 'owner_let_in')}: Aunt Ida")).to_be_visible()
        assert not visitor.press(prompt="while blocked")["success"]
        page.locator("#dreamina-note .undo").click()
        expect(row.get_by_role("button", name=f"{translate('en', 'owner_put_out')}: Aunt Ida")).to_be_visible()
        pressed = visitor.press(prompt="as the block is undone")
        assert pressed["success"], pressed["message"]
        page.get_by_role("tab", name=translate("en", "tab_create")).click()
        expect(page).to_have_url(f"{shared.url}/#/create")
        page.keyboard.press("g")
        page.keyboard.press("a")
        expect(page.locator(".switch")).to_be_visible()
    finally:
        http = requests.Session()
        http.post(f"{shared.url}/dreamina/sign-in", data={"password": OWNER_PASSWORD}, timeout=10)
        http.post(f"{shared.url}/dreamina/owner/switch", json={"stopped": False}, timeout=10)
        http.post(f"{shared.url}/dreamina/owner/limits", json={"per_day": None}, timeout=10)
