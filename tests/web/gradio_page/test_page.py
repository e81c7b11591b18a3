"""The page's promises, in a real Chromium on a real app."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Locator, Page, expect

from dreamina_ui.models.sizes import choice_label
from dreamina_ui.settings import TOKEN_VARIABLES
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE
from dreamina_ui.web.i18n.translate import languages, translate
from dreamina_ui.web.paths import asset_path
from tests.support.browser import AppProcess, HeldSandbox, ScriptedApp, Visitor, wait_for
from tests.support.page import (
    TITLES,
    OpenPage,
    await_form,
    cancel_all,
    cancel_button,
    card,
    expect_state,
    press_generate,
    prompt_box,
    wait_on,
)

CONTRAST = """node => {
    const light = colour => {
        const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(Number)
            .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const text = light(getComputedStyle(node).color);
    const ground = light(getComputedStyle(node.closest(".job")).backgroundColor);
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
}"""
FOCUS_STYLE = """node => { const css = getComputedStyle(node);
    return [css.outlineStyle, css.outlineWidth, css.outlineColor, css.boxShadow, css.borderColor].join(" "); }"""

WRITTEN = {
    "de": "2,50 $ and 12.345,6",
    "es": "2,50 US$ and 12.345,6",
    "ja": "$2.50 and 12,345.6",
    "ko": "US$2.50 and 12,345.6",
    "zh-CN": "US$2.50 and 12,345.6",
}
"""Two and a half dollars, and a number, as each language writes them."""

ANIMATED = """job => [...new Set(document.getAnimations().filter(each => job.contains(each.effect.target))
  .flatMap(each => each.effect.getKeyframes()).flatMap(frame => Object.keys(frame))
  .filter(name => !["offset", "computedOffset", "easing", "composite"].includes(name)))]"""
"""The properties of a card that are being animated."""

IS_STILL = """() => document.getAnimations()
  .every(each => each.playState !== "running" || each.effect.getTiming().iterations === Infinity)"""
"""Whether nothing fades: what does is pale for a moment."""

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

WORDS = f"import(new URL('{asset_path('core/words.js')}', document.baseURI).href)"
"""The module with the texts, in the page."""


# --- from a prompt to pictures


def test_a_prompt_becomes_pictures_that_can_be_saved(app: AppProcess, revisit: OpenPage, tmp_path: Path) -> None:
    """The main road: a stranger presses one button and keeps what the service made, byte for byte."""
    page = revisit(app)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.reload()
    await_form(page)
    job = press_generate(page, "a lighthouse above the sea")
    expect_state(job, "done")
    thumbnail = job.locator("img").first
    thumbnail.scroll_into_view_if_needed()
    expect(thumbnail).to_have_js_property("complete", True)
    assert thumbnail.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    with page.expect_download() as download:
        job.get_by_role("link", name=translate("en", "download")).first.click()
    job_id = job.get_attribute("data-job-id") or ""
    assert download.value.suggested_filename == f"dreamina-a-lighthouse-above-the-sea-1024x1024-{job_id[:6]}-1.png"
    download.value.save_as(tmp_path / "saved.png")
    made = [hashlib.sha256(path.read_bytes()).digest() for path in (app.data / "sandbox" / "pictures").glob("*.png")]
    assert hashlib.sha256((tmp_path / "saved.png").read_bytes()).digest() in made
    assert hosts - {""} == {f"127.0.0.1:{app.port}"}, "the page must load nothing from foreign hosts"


def test_the_states_are_shown_in_words(held: HeldSandbox, revisit: OpenPage) -> None:
    """Who waits wants to know for what: the place in the queue, then the run, then the pictures."""
    page = revisit(held.app, reduced_motion="no-preference")
    held.begin()
    held.finish()  # what other tests left in the queue is out of the way
    job = press_generate(page, "a slow river")
    expect_state(job, "queued")
    expect(job.locator(".state")).to_contain_text(translate("en", "queue_next"))
    progress = page.get_by_role("progressbar", name=translate("en", "progress", prompt="a slow river"))
    expect(progress).to_be_visible()
    announced = page.locator("#job-status")
    expect(announced).to_have_attribute("role", "status")
    expect(announced).to_contain_text(translate("en", "state_queued"))
    held.begin()
    expect_state(job, "running")
    expect(announced).to_contain_text(translate("en", "state_running"))
    assert job.evaluate(ANIMATED) == ["transform"], "anything else is painted anew for every frame"
    held.finish()
    expect_state(job, "done")
    expect(announced).to_contain_text(translate("en", "state_done"))
    expect(progress).to_be_hidden()


def test_a_double_click_is_one_job(held: HeldSandbox, revisit: OpenPage) -> None:
    """One wish, one bill."""
    page = revisit(held.app)
    prompt_box(page).fill("clicked twice")
    page.locator("#generate").dblclick()
    expect_state(card(page, "clicked twice"), "queued")
    expect_state(press_generate(page, "clicked later"), "queued")
    assert [item["inputs"]["prompt"] for item in held.requests()].count("clicked twice") == 1
    expect(card(page, "clicked twice")).to_have_count(1)
    cancel_all(page)


def test_the_chosen_settings_are_what_is_sent(held: HeldSandbox, open_page: OpenPage) -> None:
    """What the form shows is what is paid for."""
    page = open_page(held.app)
    page.get_by_label(TITLES["size"]).click()
    page.get_by_role("option", name=choice_label("3024x1296(21:9)")).click()
    page.locator("#field-scale input[type=number]").fill("0.75")
    page.get_by_label(TITLES["force_single"]).uncheck()
    expect_state(press_generate(page, "with settings"), "queued")
    assert held.requests()[-1]["inputs"] == {
        "prompt": "with settings", "width×height": "3024x1296(21:9)", "scale": 0.75, "force_single": False,
    }  # fmt: skip
    cancel_all(page)


def test_a_card_loads_pictures_as_large_as_it_shows_them(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """Older images are small: their large copies would take six times the bytes, and the browser's time."""
    visitor = Visitor(scripted.app)
    for prompt, count in (("four in a row", 4), ("one on the stage", 1)):
        service = scripted.service()
        service.completes(*(service.picture(f"wide-{number}.png", (1400, 1000)) for number in range(count)))
        assert visitor.press(prompt=prompt)["success"]
        wait_for(lambda: {job["state"] for job in visitor.jobs()} == {"done"})
    name, secret = visitor.cookie(VISITOR_COOKIE)
    # A page that showed the four on the stage would have larger copies.
    page = open_page(
        scripted.app, lambda page: page.context.add_cookies([{"name": name, "value": secret, "url": scripted.app.url}])
    )
    image = card(page, "one on the stage").locator("img")
    expect(image).to_have_count(1)
    assert "preview" in image.evaluate("image => image.decode().then(() => image.currentSrc)")
    check_sizes(card(page, "four in a row").locator("img"))


def check_sizes(images: Locator) -> None:
    expect(images).to_have_count(4)
    for image in images.all():
        image.scroll_into_view_if_needed()
        loaded = image.evaluate("image => image.decode().then(() => [image.currentSrc, image.clientWidth])")
        assert "thumbnail" in loaded[0], loaded
        assert 60 < loaded[1] <= 400


# --- any text is only text


def test_eight_hundred_characters_of_any_kind_are_accepted(held: HeldSandbox, revisit: OpenPage) -> None:
    """The service counts code points: 800 emoji are no more than 800 letters."""
    page = revisit(held.app)
    text = "🦊" * 800
    prompt_box(page).fill(text)
    expect(page.locator("#field-prompt .counter")).to_have_text(translate("en", "counter", count=800, limit=800))
    expect_state(press_generate(page, text), "queued")
    assert held.requests()[-1]["inputs"]["prompt"] == text
    cancel_all(page)


def test_one_character_too_many_is_refused_by_name(held: HeldSandbox, revisit: OpenPage) -> None:
    """The person learns which field, and that nothing was sent; text in the refusal is only text."""
    page = revisit(held.app)
    before, cards = held.app.count_jobs(), page.locator(".job").count()
    prompt_box(page).fill("<img src=x onerror='window.__pwned=1'>" + "🦊" * 763)
    expect(page.locator("#field-prompt .counter")).to_have_text(translate("en", "too_long", count=801, limit=800))
    page.locator("#generate").click()
    problem = page.locator("#press-problem")
    expect(problem).to_contain_text(TITLES["prompt"])
    expect(problem).to_contain_text(translate("en", "rule_maxLength", limit=800))
    expect(page.locator("img[src=x]")).to_have_count(0)
    expect(page.locator(".job")).to_have_count(cards)
    assert held.app.count_jobs() == before


def test_right_to_left_text_runs_right_to_left(held: HeldSandbox, revisit: OpenPage) -> None:
    """Hebrew and Arabic are read from the right."""
    page = revisit(held.app)
    words = press_generate(page, "שלום עולם").locator(".prompt")
    expect(words).to_have_attribute("dir", "auto")
    expect(words).to_have_css("direction", "rtl")
    cancel_all(page)


# --- screens, languages, colours


def test_everything_fits_a_phone(held: HeldSandbox, open_page: OpenPage) -> None:
    """Half of all people hold a phone: nothing sticks out, and every control can be pressed."""
    page = open_page(held.app, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    job = press_generate(page, "x" * 300)
    expect_state(job, "queued")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for control in page.locator("#form textarea:visible, #form input:visible, #generate, .job button:visible").all():
        control.click(trial=True)
        box = control.bounding_box()
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    cancel_all(page)


def test_a_japanese_visitor_reads_japanese(held: HeldSandbox, open_page: OpenPage) -> None:
    """Labels, states and refusals speak the visitor's language."""
    page = open_page(held.app, locale="ja-JP")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("#generate")).to_have_text(re.compile(translate("ja", "generate")))
    for name in TITLES:
        expect(page.get_by_label(translate("ja", f"field_{name}_title")).first).to_be_visible()
    expect(page.locator("#jobs")).to_contain_text(translate("ja", "no_jobs"))
    prompt_box(page).fill(" ")
    page.locator("#generate").click()
    expect(page.locator("#press-problem")).to_contain_text(translate("ja", "rule_required"))
    job = press_generate(page, "桜と山と湖")
    expect_state(job, "queued", "ja")
    cancel_button(job, "ja").click()
    expect_state(job, "cancelled", "ja")
    expect(job).to_contain_text(translate("ja", "message_cancelled"))


def test_the_language_can_be_changed_on_the_page(held: HeldSandbox, open_page: OpenPage) -> None:
    """Everything follows, what was typed stays, and a reload keeps it."""
    page = open_page(held.app, viewport={"width": 390, "height": 844})
    expect_head_in_one_line(page)
    prompt_box(page).fill("typed before")
    for language in (item for item in languages() if item != "en"):
        page.locator("#language select").select_option(languages()[language]["language_name"])
        expect(page.locator("html")).to_have_attribute("lang", language)
        await_form(page)
        expect(page.locator("#generate")).to_have_text(re.compile(re.escape(translate(language, "generate"))))
        expect(page.get_by_role("tab", name=translate(language, "tab_library"), exact=True)).to_be_visible()
        page.locator("#toggle-sheet").click()
        expect(page.get_by_label(translate(language, "field_scale_title")).first).to_be_visible()
        expect(page.locator("#jobs")).to_contain_text(translate(language, "no_jobs"))
        expect(prompt_box(page)).to_have_value("typed before")
        expect(page.get_by_role("tab", name=translate(language, "owner_tab"), exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        expect_head_in_one_line(page)
        assert not re.search(r"undefined|__i18n__|[{}]", page.locator("body").inner_text())
        written = page.evaluate(
            f"async () => {{ const w = await {WORDS}; return `${{w.usd(2.5)}} and ${{w.number(12345.6)}}` }}"
        )
        assert written.replace("\u00a0", " ") == WRITTEN[language]
        for count in (1, 2, 12345):
            said = page.evaluate(f"async count => (await {WORDS}).say('batch_jobs', {{count}})", count)
            assert said == translate(language, "batch_jobs", count=count)
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", language)


def expect_head_in_one_line(page: Page) -> None:
    name, choice = page.locator("#brand"), page.locator("#language")
    expect(choice).to_be_visible()
    boxes = name.bounding_box(), choice.bounding_box()
    assert boxes[0]
    assert boxes[1]
    assert boxes[1]["y"] < boxes[0]["y"] + boxes[0]["height"]
    assert boxes[1]["x"] + boxes[1]["width"] <= 390


def test_a_card_can_be_read_in_both_schemes(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """A failure nobody can read is a failure nobody understands (4.5 : 1, WCAG 2.2, 1.4.3)."""
    service = scripted.service()
    service.status("failed")
    service.result({"status": "failed", "error": "blocked"})
    page = revisit(scripted.app)
    job = press_generate(page, "in the dark")
    expect_state(job, "failed")
    grounds = set()
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        wait_on(page, lambda: page.evaluate(IS_STILL))
        grounds.add(job.evaluate("node => getComputedStyle(node).backgroundColor"))
        for part in (".prompt", ".state-text", ".message", ".settings", ".facts", "button.edit-prompt"):
            assert job.locator(part).evaluate(CONTRAST) >= 4.5, f"{part}, {scheme}"
    assert len(grounds) == 2


def test_the_sandbox_says_that_it_is_one(app: AppProcess, held: HeldSandbox, revisit: OpenPage) -> None:
    """Nobody mistakes painted play for the real thing, and the owner reads what to set."""
    expect(revisit(app).locator("#sandbox-banner")).to_contain_text(TOKEN_VARIABLES[0])
    assert '"uses_sandbox": false' in requests.get(held.app.url, timeout=10).text


# --- keyboard and screen reader


def test_every_input_has_a_label(held: HeldSandbox, revisit: OpenPage) -> None:
    """A screen reader says what a field is for."""
    page = revisit(held.app)
    for title in TITLES.values():
        expect(page.get_by_label(title).first).to_be_visible()
    unnamed = page.locator("input:visible, textarea:visible, button:visible").evaluate_all(
        """nodes => nodes.filter(node => !(node.labels?.length || node.ariaLabel || node.textContent.trim()
            || node.getAttribute("aria-labelledby"))).map(node => node.outerHTML)"""
    )
    assert unnamed == []


def test_tab_reaches_generate_and_cancel_with_visible_focus(held: HeldSandbox, revisit: OpenPage) -> None:
    """All of it works without a mouse, and one sees where one is."""
    page = revisit(held.app)
    prompt_box(page).fill("without a mouse")
    generate = page.locator("#generate")
    tab_to(page, prompt_box(page), generate)
    page.keyboard.press("Enter")
    job = card(page, "without a mouse")
    expect_state(job, "queued")
    tab_to(page, generate, job.locator("button.cancel"))
    page.keyboard.press("Space")
    expect_state(job, "cancelled")


def tab_to(page: Page, start: Locator, target: Locator) -> None:
    """Press Tab until the target has the focus, and see that it looks different then."""
    plain = target.evaluate(FOCUS_STYLE)
    start.focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if target.evaluate("node => node === document.activeElement"):
            break
    expect(target).to_be_focused()
    assert target.evaluate(FOCUS_STYLE) != plain
