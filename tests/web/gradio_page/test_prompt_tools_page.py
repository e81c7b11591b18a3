"""The prompt tools on the page: an old prompt, a preset, and wildcards in a batch."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import AppProcess
from tests.support.page import OpenPage, card, press_generate, prompt_box

EN = "en"
STORE_LIST = """body => fetch("dreamina/wildcards", {
    method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
})"""


def test_an_old_prompt_and_a_preset_are_two_actions_away(app: AppProcess, revisit: OpenPage) -> None:
    """Nobody types again what they typed before; by keyboard, too."""
    page = revisit(app)
    expect(press_generate(page, "an owl to remember")).to_be_visible()
    prompt_box(page).fill("")
    page.get_by_role("button", name=translate(EN, "prompt_history"), exact=True).first.click()
    dialog = page.locator("dialog.prompt-dialog")
    dialog.locator(".prompt-use").first.click()
    expect(prompt_box(page)).to_have_value("an owl to remember")
    expect(dialog).to_have_count(0)

    page.locator("#toggle-form").focus()
    page.keyboard.press("h")
    dialog.get_by_label(translate(EN, "prompt_search")).fill("OWL")
    expect(dialog.locator(".prompt-use")).to_have_count(1)
    dialog.locator(".prompt-pin").click()
    expect(dialog.locator(".prompt-pin")).to_have_attribute("aria-pressed", "true")
    dialog.get_by_role("tab", name=translate(EN, "prompt_presets")).click()
    dialog.get_by_label(translate(EN, "preset_name")).fill("Noir")
    dialog.get_by_label(translate(EN, "preset_template")).fill("{prompt}, film noir")
    dialog.get_by_role("button", name=translate(EN, "preset_save")).click()
    page.keyboard.press("Escape")
    prompt_box(page).fill("a whale")
    page.get_by_role("button", name=translate(EN, "prompt_presets"), exact=True).first.click()
    dialog.locator(".prompt-use", has_text="Noir").click()
    expect(prompt_box(page)).to_have_value("a whale, film noir")


def test_wildcards_of_a_batch_are_drawn_by_a_seed_that_is_shown(app: AppProcess, revisit: OpenPage) -> None:
    """What will be paid for is seen before, and the same seed brings the same again."""
    page = revisit(app)
    page.get_by_role("tab", name=translate(EN, "batch"), exact=True).click()
    page.locator("#batch").get_by_role("button", name=translate(EN, "prompt_wildcards"), exact=True).click()
    dialog = page.locator("dialog.prompt-dialog")
    with page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name=translate(EN, "wildcard_import")).click()
    content = b"# from elsewhere\nred\ngreen\nblue\n"
    chooser.value.set_files({"name": "Color.txt", "mimeType": "text/plain", "buffer": content})
    dialog.get_by_text("__color__").first.click()
    expect(dialog.locator(".wildcard-preview li")).to_have_text(["red", "green", "blue"])
    dialog.get_by_role("button", name=translate(EN, "wildcard_insert")).click()
    expect(page.locator("#batch-prompts")).to_have_value("__color__")
    page.locator("#batch-prompts").fill("a __color__ fox")
    page.locator("#batch-repeats").fill("3")
    drawn = page.locator("#batch .drawn")
    expect(drawn).to_have_count(3)
    texts = drawn.all_text_contents()
    assert sorted(texts) == ["blue", "green", "red"]
    seed = page.get_by_label(translate(EN, "batch_seed"), exact=True).input_value()
    page.reload()
    expect(page.get_by_label(translate(EN, "batch_seed"), exact=True)).to_have_value(seed)
    expect(drawn).to_have_text(texts)
    page.get_by_role("button", name=translate(EN, "batch_seed_new")).click()
    expect(page.get_by_label(translate(EN, "batch_seed"), exact=True)).not_to_have_value(seed)


def test_what_wildcards_stand_for_is_shown_and_sent(app: AppProcess, revisit: OpenPage) -> None:
    """One image, too, is paid for with the words that stood there, and a name without a list is just a name."""
    page = revisit(app)
    prompt_box(page).fill("the __init__ of a kite")
    press_generate(page, "the __init__ of a kite")
    body = {"name": "hue", "text": "red\ngreen\nblue"}
    page.evaluate(STORE_LIST, body)
    prompt_box(page).fill("a __hue__ kite")
    drawn = page.locator("#form .drawn")
    expect(drawn).to_contain_text(translate(EN, "drawn_prompt"))
    expect(drawn.locator("span")).to_have_text(re.compile("^a (red|green|blue) kite$"))
    shown = drawn.locator("span").inner_text()
    page.locator("#generate").click()
    expect(card(page, shown)).to_be_visible()
    expect(prompt_box(page)).to_have_value("a __hue__ kite")
