"""Several models on one page, pictures as inputs, and the price beside Generate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.library.input_images import InputImages
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.input_files import InputFiles
from dreamina_ui.media.input_store import FolderInputs
from dreamina_ui.media.input_thumbnails import FolderThumbnails
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.models.schema import MODELS_FOLDER, load_models
from dreamina_ui.sandbox.service import Service as SandboxService
from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.routes.files import build_file_routes
from dreamina_ui.web.routes.form import build_form_routes
from dreamina_ui.web.routes.input_files import build_input_file_routes
from tests.support.bad_server import json_response
from tests.support.browser import PUBLIC_URL, ROOT, AppProcess, HeldSandbox, Visitor, wait_for
from tests.support.decoding import decoder
from tests.support.harness import MODEL_ID, SUBMIT, Clock, Harness, ScriptedApi
from tests.support.library_rows import LibraryRows
from tests.support.page import OpenPage, await_form, card, expect_state, press_generate, prompt_box

EDIT = "bytedance/dreamina-4-0/edit"
NANO = "google/nano-banana-2-lite/text-to-image"
EXAMPLES = ROOT / "examples" / "models"
VIEWPORTS = {"desktop": (1280, 900), "phone": (390, 844)}
ME = "m" * 40


def choose_model(page: Page, title: str) -> None:
    page.get_by_label(translate("en", "model"), exact=True).click()
    page.get_by_role("option", name=title, exact=True).click()


def choose_of_catalog(page: Page, words: str) -> None:
    """Choose the one model of the catalog that these words find, and wait for its form."""
    page.locator("#choose-model").click()
    page.locator("#model-search").fill(words)
    page.locator("#model-chooser .model").click()
    expect(page.locator("#form[data-live] #live-form")).to_be_visible()


# --- the model at the top


@pytest.mark.parametrize("screen", VIEWPORTS)
def test_the_form_follows_the_model_and_words_go_along(held: HeldSandbox, open_page: OpenPage, screen: str) -> None:
    """Who has written a prompt does not write it twice, and waits for no server."""
    width, height = VIEWPORTS[screen]
    page = open_page(held.app, viewport={"width": width, "height": height})
    prompt_box(page).fill("a fox")
    expect(page.locator("#form[data-ready]")).to_be_visible()
    sheet = page.locator("#toggle-sheet")  # on a phone, all fields but the prompt are in a sheet
    page.get_by_role("tab", name=translate("en", "batch")).click()
    several = page.locator("#batch fieldset")
    expect(several).to_have_count(1)
    page.get_by_role("tab", name=translate("en", "tab_create")).click()
    if screen == "phone":
        sheet.click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    choose_model(page, "Dreamina 4.0 Edit")
    expect(page.locator("#field1-prompt textarea")).to_have_value("a fox")
    expect(page.locator("#field1-image_urls .strip-choose")).to_be_visible()
    expect(page.locator("#field1-image_urls textarea")).to_be_hidden()
    expect(page.locator("#field-size")).to_be_hidden()
    assert asked == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#field1-prompt textarea").fill("the fox at night")
    page.reload()
    expect(page.locator("#field1-prompt textarea")).to_have_value("the fox at night")
    page.get_by_role("tab", name=translate("en", "batch")).click()
    expect(page.locator("#batch-repeats")).to_be_visible()
    expect(several).to_have_count(0)
    page.get_by_role("tab", name=translate("en", "tab_create")).click()
    if screen == "phone":
        sheet.click()
    choose_model(page, "Dreamina 4.0")
    expect(prompt_box(page)).to_have_value("a fox")
    expect(page.locator("#field1-prompt")).to_be_hidden()


def test_a_model_of_the_catalog_is_chosen_filled_in_and_used(app: AppProcess, open_page: OpenPage) -> None:
    """Hundreds of models are a search away; what was written goes along, and a reload loses nothing."""
    page = open_page(app)
    prompt_box(page).fill("a fox of another model")
    choose_of_catalog(page, "kind every")
    form = page.locator("#live-form")
    expect(form.locator("#live-prompt-input")).to_have_value("a fox of another model")
    expect(prompt_box(page)).to_be_hidden()
    expect(form.get_by_label("Image size")).to_have_value('{"width": 1024, "height": 768}')
    expect(page.locator("#live-image_size-help")).to_contain_text(translate("en", "json_help"))
    form.get_by_label("Image size").fill('{"width": 9999}')
    page.locator("#generate").click()
    expect(page.locator("#press-problem")).to_contain_text("2048")
    form.get_by_label("Image size").fill('{"width": 256, "height": 256}')
    page.reload()
    expect(form.get_by_label("Image size")).to_have_value('{"width": 256, "height": 256}')
    page.locator("#generate").click()
    expect_state(card(page, "a fox of another model"), "done")
    page.locator(".more-models").get_by_role("button", name=translate("en", "back_to_first_model")).click()
    expect(prompt_box(page)).to_be_visible()
    expect(form).to_be_hidden()


def test_a_picture_made_here_becomes_an_input(held: HeldSandbox, open_page: OpenPage) -> None:
    """From one picture to its edit with one click; both are shown small."""
    page = open_page(held.app)
    job = press_generate(page, "a fox to edit")
    expect_state(job, "queued")
    held.begin()
    held.finish()
    expect_state(job, "done")
    job.get_by_role("button", name=f"{translate('en', 'use_as_input')}: 1").click()
    strip = page.locator("#field1-image_urls dreamina-images")
    expect(strip.locator("li img")).to_have_count(1)
    expect(strip).to_contain_text(translate("en", "input_way_link"))
    expect(page.locator("#field1-prompt textarea")).to_be_focused()
    page.locator("#field1-prompt textarea").fill("at night")
    page.locator("#generate").click()
    expect_state(card(page, "at night"), "queued")
    expect(card(page, "at night").locator(".given img")).to_have_count(1)
    sent = held.requests()[-1]
    assert (sent["model_id"], sent["inputs"]["prompt"]) == (EDIT, "at night")
    [url] = sent["inputs"]["image_urls"]
    response = requests.get(url.replace(PUBLIC_URL, held.app.url), timeout=10)
    assert (response.headers["content-type"], response.content[:4]) == ("image/png", b"\x89PNG")
    assert "set-cookie" not in response.headers
    page.reload()
    await_form(page, "#field1-prompt")
    expect(strip.locator("li img")).to_have_count(1)
    cancel_button = card(page, "at night").get_by_role("button", name=translate("en", "cancel"), exact=True)
    cancel_button.click()
    expect_state(card(page, "at night"), "cancelled")


def test_a_bad_url_is_reported_beside_its_field_and_by_generate(held: HeldSandbox, open_page: OpenPage) -> None:
    """Before anything is paid, and in words."""
    page = open_page(held.app)
    choose_model(page, "Dreamina 4.0 Edit")
    page.locator("#field1-prompt textarea").fill("x")
    strip = page.locator("#field1-image_urls dreamina-images")
    strip.get_by_role("button", name=translate("en", "input_by_url")).click()
    strip.get_by_label(translate("en", "input_url")).fill("http://example.com/a.png")
    page.keyboard.press("Enter")
    expect(strip.locator(".refused")).to_contain_text(translate("en", "rule_address_https"))
    before = held.app.count_jobs()
    page.locator("#generate").click()
    expect(page.locator("#press-problem")).to_contain_text(translate("en", "rule_address_https"))
    assert held.app.count_jobs() == before


DROP = """(target, [count, size]) => {
  const data = new DataTransfer();
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = canvas.getContext("2d");
  for (let index = 0; index < count; index += 1) {
    context.fillStyle = `hsl(${index * 80} 80% 50%)`;
    context.fillRect(0, 0, size, size);
    const bytes = Uint8Array.from(atob(canvas.toDataURL("image/png").split(",")[1]), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], `${index}.png`, { type: "image/png" }));
  }
  target.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
"""Drops images of our own making on an element."""


def test_own_files_are_inputs_in_one_drop_and_stay_with_their_job(app: AppProcess, open_page: OpenPage) -> None:
    """At a machine that nobody can fetch from: dropped anywhere, put in order by keys, sent, and reused later."""
    page = open_page(app)
    expect(page.locator("#price")).to_contain_text("$0.03")
    expect(page.locator("#price")).to_contain_text(translate("en", "price_play", price=""))
    page.get_by_label(translate("en", "field_force_single_title")).uncheck()
    expect(page.locator("#price")).to_contain_text(translate("en", "price_most", price="$0.12", count=4))
    page.locator("dreamina-stage, dreamina-tools").first.evaluate(DROP, [3, 40])
    strip = page.locator("#field1-image_urls dreamina-images")
    tiles = strip.locator("li[data-index]")
    expect(tiles).to_have_count(3)
    expect(strip).to_contain_text(translate("en", "input_way_data"))
    expect(strip).to_contain_text(translate("en", "input_count", count=3, limit=10))
    expect(page.locator("#field1-prompt textarea")).to_be_focused()

    def shown() -> list[str]:
        return [str(tile.get_attribute("src")) for tile in strip.locator("img").all()]

    first, second, *_ = shown()
    tiles.first.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(strip.locator("img").first).to_have_attribute("src", second)
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    expect(tiles).to_have_count(2)
    assert shown() == [second, first]
    strip.evaluate(DROP, [1, 41])
    expect(tiles).to_have_count(3)
    page.locator("#field1-prompt textarea").fill("three of mine")
    page.locator("#generate").click()
    job = card(page, "three of mine")
    expect_state(job, "done")
    expect(job.locator(".given img")).to_have_count(3)
    for _ in range(3):
        tiles.first.focus()
        page.keyboard.press("Delete")
    expect(tiles).to_have_count(0)
    expect(strip.locator(".strip-choose")).to_be_focused()
    job.get_by_role("button", name=translate("en", "again")).click()
    expect(tiles).to_have_count(3)
    assert shown()[:2] == [second, first]


def test_images_dropped_into_a_form_of_the_catalog_are_sent(app: AppProcess, open_page: OpenPage) -> None:
    """Most models of the catalog edit images: they take them as the first model does."""
    page = open_page(app)
    choose_of_catalog(page, "nano edit")
    strip = page.locator("#live-form dreamina-images")
    strip.evaluate(DROP, [2, 42])
    expect(strip.locator("li[data-index] img")).to_have_count(2)
    expect(strip).to_contain_text(translate("en", "input_count", count=2, limit=10))
    page.locator("#live-prompt-input").fill("two of mine at night")
    page.locator("#generate").click()
    job = card(page, "two of mine at night")
    expect_state(job, "done")
    expect(job.locator(".given img")).to_have_count(2)


def test_a_film_is_made_stored_and_played_in_the_viewer(app: AppProcess, open_page: OpenPage) -> None:
    """A model that makes videos is of use only if its result can be watched here."""
    page = open_page(app)
    choose_of_catalog(page, "short film")
    form = page.locator("#live-form")
    form.locator("#live-prompt-input").fill("a fox on film")
    form.get_by_label("Duration", exact=True).first.fill("1")
    expect(page.locator("#price")).to_contain_text("$0.03")
    page.locator("#generate").click()
    job = card(page, "a fox on film")
    expect_state(job, "done")
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    page.locator("#library .wall button.tile", has=page.locator("video")).first.click()
    film = page.locator("dialog.viewer video")
    expect(film).to_be_visible()
    film.evaluate("film => { film.muted = true; return film.play(); }")
    facts = film.evaluate("film => [film.videoWidth, film.videoHeight, Math.round(film.duration)]")
    assert facts == [640, 360, 1]


# --- model files


def test_a_request_with_a_model_that_is_not_there_is_refused(held: HeldSandbox) -> None:
    """The dropdown's value comes from outside."""
    visitor = Visitor(held.app)
    for model_id in ("no/such/model", None, ["x"], {"a": 1}):
        reported = visitor.press(model=model_id)
        assert reported["success"] is False
        assert "model_id" in reported["message"]


def test_a_folder_of_more_models_adds_and_replaces(tmp_path: Path) -> None:
    """An owner adds a model without touching the program."""
    models = load_models(MODELS_FOLDER, EXAMPLES)
    assert list(models) == [EDIT, MODEL_ID, NANO]
    ratio = next(field for field in models[NANO].fields if field.key == "aspect_ratio")
    assert (ratio.kind.name, ratio.default, len(ratio.choices)) == ("choice", "auto", 11)
    text = (EXAMPLES / "nano-banana-2-lite-text-to-image.json").read_text().replace(NANO, EDIT)
    (tmp_path / "edit.json").write_text(text)
    assert load_models(MODELS_FOLDER, tmp_path)[EDIT].title == "Nano Banana 2 Lite"


def test_the_sandbox_serves_every_model(tmp_path: Path) -> None:
    """A rehearsal is whole."""
    service = SandboxService(tmp_path, load_models(MODELS_FOLDER, EXAMPLES), clock=Clock())
    edit = service.submit(EDIT, {"prompt": "a fox", "image_urls": ["https://example.com/a.png"]})
    wide = service.submit(NANO, {"prompt": "a fox", "aspect_ratio": "21:9"})
    assert (edit.count, edit.prompt, wide.count) == (1, "a fox", 1)
    assert wide.size[0] / wide.size[1] == pytest.approx(21 / 9, rel=0.01)
    service.close()


def test_a_job_of_a_model_that_is_gone_is_still_shown(harness: Harness, rows: LibraryRows) -> None:
    """Taking a file away takes no picture away."""
    job = rows.add("old", model_id="gone/model")
    shown = harness.presenter.card(job, "en", for_owner=True)
    assert (shown["model"], shown["prompt"], shown["given"]) == ("gone/model", "old", [])


# --- the price


def test_the_price_is_known_or_said_to_be_unknown(harness: Harness, client: TestClient) -> None:
    """Never zero where nobody knows; a price for something else than a picture is not multiplied."""
    assert client.get("/dreamina/prices").json()["models"] == {MODEL_ID: None, EDIT: None}
    harness.guard.set_price(MODEL_ID, 0.03, None)
    harness.guard.set_price(EDIT, 0.5, "Second")
    assert client.get("/dreamina/prices").json() == {
        "play_money": False,
        "models": {
            MODEL_ID: {
                "one_usd": 0.03, "unit": "image", "switch": "force_single", "most_usd": 0.12, "most_files": 4,
            },
            EDIT: {"one_usd": 0.5, "unit": "second"},
        },
    }  # fmt: skip


def test_the_price_beside_an_own_key_is_what_that_key_pays(
    tmp_path: Path, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox is free and a key is not: "nothing is billed" beside a button that bills would be a lie."""
    monkeypatch.setattr("dreamina_ui.spending.prices.RETRY_INTERVAL_S", 0.0)
    service.price(json_response({"error_code": 401001}, 401), json_response({"base_price_usd": 0.07}))
    harness = Harness(tmp_path / "data", service.server.url, origin="sandbox")
    harness.guard.set_price(MODEL_ID, 0.03, None)
    routes = build_form_routes(harness.services, harness.presenter, Permissions(is_shared=True), uses_sandbox=True)

    def reported(cookies: dict[str, str]) -> tuple[bool, Any]:
        response = TestClient(Starlette(routes=routes), "https://studio.example", cookies=cookies).get(
            "/dreamina/prices"
        )
        price = response.json()["models"][MODEL_ID]
        return response.json()["play_money"], price and price["one_usd"]

    with_key = {KEY_COOKIE: "k" * 40}
    assert (reported({}), reported(with_key)) == ((True, 0.03), (False, None))

    def asked() -> list[str | None]:
        return [seen.header("authorization") for seen in service.server.requests_for("GET") if seen.path == SUBMIT]

    harness.api_keys.give("revoked-key-0000", "first")
    wait_for(lambda: len(asked()) == 1)
    harness.api_keys.give("visitor-key-AAAA", "second")
    wait_for(lambda: reported(with_key) == (False, 0.07))
    assert reported({}) == (True, 0.03)
    account, prices = harness.accounts.account("second"), harness.prices
    prices.read_with(account.client, account.api_origin)
    asked_before = asked()
    prices.read_with(account.client, account.api_origin)
    assert asked() == asked_before, "one answer is enough for all"
    assert asked_before[:2] == ["Bearer revoked-key-0000", "Bearer visitor-key-AAAA"]
    harness.close()


# --- the routes of the form


@pytest.fixture
def rows(harness: Harness) -> Iterator[LibraryRows]:
    made = LibraryRows(harness.folder)
    yield made
    made.ledger.close()


@pytest.fixture
def client(harness: Harness, rows: LibraryRows) -> TestClient:
    """The routes on a public URL, asked by a visitor from elsewhere."""
    links = SignedUrls("https://studio.example", b"s" * 32, harness.clock)
    harness.input_files = InputFiles(FolderThumbnails(harness.folder / "given"), UrlGuard(), links, secret=b"s" * 32)
    harness.rebuild()
    images = InputImages(harness.ledger, FolderInputs(harness.folder / "inputs"), decoder(), harness.clock)
    permissions = Permissions(is_shared=True)
    routes = build_form_routes(harness.services, harness.presenter, permissions, uses_sandbox=False)
    routes += build_input_file_routes(harness.services, harness.presenter, images, links, permissions)
    return TestClient(Starlette(routes=routes), "https://studio.example", cookies={VISITOR_COOKIE: ME})


@pytest.fixture
def mine(rows: LibraryRows) -> str:
    """The file key of an image of the visitor's."""
    return rows.add("my secret prompt", visitor_id=visitor_id(f"{VISITOR_COOKIE}={ME}")).outputs[0].file_key


@pytest.mark.parametrize("tier", ["original", "large", "preview", "thumbnail", "with-settings"])
def test_a_permanent_url_shows_the_image_and_no_more(
    harness: Harness, client: TestClient, rows: LibraryRows, mine: str, tier: str
) -> None:
    """Whoever was given it sees the image, not the prompt, and nothing at all once it is deleted."""
    files = Starlette(
        routes=build_file_routes(harness.reader, Permissions(is_shared=True), LateCopies(harness.media, decoder()))
    )
    owner = TestClient(files, "https://studio.example", cookies={VISITOR_COOKIE: ME})
    stranger = TestClient(files, "https://studio.example")
    url = f"/dreamina/files/{mine}/{tier}/a.png"
    assert owner.get(url).status_code == 200
    response = stranger.get(url)
    if tier == "with-settings":
        assert response.status_code == 404
    else:
        assert (response.status_code, response.headers["cache-control"]) == (200, "private, no-cache")
        assert "immutable" in owner.get(url).headers["cache-control"]
    rows.library.mark([mine], deleted_at=1.0)
    for asked in (owner, stranger):
        response = asked.get(url, headers={"If-None-Match": response.headers.get("etag", "x")})
        assert (response.status_code, response.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model_id": EDIT, "field": "image_urls", "address": "https://10.0.0.1/a.png"}, 422),
        ({"model_id": EDIT, "field": "prompt", "address": "https://example.com/a.png"}, 400),
        ({"model_id": "x", "field": "image_urls", "address": "https://example.com/a.png"}, 400),
        ({"model_id": EDIT, "field": ["x"], "address": 5}, 400),
        ([], 400),
    ],
)
def test_the_file_check_takes_any_body_and_needs_a_visitor(client: TestClient, body: Any, status: int) -> None:
    """It makes the server ask other hosts: not for everybody, and not for everything."""
    assert client.post("/dreamina/given/look", json=body).status_code == status
    stranger = TestClient(client.app, "https://studio.example")
    assert stranger.post("/dreamina/given/look", json=body).status_code == 403
