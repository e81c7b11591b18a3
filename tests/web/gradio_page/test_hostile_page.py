"""Nothing that anybody can write becomes markup, a script or a path: not on the page, not in the names of files."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from dreamina_ui.media.embedded_metadata import with_settings
from dreamina_ui.media.folder_store import stored_file
from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_server import json_response
from tests.support.browser import ScriptedApp
from tests.support.contexts import SMALL_DRAFT
from tests.support.harness import png
from tests.support.library_page import DROP, dialog_button, filter_by, go_to_library, note, show_info, tiles
from tests.support.library_rows import NOON, LibraryRows
from tests.support.page import await_form, card, expect_state, press_generate, prompt_box


def payload(name: str) -> str:
    """Text that would set `window.hacked`, or leave an element of the class `hacked`, wherever it became markup."""
    run = f"window.hacked=`{name}`"
    return f"""'">{name}<img src=x class=hacked onerror={run}><svg class=hacked onload={run}></svg>""" + (
        f"<script class=hacked>{run}</script>${{{run}}}"
    )


@pytest.fixture
def page(browser: Browser, library_app: ScriptedApp) -> Iterator[Page]:
    """A page opened by a hostile link, without its policy: a script that got in would run."""
    visitor = browser.new_context(locale="en-US", bypass_csp=True)
    visitor.set_default_timeout(20_000)
    visitor.add_init_script(SMALL_DRAFT)
    opened = visitor.new_page()
    names = ("language", "text", "prompt", "job", "view", "deep_link", "__theme", "next", payload("key"))
    query = "&".join(f"{quote(name)}={quote(payload('query'))}" for name in names)
    opened.goto(f"{library_app.app.url}/?{query}#{quote(payload('fragment'))}")
    await_form(opened)
    expect(opened.locator("#link-note")).to_contain_text(translate("en", "link_taken"))
    expect(prompt_box(opened)).to_have_value(payload("query"))
    yield opened
    assert opened.evaluate("window.hacked") is None
    expect(opened.locator(".hacked")).to_have_count(0)
    visitor.close()


def test_nothing_on_the_create_tab_becomes_markup(library_app: ScriptedApp, page: Page, tmp_path: Path) -> None:
    """Prompts, the service's error texts, statuses, ids and file names, and what a dropped file says of itself."""
    service = library_app.service()
    service.accept(json_response({"message": payload("message"), "error_code": payload("code")}, 400))
    expect(press_generate(page, payload("refused")).locator(".state")).to_contain_text(translate("en", "state_failed"))

    service = library_app.service()
    service.status({"status": payload("status")}, {"status": "failed", "error": payload("error")})
    service.result({"status": "failed", "error": payload("error"), "message": payload("result")})
    failed = press_generate(page, payload("failed"))
    expect(failed.locator(".state")).to_contain_text(translate("en", "state_failed"))
    expect(failed).to_contain_text("class=hacked")

    library_app.service().accept(json_response({"request_id": payload("id")}))
    expect_state(press_generate(page, payload("named")), "submit_unclear")

    service = library_app.service()
    service.completes(service.picture(quote(payload("file"), safe="") + ".png"))
    done = press_generate(page, payload("done"))
    expect(done.locator("img")).to_be_visible()
    expect(card(page, payload("done"))).to_be_visible()

    original = tmp_path / "original.png"
    original.write_bytes(png())
    said = {"prompt": payload("dropped"), "size": payload("size"), "scale": payload("scale"), payload("key"): 1}
    settings = {"app": "Dreamina UI", "model_id": payload("model"), "request_id": payload("id"), "inputs": said}
    stored = stored_file(original)
    assert stored
    dropped = b"".join(with_settings(stored, settings))
    page.evaluate(DROP, [b64encode(dropped).decode(), payload("name") + ".png"])
    page.get_by_role("dialog").get_by_role("button", name=translate("en", "drop_reuse")).click()
    expect(note(page)).not_to_be_empty()
    prompt_box(page).fill(payload("too long") * 9)
    page.locator("#generate").click()
    expect(page.locator("#press-problem")).to_contain_text(translate("en", "rule_maxLength", limit=800))
    page.reload()
    await_form(page)
    expect(card(page, payload("done"))).to_be_visible()


def test_nothing_of_a_batch_becomes_markup(page: Page) -> None:
    """Its table and its refusals show prompts too."""
    page.get_by_role("tab", name=translate("en", "batch")).click()
    prompts = page.locator("#batch-prompts")
    prompts.fill(payload("batch") + "{")
    expect(page.locator("#batch .problem")).not_to_be_empty()
    prompts.fill(payload("batch"))
    page.locator("#batch .batch-fields div > input").first.fill(payload("number"))
    expect(page.locator("#batch .problem")).to_contain_text(translate("en", "rule_type", limit="number"))
    page.locator("#batch .batch-fields div > input").first.fill("0.5")
    expect(page.locator("#batch").get_by_role("rowheader")).to_contain_text("onerror")
    page.get_by_role("tab", name=translate("en", "tab_create")).click()


def test_nothing_in_the_library_becomes_markup(library_app: ScriptedApp, rows: LibraryRows, page: Page) -> None:
    """Wall, large picture, details, search and notes show text."""
    broken: dict[str, Any] = {"files": 0, "state": "failed", "problem": "failed_at_service", "created_at": NOON}
    rows.add(payload("kept"), created_at=NOON + 1, request_id=payload("id"), detail=payload("detail"))
    rows.add(payload("broken"), request_id=payload("other id"), detail=payload("detail"), **broken)
    go_to_library(page)
    filter_by(page, "library_search").fill(payload("kept")[:60])
    expect(tiles(page)).to_have_count(1)
    tiles(page).first.click()
    show_info(page)
    expect(page.locator("dialog.viewer .info-prompt")).to_have_text(payload("kept"))
    expect(page.locator("dialog.viewer")).to_contain_text(payload("id"))
    dialog_button(page, "delete").click()
    expect(note(page)).not_to_be_empty()
    filter_by(page, "library_search").fill("broken<img src=x class=hacked>")
    expect(tiles(page)).to_have_count(0)
    filter_by(page, "library_search").fill("")
    expect(tiles(page)).to_have_count(1)
    page.get_by_text(translate("en", "add_request")).click()
    page.locator("#library").get_by_label(translate("en", "attach_label")).fill(payload("request")[:200])
    page.locator("#library .add-request").get_by_role("button").click()
    expect(note(page)).not_to_be_empty()


@pytest.mark.parametrize(
    "prompt", ["../../etc/passwd", "..\\..\\evil", "/root", "a\r\nSet-Cookie: a=b", "nul\x00", "."]
)
def test_no_prompt_becomes_a_path(library_app: ScriptedApp, rows: LibraryRows, prompt: str) -> None:
    """A downloaded file lands where the person saves it, and an unpacked ZIP where it is unpacked."""
    rows.add(prompt)
    url = library_app.app.url + "/dreamina"
    key = rows.entries()[0].output.file_key  # type: ignore[union-attr]
    response = requests.get(f"{url}/files/{key}/original/..%2F..%2Fx?download", timeout=10)
    name = response.headers.get("content-disposition", "")
    assert "set-cookie" not in response.headers
    assert not set("/\\\r\n\0") & set(name.replace("attachment; ", ""))
    names = zipfile.ZipFile(io.BytesIO(requests.get(f"{url}/library/zip", timeout=10).content)).namelist()
    assert len(names) == 2
    assert not any(set("/\\\r\n\0:") & set(item) or item.startswith(".") for item in names)
