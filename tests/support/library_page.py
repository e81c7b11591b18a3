"""What tests do in the library of the page."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from dreamina_ui.web.i18n.translate import translate

DROP = """([text, name]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type: "image/png" }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
"""Drops a file, `[base64, name]`, on the page."""


def go_to_library(page: Page, language: str = "en") -> None:
    page.get_by_role("tab", name=translate(language, "tab_library")).click()
    expect(page.locator("#library .usage")).not_to_be_empty()


def tile(page: Page, prompt: str, number: int = 1) -> Locator:
    return page.get_by_role("button", name=translate("en", "picture_alt", number=number, prompt=prompt), exact=True)


def tiles(page: Page) -> Locator:
    return page.locator("#library .wall button.tile")


def filter_by(page: Page, key: str, language: str = "en") -> Locator:
    label = page.locator("#library .filters label").filter(has=page.get_by_text(translate(language, key), exact=True))
    return label.locator("input, select")


def tool(page: Page, key: str, **values: Any) -> Locator:
    return page.locator("#library").get_by_role("button", name=translate("en", key, **values), exact=True)


def dialog_button(page: Page, key: str, language: str = "en") -> Locator:
    return page.locator("dialog.viewer").get_by_role("button", name=translate(language, key), exact=True)


def show_info(page: Page) -> None:
    """Open the panel of the viewer, if it is not open already."""
    expect(page.locator("dialog.viewer")).to_be_visible()
    if page.locator("dialog.viewer .info").is_hidden():
        page.locator("dialog.viewer .tool-info").click()


def note(page: Page) -> Locator:
    return page.locator("#dreamina-note")
