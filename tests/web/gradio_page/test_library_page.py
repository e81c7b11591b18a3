"""The library's promises, in a real Chromium on a real app."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from base64 import b64encode
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Page, Request, Route, expect

from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from dreamina_ui.web.i18n.translate import translate
from tests.support.axe import expect_no_findings
from tests.support.bad_server import ScriptedResponse
from tests.support.browser import AppProcess, ScriptedApp, Visitor, wait_for
from tests.support.harness import MODEL_ID, png
from tests.support.library_page import DROP, dialog_button, filter_by, go_to_library, note, show_info, tile, tiles, tool
from tests.support.library_rows import NOON, LibraryRows, read_zip
from tests.support.page import OpenPage, card, expect_state, press_generate, prompt_box, wait_on
from tests.support.png_chunks import png_chunk

DARK_CARD = "rgb(25, 31, 29)"


# --- the wall


def test_the_wall_shows_thumbnails_newest_first(rows: LibraryRows, open_library: OpenPage) -> None:
    """Everything made here is found in one place, and costs a phone's data plan little."""
    rows.add("the older one", files=2, created_at=NOON)
    rows.add("a failure", files=0, state="failed", created_at=NOON + 1)
    rows.add("the newer one", created_at=NOON + 2)
    page = open_library()
    labels = [item.get_attribute("aria-label") for item in tiles(page).all()]
    assert labels == [
        "Image 1: the newer one", "Failed: a failure", "Image 1: the older one", "Image 2: the older one",
    ]  # fmt: skip
    for image in page.locator("#library .wall img").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
        assert "/thumbnail/" in (image.get_attribute("src") or "")
    expect(page.locator("#library .usage")).to_contain_text("3 files")


def test_more_pages_come_while_one_scrolls(rows: LibraryRows, open_library: OpenPage) -> None:
    """Thousands of images cost no more than those in sight, and none is missing."""
    for number in range(20):
        rows.add(f"number {number}", files=5, created_at=NOON + number)
    page = open_library()
    expect(tiles(page).first).to_be_visible()
    seen: dict[int, str] = {}
    most = 0

    def collect() -> bool:
        nonlocal most
        nodes = page.locator("#library .wall li")
        labels = nodes.evaluate_all("nodes => nodes.map(node => [+node.ariaPosInSet, node.firstChild.ariaLabel])")
        most = max(most, len(labels))
        seen.update(dict(labels))
        page.mouse.wheel(0, 400)
        return len(seen) == 100

    page.mouse.move(700, 500)
    wait_on(page, collect)
    expected = [f"Image {index}: number {number}" for number in range(19, -1, -1) for index in range(1, 6)]
    assert [seen[position] for position in sorted(seen)] == expected
    assert most < 100
    expect(tool(page, "library_more")).to_be_hidden()


def test_a_server_that_is_away_is_asked_once(library_app: ScriptedApp, rows: LibraryRows, open_page: OpenPage) -> None:
    """A page that cannot be loaded is reported, and not requested again and again."""
    for number in range(10):
        rows.add(f"number {number}", files=3)
    page = open_page(library_app.app)
    asked: list[Route] = []
    page.route("**/dreamina/library?*after=*", lambda route: asked.append(route) or route.abort())  # type: ignore[func-returns-value]
    go_to_library(page)
    expect(note(page)).to_contain_text(translate("en", "library_failed"))
    expect(tiles(page)).to_have_count(24)
    assert len(asked) == 1
    page.unroute("**/dreamina/library?*after=*")
    tool(page, "library_more").click()
    expect(tiles(page)).to_have_count(30)


def test_a_library_that_is_opened_by_its_url_fills_itself(
    library_app: ScriptedApp, rows: LibraryRows, open_page: OpenPage
) -> None:
    """A bookmark or a reload shows the library, and nobody has to press its tab again."""
    rows.add("a red fox")
    page = open_page(library_app.app)
    page.goto(f"{library_app.app.url}/#/library")
    page.reload()
    expect(tile(page, "a red fox")).to_be_visible()


def test_the_keyboard_moves_through_the_grid_and_chooses(rows: LibraryRows, open_library: OpenPage) -> None:
    """A hundred images are one Tab stop, not a hundred; what is chosen stays chosen while one searches on."""
    rows.add("older", files=3, created_at=NOON)
    rows.add("newer", files=2, created_at=NOON + 1)
    page = open_library()
    assert tiles(page).evaluate_all("nodes => nodes.filter(node => node.tabIndex === 0).length") == 1
    tiles(page).first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    expect(tile(page, "newer", 2)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    count = page.locator("#library .selection [role=status]")
    expect(count).to_have_text(translate("en", "library_selected", count=3))
    filter_by(page, "library_search").fill("newer")
    expect(page.locator("#library .usage")).to_have_text(translate("en", "library_count", count=2))
    expect(count).to_have_text(translate("en", "library_selected", count=3))
    expect(tile(page, "newer", 2)).to_have_attribute("aria-pressed", "true")
    tiles(page).first.focus()
    page.keyboard.press("Control+a")
    expect(count).to_have_text(translate("en", "library_selected", count=4))
    page.reload()
    expect(filter_by(page, "library_search")).to_have_value("newer")
    expect(tiles(page)).to_have_count(2)


def test_search_and_filters_narrow_the_wall(rows: LibraryRows, open_library: OpenPage) -> None:
    """One picture of thousands is found by what was asked for."""
    rows.add("A Red Fox")
    rows.add("a blue whale", size="2048x2048(1:1)")
    rows.add("a grey fox", files=0, state="failed")
    page = open_library()
    expect(tiles(page)).to_have_count(3)
    filter_by(page, "library_search").fill("FOX")
    expect(tiles(page)).to_have_count(2)
    filter_by(page, "library_state").select_option("failed")
    expect(tiles(page)).to_have_count(1)
    filter_by(page, "library_search").fill("100%")
    expect(page.locator("#library .empty")).to_be_visible()
    filter_by(page, "library_search").fill("")
    filter_by(page, "library_state").select_option("")
    filter_by(page, "library_size").select_option("2048x2048(1:1)")
    expect(tiles(page)).to_have_count(1)
    expect(tile(page, "a blue whale")).to_be_visible()


def test_one_day_can_be_chosen(rows: LibraryRows, open_library: OpenPage) -> None:
    """`Last Tuesday` is a day of the person, from midnight to midnight, written as the page's language writes it."""
    for prompt, created_at in (("before", NOON - 86_400), ("that day", NOON), ("after", NOON + 86_400)):
        rows.add(prompt, created_at=created_at)
    page = open_library(timezone_id="Asia/Tokyo", locale="de-DE")
    expect(tiles(page)).to_have_count(3)
    page.locator("#library .dates summary").click()
    since, until = filter_by(page, "library_since", "de"), filter_by(page, "library_until", "de")
    expect(since).to_have_attribute("placeholder", translate("de", "day_example", example="31.12.2026"))
    since.fill("18.11.2026")
    until.fill("2026-11-18")
    expect(tiles(page)).to_have_count(1)
    expect(page.get_by_role("button", name=translate("de", "picture_alt", number=1, prompt="that day"))).to_be_visible()
    problem = page.locator("#library .day-field .problem").last
    for wrong in ("31.11.2026", "morgen"):
        until.fill(wrong)
        until.blur()
        expect(problem).to_have_text(translate("de", "day_form", example="31.12.2026"))
        expect(tiles(page)).to_have_count(2)
    with page.expect_request(lambda request: "until=" in request.url):
        page.locator("#library .day-field > input").last.fill("2026-11-18")
    expect(until).to_have_value("18.11.2026")
    expect(problem).to_be_empty()
    expect(tiles(page)).to_have_count(1)


# --- one picture large


def test_the_keyboard_walks_through_large_pictures(rows: LibraryRows, open_library: OpenPage) -> None:
    """Looking through a day's work needs two keys; originals of many megabytes are loaded only when asked for."""
    rows.add("second", created_at=NOON)
    rows.add("first", files=2, created_at=NOON + 1)
    page = open_library()
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    tile(page, "first").focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.viewer")
    page.keyboard.press("i")
    expect(dialog.locator(".info-prompt")).to_have_text("first")
    image = dialog.locator(".pane.current .frame img").last
    wait_on(page, lambda: image.evaluate("image => image.naturalWidth") == 64)
    for key, shown in (("ArrowRight", "Image 2: first"), ("ArrowRight", "Image 1: second"),
                       ("ArrowRight", "Image 1: second"), ("ArrowLeft", "Image 2: first")):  # fmt: skip
        page.keyboard.press(key)
        expect(dialog).to_have_attribute("aria-label", shown)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tile(page, "first", 2)).to_be_focused()
    assert any("/preview/" in url for url in asked)
    assert [url for url in asked if "/original/" in url] == []


def test_a_large_picture_tells_its_facts(rows: LibraryRows, open_library: OpenPage) -> None:
    """Its cost, its request, and the digest of its file."""
    job = rows.add("a red fox", request_id="r-77", cost_usd=0.03)
    page = open_library()
    tile(page, "a red fox").click()
    show_info(page)
    page.locator("dialog.viewer").get_by_text(translate("en", "viewer_file_details")).click()
    for fact in ("r-77", "$0.03", job.outputs[0].sha256, "8 × 8 · PNG", "1024 × 1024"):
        expect(page.locator("dialog.viewer")).to_contain_text(str(fact))


def test_settings_are_taken_over_and_nothing_starts(
    library_app: ScriptedApp, rows: LibraryRows, open_library: OpenPage
) -> None:
    """Trying a variation begins with the same settings; only Generate costs money."""
    rows.add("a fox to vary", size="3024x1296(21:9)")
    page = open_library()
    before, posts = library_app.app.count_jobs(), len(library_app.server.requests_for("POST"))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if "/dreamina/" in request.url else None)
    tile(page, "a fox to vary").click()
    show_info(page)
    dialog_button(page, "again").click()
    expect(page.locator("#form")).to_be_focused()
    expect_settings(page, "a fox to vary", "21:9")
    expect(note(page)).to_contain_text(translate("en", "settings_taken"))
    assert (library_app.app.count_jobs(), len(library_app.server.requests_for("POST"))) == (before, posts)
    assert set(sent) <= {"GET"}


def expect_settings(page: Page, prompt: str, ratio: str) -> None:
    expect(prompt_box(page)).to_have_value(prompt)
    expect(prompt_box(page)).to_be_visible()
    assert ratio in page.locator("#field-size input").input_value()
    expect(page.locator("#field-scale input[type=number]")).to_have_value("0.5")


# --- favourites, deletion, many at once


def test_a_favourite_is_marked_and_found(rows: LibraryRows, open_library: OpenPage) -> None:
    """The good ones are one click away."""
    rows.add("good")
    rows.add("not so good")
    page = open_library()
    tile(page, "good").click()
    dialog_button(page, "favourite").click()
    expect(dialog_button(page, "unfavourite")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#library .star:visible")).to_have_count(1)
    tool(page, "library_favourites").click()
    expect(tiles(page)).to_have_count(1)
    expect(tile(page, "good")).to_be_visible()
    tile(page, "good").click()
    dialog_button(page, "unfavourite").click()
    expect(dialog_button(page, "favourite")).to_be_visible()
    assert rows.entries(favorites=True) == []


def test_a_deletion_can_be_taken_back(rows: LibraryRows, open_library: OpenPage) -> None:
    """A slip costs nothing, and the note says so in time."""
    job = rows.add("deleted by mistake")
    rows.add("another")
    page = open_library()
    tile(page, "deleted by mistake").click()
    page.keyboard.press("Delete")
    expect(tiles(page)).to_have_count(1)
    expect(note(page)).to_contain_text(translate("en", "deleted", count=1))
    expect(page.locator("#library .usage")).to_contain_text("1 file,")
    assert rows.ledger.job(job.job_id).outputs[0].deleted_at is not None
    note(page).get_by_role("button", name=translate("en", "undo")).click()
    expect(tiles(page)).to_have_count(2)
    expect(page.locator("#library .usage")).to_contain_text("2 files")
    [output] = rows.ledger.job(job.job_id).outputs
    assert (output.file_key, output.deleted_at) == (job.outputs[0].file_key, None)


def test_the_trash_gives_images_back(rows: LibraryRows, open_library: OpenPage) -> None:
    """Who closed the note, or deleted on another device, still finds what was deleted."""
    job = rows.add("thrown away", files=2)
    rows.add("another")
    rows.library.mark([output.file_key for output in job.outputs], deleted_at=time.time())  # not long ago
    page = open_library()
    expect(tiles(page)).to_have_count(1)
    tool(page, "library_trash").click()
    expect(tiles(page)).to_have_count(2)
    image = page.locator("#library .wall img").first
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
    expect(page.locator("#library .trash-note")).to_have_text(translate("en", "library_trash_about", count=10))
    tiles(page).first.focus()
    page.keyboard.press("Control+a")
    tool(page, "bring_back").click()
    expect(page.locator("#library .empty")).to_be_visible()
    tool(page, "library_all").click()
    expect(tiles(page)).to_have_count(3)
    outputs = rows.ledger.job(job.job_id).outputs
    assert [(output.file_key, output.deleted_at) for output in outputs] == [
        (output.file_key, None) for output in job.outputs
    ]


def test_a_range_of_tiles_is_chosen_with_shift(rows: LibraryRows, open_library: OpenPage) -> None:
    """Twenty images take two clicks, and the bar with what to do with them stays in sight."""
    for number in range(12):
        rows.add(f"number {number}", files=3, created_at=NOON + number)
    page = open_library(viewport={"width": 1280, "height": 720})
    tiles(page).nth(1).click(modifiers=["ControlOrMeta"])
    tiles(page).nth(8).click(modifiers=["Shift"])
    count = page.locator("#library .selection [role=status]")
    expect(count).to_have_text(translate("en", "library_selected", count=8))
    page.mouse.move(700, 500)
    page.mouse.wheel(0, 600)
    expect(tile(page, "number 5", 1)).to_be_in_viewport()
    expect(count).to_be_in_viewport(ratio=1)
    tool(page, "close").click()
    expect(page.locator("#library .selection")).to_be_hidden()


def test_chosen_pictures_come_as_one_zip(rows: LibraryRows, open_library: OpenPage) -> None:
    """A project's pictures are handed on in one file, with what is known about them."""
    rows.add("kept out")
    contents = [png() + os.urandom(100), png() + os.urandom(200)]
    job = rows.add("chosen", files=contents, request_id="r-9", cost_usd=0.06)
    page = open_library()
    tool(page, "library_select").click()
    tile(page, "chosen", 1).click()
    tile(page, "kept out").click()
    tile(page, "kept out").click()
    tile(page, "chosen", 2).press("Space")
    expect(tile(page, "chosen", 2)).to_have_attribute("aria-pressed", "true")
    expect(tile(page, "kept out")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#library .selection")).to_contain_text(translate("en", "library_selected", count=2))
    with page.expect_download() as download:
        tool(page, "library_zip").click()
    archive, manifest = read_zip(download.value.path().read_bytes())
    assert sorted(archive.read(entry["file"]) for entry in manifest) == sorted(contents)
    assert {(entry["job_id"], entry["request_id"], entry["cost_usd"]) for entry in manifest} == {
        (job.job_id[:8], "r-9", 0.06)
    }
    expect(tiles(page)).to_have_count(3)


def test_all_that_is_shown_comes_as_one_zip(rows: LibraryRows, open_library: OpenPage) -> None:
    """`Download all` means what is on the wall now."""
    rows.add("a red fox", files=2)
    rows.add("a whale")
    page = open_library()
    filter_by(page, "library_search").fill("fox")
    expect(tiles(page)).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name=translate("en", "library_zip_all")).click()
    _, manifest = read_zip(download.value.path().read_bytes())
    assert [entry["prompt"] for entry in manifest] == ["a red fox"] * 2


def test_several_are_deleted_and_restored_at_once(rows: LibraryRows, open_library: OpenPage) -> None:
    """Tidying up takes one click, and so does thinking again."""
    rows.add("one", files=3)
    rows.add("two")
    page = open_library()
    tool(page, "library_select").click()
    for number in (1, 2, 3):
        tile(page, "one", number).click()
    tool(page, "delete").click()
    expect(tiles(page)).to_have_count(1)
    expect(note(page)).to_contain_text(translate("en", "deleted", count=3))
    note(page).get_by_role("button", name=translate("en", "undo")).click()
    expect(tiles(page)).to_have_count(4)


# --- a picture dropped onto the page


def test_a_dropped_picture_brings_its_settings_back(rows: LibraryRows, open_library: OpenPage) -> None:
    """The file alone is enough to continue from it; it is read in the browser and never sent."""
    content = png() + os.urandom(300_000)
    rows.add("from a file", files=[content], size="3024x1296(21:9)")
    page = open_library()
    sent: list[tuple[str, int]] = []
    page.on("request", lambda request: sent.append((request.url, size_of(request))))
    page.evaluate(DROP, [b64encode(content).decode(), "renamed by me.png"])
    reuse_settings(page)
    expect(note(page)).to_contain_text(translate("en", "settings_taken"))
    expect_settings(page, "from a file", "21:9")
    assert [url for url, _ in sent if "/library/find" in url]
    assert max(size for _, size in sent) < 2000
    assert hashlib.sha256(content).hexdigest() == rows.entries()[0].job.outputs[0].sha256


def reuse_settings(page: Page) -> None:
    """An image that was made here can also be edited, so a drop asks."""
    page.get_by_role("dialog").get_by_role("button", name=translate("en", "drop_reuse")).click()


def carrying(inputs: dict[str, Any]) -> bytes:
    """A picture made elsewhere that says how it was made."""
    text = json.dumps({"app": "Dreamina UI", "model_id": MODEL_ID, "inputs": inputs})
    image = png()
    return image[:33] + png_chunk(b"zTXt", b"dreamina\0\0" + zlib.compress(text.encode())) + image[33:]


def test_settings_of_wrong_types_are_left_out_and_named(rows: LibraryRows, open_library: OpenPage) -> None:
    """Nobody wants "[object Object]" in the prompt, or a number that the service refuses."""
    page = open_library()
    before = prompt_box(page).input_value()
    wrong = {"prompt": ["a", {"b": 1}], "width\u00d7height": "3024x1296(21:9)", "scale": 7, "force_single": "false"}
    page.evaluate(DROP, [b64encode(carrying(wrong)).decode(), "odd.png"])
    reuse_settings(page)
    expect(note(page)).to_contain_text("prompt, scale, force_single")
    assert prompt_box(page).input_value() == before


def test_a_picture_can_be_chosen_or_pasted(rows: LibraryRows, open_library: OpenPage) -> None:
    """There is nothing to drop on a phone, or with a keyboard."""
    page = open_library()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=translate("en", "settings_from_picture")).click()
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": carrying({"prompt": "chosen"})})
    expect(note(page)).to_contain_text(translate("en", "settings_taken"))
    expect(prompt_box(page)).to_have_value("chosen")
    page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "b.png", { type: "image/png" }));
            const options = { clipboardData: data, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        b64encode(carrying({"prompt": "pasted"})).decode(),
    )
    reuse_settings(page)
    expect(prompt_box(page)).to_have_value("pasted")


def test_a_card_s_own_picture_is_known(rows: LibraryRows, open_library: OpenPage) -> None:
    """What is dragged is a preview: its bytes are not those of the original."""
    rows.add("from the wall", size="3024x1296(21:9)")
    key = rows.entries()[0].job.outputs[0].file_key
    page = open_library()
    page.evaluate(
        """(url) => {
            const data = new DataTransfer();
            data.setData("text/uri-list", url);
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        f"{page.url.rstrip('/')}/dreamina/files/{key}/preview/fox.webp",
    )
    reuse_settings(page)
    expect_settings(page, "from the wall", "21:9")


def size_of(request: Request) -> int:
    """Bytes of a request's body."""
    return len(request.post_data_buffer or b"")


def test_a_picture_without_settings_is_said_to_be_one(rows: LibraryRows, open_library: OpenPage) -> None:
    """Nothing happens to the form, and the person knows why."""
    page = open_library()
    before = prompt_box(page).input_value()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=translate("en", "settings_from_picture")).click()
    chooser.value.set_files({"name": "holiday.png", "mimeType": "image/png", "buffer": png((3, 3))})
    expect(note(page)).to_contain_text(translate("en", "settings_unknown"))
    assert prompt_box(page).input_value() == before


# --- a job whose answer was lost


@pytest.fixture
def lost(library_app: ScriptedApp, rows: LibraryRows, open_page: OpenPage) -> tuple[Page, Locator, Any]:
    """A page, the card of a job whose submit was answered by a 502, and its service."""
    service = library_app.service()
    service.accept(ScriptedResponse(502, b"bad gateway"))
    page = open_page(library_app.app)
    job = press_generate(page, "lost on the way")
    expect_state(job, "submit_unclear")
    return page, job, service


def test_a_lost_response_is_attached(lost: tuple[Page, Locator, Any]) -> None:
    """The first way: the request id from RunComfy's site brings the pictures, without a second submit."""
    page, job, service = lost
    posts = service.posts
    job.get_by_label(translate("en", "attach_label")).fill("no-such-request")
    attach_button = job.get_by_role("button", name=translate("en", "attach"), exact=True)
    attach_button.click()
    expect(job.locator(".message")).to_have_text(translate("en", "problem_poll_not_found"))
    expect_state(job, "submit_unclear")
    service.completes()
    field = job.get_by_label(translate("en", "attach_label"))
    expect_no_findings(page)  # light, and then dark
    expect(field).to_have_css("background-color", DARK_CARD)
    field.fill(f" {service.request_id} ")
    attach_button.click()
    expect_state(job, "done")
    expect(job.locator("img")).to_have_count(1)
    assert service.posts == posts


def test_a_lost_submit_is_sent_again_only_by_a_second_yes(lost: tuple[Page, Locator, Any]) -> None:
    """The second way: it may charge twice, and the person has read that before it does."""
    page, job, service = lost
    posts = service.posts
    service.accept()
    service.completes()
    again = job.get_by_role("button", name=translate("en", "submit_again"), exact=True)
    again.click()
    sure = job.get_by_role("button", name=translate("en", "submit_again_sure"), exact=True)
    expect(sure).to_be_visible()
    assert "charged twice" in sure.inner_text()
    expect(job.get_by_role("button", name=translate("en", "keep_waiting"), exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(again).to_be_focused()
    assert service.posts == posts
    again.click()
    sure.click()
    done = page.locator('.job[data-state="done"]')
    expect(done.locator("img")).to_have_count(1)
    expect(page.locator('.job[data-state="submit_unclear"]:visible')).to_have_count(0)
    assert service.posts == posts + 1


def test_a_lost_job_is_archived_and_restored(lost: tuple[Page, Locator, Any]) -> None:
    """The third way: out of sight, but not lost."""
    page, job, _ = lost
    job.get_by_role("button", name=translate("en", "put_aside"), exact=True).click()
    expect(job).to_be_hidden()
    go_to_library(page)
    expect(page.locator("#library .empty")).to_be_visible()
    tool(page, "library_put_aside").click()
    expect(tiles(page)).to_have_count(1)
    tiles(page).click()
    dialog_button(page, "bring_back").click()
    expect(page.locator("dialog.viewer")).to_be_hidden()
    expect(page.locator("#library .empty")).to_be_visible()
    tool(page, "library_all").click()
    expect(tiles(page)).to_have_count(1)


def test_a_request_made_elsewhere_is_added(library_app: ScriptedApp, rows: LibraryRows, open_library: OpenPage) -> None:
    """What was made on RunComfy's own site joins the library."""
    service = library_app.service()
    service.completes()
    page = open_library()
    page.get_by_text(translate("en", "add_request")).click()
    page.locator("#library").get_by_label(translate("en", "attach_label")).fill(service.request_id)
    page.locator("#library .add-request").get_by_role("button").click()
    expect(note(page)).to_contain_text(service.request_id)
    wait_for(lambda: rows.library.usage().files == 1)
    page.get_by_role("tab", name=translate("en", "tab_create")).click()
    expect_state(card(page, service.request_id), "done")
    go_to_library(page)
    expect(tile(page, service.request_id)).to_be_visible()


# --- screens, languages, any text


def test_the_library_fits_a_phone(rows: LibraryRows, open_library: OpenPage) -> None:
    """Half of all people hold a phone: nothing sticks out, in the wall, the choice and the large picture."""
    rows.add("x" * 300, files=5, request_id="r" * 100)
    rows.add("y" * 300, files=0, state="submit_unclear", problem="submit_unclear", detail="z" * 200)
    page = open_library(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    expect(tiles(page)).to_have_count(6)
    expect_no_overflow(page)
    tool(page, "library_select").tap()
    tiles(page).nth(1).tap()
    expect_no_overflow(page)
    tool(page, "library_done").tap()
    for number in (0, 1):
        tiles(page).nth(number).tap()
        show_info(page)
        expect(page.locator("dialog.viewer .info-prompt")).to_be_visible()
        expect_no_overflow(page)
        for part in (".info", ".bar"):
            box = page.locator(f"dialog.viewer {part}").bounding_box()
            assert box
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
            assert page.locator(f"dialog.viewer {part}").evaluate("node => node.scrollWidth <= node.clientWidth")
        dialog_button(page, "close").tap()


def expect_no_overflow(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_japanese_visitor_reads_a_japanese_library(rows: LibraryRows, open_library: OpenPage) -> None:
    """Filters, buttons, facts and notes speak the visitor's language."""
    rows.add("桜と山と湖")
    page = open_library(locale="ja-JP")
    for key in ("library_search", "library_state", "library_size"):
        expect(filter_by(page, key, "ja")).to_be_visible()
    filter_by(page, "library_search", "ja").fill("山と湖")
    page.get_by_role("button", name=translate("ja", "picture_alt", number=1, prompt="桜と山と湖")).click()
    show_info(page)
    expect(page.locator("dialog.viewer")).to_contain_text(translate("ja", "state_done"))
    dialog_button(page, "delete", "ja").click()
    expect(note(page)).to_contain_text(translate("ja", "deleted", count=1))
    expect(note(page).get_by_role("button", name=translate("ja", "undo"), exact=True)).to_be_visible()


# --- whose library it is


class Drawer:
    """What one visitor reaches by HTTP alone."""

    def __init__(self, app: AppProcess, **headers: str) -> None:
        visitor = Visitor(app)
        cookie = f"{VISITOR_COOKIE}={visitor.cookie(VISITOR_COOKIE)[1]}"
        self.visitor_id = visitor_id(cookie)
        self._url = f"{app.url}/dreamina"
        self._headers = {"Cookie": cookie, **headers}

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self._url}/{path}", headers=self._headers, timeout=10)

    def post(self, path: str, **body: Any) -> requests.Response:
        return requests.post(f"{self._url}/{path}", headers=self._headers, timeout=10, **body)

    def prompts(self) -> list[str]:
        return [entry["prompt"] for entry in self.get("library").json()["entries"]]


def test_on_a_shared_page_each_visitor_has_a_library(shared: AppProcess) -> None:
    """A shared link is not a shared drawer: not to see, not to delete, not to download, not to look up."""
    rows = LibraryRows(shared.data)
    item, other = Drawer(shared), Drawer(shared)
    mine = rows.add("mine alone", visitor_id=item.visitor_id, request_id="shared-1")
    rows.add("theirs alone", visitor_id=other.visitor_id)
    assert (item.prompts(), other.prompts()) == (["mine alone"], ["theirs alone"])
    assert requests.get(f"{shared.url}/dreamina/library", timeout=10).json()["entries"] == []
    key, sha256 = mine.outputs[0].file_key, mine.outputs[0].sha256
    assert other.post("library/mark", json={"files": [key], "deleted": True}).json()["count"] == 0
    assert other.post("library/zip", data={"files": key}).status_code == 404
    assert [entry["prompt"] for entry in read_zip(other.get("library/zip").content)[1]] == ["theirs alone"]
    assert other.post("library/find", json={"sha256": sha256}).json()["prompt"] == "theirs alone"  # the same pixels
    assert other.get(f"jobs/{mine.job_id}").status_code == 404
    assert other.post(f"jobs/{mine.job_id}/put-aside", json={}).status_code == 404
    assert other.get("library/usage").json()["files"] == 1
    assert other.post("attach", json={"request_id": "shared-1"}).status_code == 409
    assert item.prompts() == ["mine alone"]
    rows.ledger.close()


@pytest.mark.parametrize("headers", [{"Host": "pictures.example"}, {"X-Forwarded-For": "203.0.113.9"}], ids=str)
def test_through_a_tunnel_each_visitor_has_a_library(
    library_app: ScriptedApp, rows: LibraryRows, headers: dict[str, str]
) -> None:
    """Who forgets to say that the page is shared has not given everything away."""
    visitor, stranger, owner = (
        Drawer(library_app.app, **headers), Drawer(library_app.app, **headers), Drawer(library_app.app)
    )  # fmt: skip
    rows.add("the owner's", visitor_id=owner.visitor_id, created_at=NOON)
    rows.add("the visitor's", visitor_id=visitor.visitor_id, created_at=NOON + 1)
    assert owner.prompts() == ["the visitor's", "the owner's"]
    assert visitor.prompts() == ["the visitor's"]
    assert stranger.prompts() == []


def test_another_sites_page_cannot_touch_the_library(library_app: ScriptedApp, rows: LibraryRows) -> None:
    """A page that the owner visits must not delete or read anything here."""
    key = rows.add("untouched").outputs[0].file_key
    for method, path, body in (
        ("GET", "library", None), ("GET", "library/usage", None), ("GET", "library/zip", None),
        ("POST", "library/mark", {"files": [key], "deleted": True}), ("POST", "library/find", {"sha256": "0" * 64}),
    ):  # fmt: skip
        response = requests.request(
            method,
            f"{library_app.app.url}/dreamina/{path}",
            json=body,
            headers={"Sec-Fetch-Site": "cross-site"},
            timeout=10,
        )
        assert response.status_code == 403, path
    assert rows.prompts() == ["untouched"]
