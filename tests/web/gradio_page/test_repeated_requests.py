"""No request is paid twice, none by accident, and what is shown is what is sent; in a real Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_proxy import BadProxy, Failure
from tests.support.browser import SMALL, HeldSandbox, wait_for
from tests.support.harness import MODEL_ID
from tests.support.page import OpenPage, card, expect_state, press_generate, prompt_box

REPEAT_MS = 30
UNKNOWN = translate("en", "press_unknown")


@pytest.fixture
def proxy(held_proxy: BadProxy) -> BadProxy:
    held_proxy.reset()
    return held_proxy


def hold(page: Page, key: str, repeats: int) -> None:
    """Hold a key down: it repeats as a keyboard's does."""
    for _ in range(1 + repeats):
        page.keyboard.down(key)
        page.wait_for_timeout(REPEAT_MS)
    page.keyboard.up(key)


def problem(page: Page) -> Locator:
    return page.locator("#press-problem")


def jobs_of(held: HeldSandbox, prompt: str) -> list[dict[str, Any]]:
    """The inputs of the requests that the service accepted for a prompt."""
    return [request["inputs"] for request in held.requests() if request["inputs"]["prompt"] == prompt]


# --- lost responses


def test_a_lost_response_repeats_the_same_request(held: HeldSandbox, proxy: BadProxy, open_page: OpenPage) -> None:
    """Whoever is asked to press again pays again: the page repeats by itself, under one id."""
    page = open_page(proxy)
    proxy.failures = ["gateway"] * 2
    prompt_box(page).fill("answered too late")
    page.locator("#generate").click()
    expect(problem(page)).to_have_text(UNKNOWN)
    page.locator("#generate").click()  # impatient
    expect(card(page, "answered too late")).to_be_visible()
    expect(problem(page)).to_have_text("")
    assert len(proxy.requests) >= 3
    assert len(set(proxy.press_ids)) == 1
    wait_for(lambda: jobs_of(held, "answered too late"))
    assert len(jobs_of(held, "answered too late")) == 1


@pytest.mark.parametrize("failure", ["cut", "reset"])
def test_a_post_that_the_browser_repeats_is_one_job(
    held: HeldSandbox, proxy: BadProxy, open_page: OpenPage, failure: Failure
) -> None:
    """Chromium repeats a POST on its own when a connection that it used before is closed on it."""
    page = open_page(proxy)
    proxy.failures = [failure] * 4
    prompt = f"repeated after a {failure}"
    prompt_box(page).fill(prompt)
    page.locator("#generate").click()
    expect(card(page, prompt)).to_be_visible()
    wait_for(lambda: len(proxy.requests) >= 2)
    assert len(set(proxy.press_ids)) == 1
    wait_for(lambda: jobs_of(held, prompt))
    assert len(jobs_of(held, prompt)) == 1


def test_a_reload_does_not_forget_an_unanswered_request(proxy: BadProxy, open_page: OpenPage) -> None:
    """A reload is what people do when a page seems stuck."""
    page = open_page(proxy)
    proxy.failures = ["gateway"]
    prompt_box(page).fill("reloaded meanwhile")
    page.locator("#generate").click()
    proxy.failures = ["gateway"] * 2
    page.reload()
    expect(problem(page)).to_have_text(UNKNOWN)
    expect(problem(page)).to_have_text("")
    wait_for(lambda: len(proxy.requests) >= 2)
    assert len(set(proxy.press_ids)) == 1


def test_a_repeat_that_the_limiter_refuses_continues(held: HeldSandbox, proxy: BadProxy, open_page: OpenPage) -> None:
    """The refusal is about the repeat: who believes it presses again, and pays twice."""
    page = open_page(proxy)
    proxy.failures = ["gateway"]
    refusals = [{"message": "Too many requests.", "detail": "Too many requests."}]

    def refuse_the_repeat(route: Route) -> None:
        if not proxy.requests or not refusals:
            return route.fallback()
        return route.fulfill(status=429, headers={"X-Dreamina-UI": "1"}, json=refusals.pop())

    page.route("**/dreamina/generate*", refuse_the_repeat)
    prompt_box(page).fill("refused at the door")
    page.locator("#generate").click()
    expect(problem(page)).to_have_text(UNKNOWN)
    expect(card(page, "refused at the door")).to_be_visible()
    expect(problem(page)).to_have_text("")
    assert not refusals
    assert len(set(proxy.press_ids)) == 1


def test_a_failure_after_the_job_was_made_shows_the_job(held: HeldSandbox, revisit: OpenPage) -> None:
    """The server broke while it responded: the job runs, and another press would pay again."""
    page = revisit(held.app)

    def break_response(route: Route) -> None:
        route.fetch()
        route.fulfill(status=500, headers={"X-Dreamina-UI": "1"}, json={"message": "Something went wrong."})

    page.route("**/dreamina/generate*", break_response)
    prompt_box(page).fill("made, then broken")
    page.locator("#generate").click()
    expect(card(page, "made, then broken")).to_be_visible()
    expect(page.locator("#generate")).to_have_attribute("aria-busy", "false")
    expect(problem(page)).to_have_text("")
    wait_for(lambda: jobs_of(held, "made, then broken"))
    assert len(jobs_of(held, "made, then broken")) == 1


def test_a_response_that_is_held_back_does_not_hold_back_generate(held: HeldSandbox, open_page: OpenPage) -> None:
    """The page asks first who the visitor is; a proxy that swallows that once made every click do nothing."""
    page = open_page(held.app, prepare=lambda page: page.route("**/dreamina/left*", lambda _: None))
    prompt_box(page).fill("not held back")
    page.locator("#generate").click()
    expect(card(page, "not held back")).to_be_visible(timeout=30_000)


def test_a_request_from_hours_ago_is_not_sent(proxy: BadProxy, open_page: OpenPage) -> None:
    """A laptop wakes up: nobody expects a job that was asked for yesterday to start now."""
    page = open_page(proxy)
    old = {"id": "0" * 32, "path": "generate", "body": {"model_id": MODEL_ID, "inputs": {"prompt": "old"}}}
    script = "old => sessionStorage.setItem('dreamina.presses', JSON.stringify([{...old, at: Date.now() - 4e6}]))"
    page.evaluate(script, old | {"attempts": 1})
    with page.expect_response("**/dreamina/presses/*"):
        page.reload()
    expect(problem(page)).to_have_text(translate("en", "request_failed"))
    assert proxy.requests == []


def test_two_requests_have_two_ids(proxy: BadProxy, open_page: OpenPage) -> None:
    """One prompt may be wanted twice."""
    page = open_page(proxy)
    press_generate(page, "wanted twice")
    page.wait_for_timeout(1100)  # the server takes faster ones without an id for one
    page.locator("#generate").click()
    wait_for(lambda: len(proxy.requests) == 2)
    assert len(set(proxy.press_ids)) == 2


# --- held keys, double clicks, fingers


def test_a_held_key_starts_one_batch(held: HeldSandbox, open_page: OpenPage) -> None:
    """A held Enter once started ten."""
    page = open_page(held.app)
    page.get_by_role("tab", name=translate("en", "batch")).click()
    page.get_by_label(translate("en", "batch_prompts")).fill("a\nb\nc")
    start = page.get_by_role("button", name=translate("en", "batch_start", count=3))
    expect(start).to_be_enabled()
    start.focus()
    hold(page, "Enter", repeats=40)
    expect(page.locator("#batch .batch-grid .batch")).to_be_visible()
    page.get_by_role("button", name=translate("en", "batch_all")).click()
    expect(page.locator("#batch .batch-history .batch")).to_have_count(1)


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_held_key_on_generate_is_one_job(held: HeldSandbox, revisit: OpenPage, key: str) -> None:
    """A sleeve on the keyboard must not cost four jobs."""
    page = revisit(held.app)
    prompt = f"held {'space' if key == ' ' else key}"
    prompt_box(page).fill(prompt)
    page.locator("#generate").focus()
    hold(page, key, repeats=60)
    page.locator("#generate").focus()
    expect_state(card(page, prompt), "queued")
    assert len(jobs_of(held, prompt)) == 1


def test_again_starts_nothing_however_often_it_is_pressed(held: HeldSandbox, revisit: OpenPage) -> None:
    """The focus must not land on a button that costs money."""
    page = revisit(held.app)
    job = press_generate(page, "to be reused")
    expect_state(job, "queued")
    held.begin()
    held.finish()
    expect_state(job, "done")
    job.get_by_role("button", name=translate("en", "again")).press("Enter")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    expect(page.locator("#form")).to_be_focused()
    hold(page, "Enter", repeats=20)
    page.wait_for_timeout(300)
    assert len(jobs_of(held, "to be reused")) == 1


def test_a_double_tap_on_generate_is_one_job(held: HeldSandbox, revisit: OpenPage) -> None:
    """Fingers tremble."""
    page = revisit(held.app, has_touch=True, viewport={"width": 390, "height": 844})
    prompt_box(page).fill("tapped twice")
    box = page.locator("#generate").bounding_box()
    assert box
    for _ in range(2):
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(card(page, "tapped twice")).to_have_count(1)
    page.wait_for_timeout(300)
    assert len(jobs_of(held, "tapped twice")) == 1


def test_a_tap_on_a_start_button_that_just_appeared_starts_no_batch(held: HeldSandbox, revisit: OpenPage) -> None:
    """It appears by itself, perhaps under a finger that is on its way to something else."""
    page = revisit(held.app, has_touch=True)
    before = len(held.requests())
    page.get_by_role("tab", name=translate("en", "batch")).click()
    page.get_by_label(translate("en", "batch_prompts")).fill("a\nb")
    start = page.get_by_role("button", name=translate("en", "batch_start", count=2))
    box = start.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(start).to_be_enabled()
    assert len(held.requests()) == before


# --- Ctrl+Enter


def test_ctrl_enter_submits_from_the_fields_of_the_form(held: HeldSandbox, revisit: OpenPage) -> None:
    """It is quicker than the mouse."""
    page = revisit(held.app)
    prompt_box(page).fill("by keyboard")
    prompt_box(page).press("Control+Enter")
    expect(card(page, "by keyboard")).to_be_visible()


def test_ctrl_enter_elsewhere_submits_nothing(held: HeldSandbox, open_page: OpenPage) -> None:
    """In the key field it once spent the owner's money, in a batch it sent the form's old prompt."""
    page = open_page(held.app)
    prompt_box(page).fill("not to be sent")
    page.locator("#own-key summary").click()
    page.locator("#own-key-input").press("Control+Enter")
    page.get_by_role("tab", name=translate("en", "batch")).click()
    page.get_by_label(translate("en", "batch_prompts")).fill("a")
    page.get_by_label(translate("en", "batch_prompts")).press("Control+Enter")
    expect(page.get_by_role("button", name=translate("en", "batch_start", count=1))).to_be_enabled()
    page.get_by_label(translate("en", "batch_prompts")).press("Control+Enter")
    page.keyboard.press("?")
    page.keyboard.press("Control+Enter")
    page.keyboard.press("Escape")
    page.locator("#language select").press("Control+Enter")
    page.wait_for_timeout(300)
    assert jobs_of(held, "not to be sent") == []


def test_ctrl_enter_within_a_composition_submits_nothing(held: HeldSandbox, revisit: OpenPage) -> None:
    """Enter belongs to the input method then, and the text is not finished."""
    page = revisit(held.app)
    prompt_box(page).fill("")
    prompt_box(page).focus()
    ime = page.context.new_cdp_session(page)
    ime.send("Input.imeSetComposition", {"text": "きつね", "selectionStart": 3, "selectionEnd": 3})
    before = len(held.requests())
    for kind in ("keyDown", "keyUp"):
        key = {"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229, "modifiers": 2}
        ime.send("Input.dispatchKeyEvent", key)
    page.wait_for_timeout(300)
    assert len(held.requests()) == before
    ime.send("Input.insertText", {"text": "狐"})
    prompt_box(page).press("Control+Enter")
    expect(card(page, "狐")).to_be_visible()


# --- what is shown is what is sent


def test_a_size_that_was_typed_is_sent(held: HeldSandbox, open_page: OpenPage) -> None:
    """The form showed it, so it was meant."""
    page = open_page(held.app)
    for typed, sent in (("2560", "2560x1440(16:9)"), ("3024×1296", "3024x1296(21:9)"), (SMALL, SMALL)):
        prompt = f"in the size {typed}"
        prompt_box(page).fill(prompt)
        page.locator("#field-size input").fill(typed)
        page.keyboard.press("Control+Enter")
        expect(card(page, prompt)).to_be_visible()
        assert wait_for(lambda: jobs_of(held, prompt))[0]["width×height"] == sent, typed  # noqa: B023 - called at once


def test_a_size_that_is_not_one_choice_is_refused(held: HeldSandbox, open_page: OpenPage) -> None:
    """Another size than the one that is shown is another price."""
    page = open_page(held.app)
    prompt_box(page).fill("in no size")
    size = page.locator("#field-size input")
    for typed in ("16:9", "12345"):
        size.fill(typed)
        page.keyboard.press("Control+Enter")
        name = str(size.get_attribute("aria-label"))
        expect(problem(page)).to_have_text(translate("en", "choice_unclear", value=typed, field=name))
        expect(size).to_be_focused()
        assert jobs_of(held, "in no size") == []


def test_a_number_is_sent_as_it_is_shown(held: HeldSandbox, open_page: OpenPage) -> None:
    """Emptied, it returns to its last value; a comma is a decimal mark."""
    page = open_page(held.app)
    number = page.locator("#field-scale input[type=number]")
    for typed, sent in (("", 0.5), ("-", 0.5), ("0,7", 0.7), ("0.3", 0.3)):
        prompt = f"with the number {typed!r}"
        prompt_box(page).fill(prompt)
        number.click()
        page.keyboard.press("Control+a")
        page.keyboard.press("Delete")
        page.keyboard.type(typed)
        page.keyboard.press("Control+Enter")
        expect(card(page, prompt)).to_be_visible()
        assert wait_for(lambda: jobs_of(held, prompt))[0]["scale"] == sent, prompt  # noqa: B023 - called at once
        assert float(number.input_value()) == sent, prompt


def test_a_number_that_was_emptied_returns_when_the_field_is_left(held: HeldSandbox, open_page: OpenPage) -> None:
    """Generate is pressed by mouse, too."""
    page = open_page(held.app)
    prompt_box(page).fill("emptied and clicked")
    number = page.locator("#field-scale input[type=number]")
    number.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.locator("#generate").click()  # the mouse moves the focus: a script that does has other events between
    expect(card(page, "emptied and clicked")).to_be_visible()
    wait_for(lambda: jobs_of(held, "emptied and clicked"))
    assert jobs_of(held, "emptied and clicked")[0]["scale"] == 0.5
    assert float(number.input_value()) == 0.5


def test_a_text_that_an_extension_wrote_is_sent(held: HeldSandbox, revisit: OpenPage) -> None:
    """Translators and text expanders tell nobody, and the prompt from before was paid for."""
    page = revisit(held.app)
    prompt_box(page).fill("from before")
    prompt_box(page).evaluate("(node) => { node.value = 'from an extension'; }")
    page.locator("#generate").click()
    expect(card(page, "from an extension")).to_be_visible()
    assert jobs_of(held, "from before") == []
