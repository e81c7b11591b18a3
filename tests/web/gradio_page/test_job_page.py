"""What the page does with its jobs: cancels them, finds them again, and says what went wrong; in a real Chromium."""

from __future__ import annotations

import signal

import pytest
import requests
from playwright.sync_api import Request, Route, expect

from dreamina_ui.models.sizes import choice_label
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE
from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.browser import HeldSandbox, ScriptedApp, Visitor, wait_for
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
    script_before_others,
    wait_on,
)

# --- several jobs, cancel


def test_each_job_has_its_own_cancel(held: HeldSandbox, revisit: OpenPage) -> None:
    """Cancel means this one, never the neighbour."""
    page = revisit(held.app)
    older = press_generate(page, "the older one")
    newer = press_generate(page, "the newer one")
    prompts = page.locator(".job .prompt")
    expect(prompts.first).to_have_text("the newer one")
    expect(prompts.nth(1)).to_have_text("the older one")
    expect_state(older, "queued")
    cancel_button(older).click()
    expect_state(older, "cancelled")
    expect(older).to_contain_text(translate("en", "message_cancelled"))
    expect(cancel_button(older)).to_be_hidden()
    expect_state(newer, "queued")
    expect(cancel_button(newer)).to_be_enabled()
    statuses = {item["inputs"]["prompt"]: item["status"] for item in held.requests()}
    assert (statuses["the older one"], statuses["the newer one"]) == ("cancelled", "in_queue")
    cancel_all(page)


def test_a_click_on_cancel_is_acknowledged_before_the_server_responds(held: HeldSandbox, revisit: OpenPage) -> None:
    """Who presses must see at once that it worked, and must not read more than is known."""
    page = revisit(held.app)
    job = press_generate(page, "cancelled on a slow line")
    expect_state(job, "queued")
    waiting: list[Route] = []
    page.route("**/dreamina/jobs/*/cancel*", lambda route: waiting.append(route))
    job.locator("button.cancel").evaluate(
        """button => {
            button.addEventListener("click", () => { window.pressedAt = performance.now(); }, true);
            new MutationObserver(() => { window.heardAt ??= performance.now(); })
                .observe(button, {childList: true, characterData: true, subtree: true, attributes: true});
        }"""
    )
    cancel_button(job).click()
    busy = job.get_by_role("button", name=translate("en", "cancelling"))
    expect(busy).to_be_disabled()
    assert page.evaluate("window.heardAt - window.pressedAt") < 100
    assert len(waiting) == 1
    expect_state(job, "queued")
    waiting[0].continue_()
    expect_state(job, "cancelled")


def test_too_late_to_cancel_is_said_and_the_pictures_come(held: HeldSandbox, revisit: OpenPage) -> None:
    """A running job cannot be cancelled; what is paid for is kept."""
    page = revisit(held.app)
    job = press_generate(page, "cancelled too late")
    expect_state(job, "queued")
    held.begin()
    expect_state(job, "running")
    cancel_button(job).click()
    expect(job).to_contain_text(translate("en", "message_cancel_too_late"))
    held.finish()
    expect_state(job, "done")
    expect(job.locator("img")).to_have_count(1)


# --- reloads, other visitors, lost connections


def test_a_reload_in_mid_job_finds_the_job_again(held: HeldSandbox, revisit: OpenPage) -> None:
    """The job belongs to the server; the page only looks."""
    page = revisit(held.app)
    job_id = press_generate(page, "reloaded").get_attribute("data-job-id")
    page.reload()
    await_form(page)
    job = page.locator(f'.job[data-job-id="{job_id}"]')
    expect_state(job, "queued")
    held.begin()
    held.finish()
    expect_state(job, "done")
    expect(job.locator("img")).to_have_count(1)
    assert [item["inputs"]["prompt"] for item in held.requests()].count("reloaded") == 1


def test_what_was_typed_survives_a_reload(held: HeldSandbox, open_page: OpenPage) -> None:
    """Nobody writes a long prompt twice."""
    page = open_page(held.app)
    text = "a long thought, 長い考え 🌊\nin two lines"
    page.get_by_label(TITLES["size"]).click()
    page.get_by_role("option", name=choice_label("4992x3328(3:2)")).click()
    page.get_by_label(TITLES["force_single"]).uncheck()
    prompt_box(page).fill(text)
    wait_on(page, lambda: "a long thought" in page.evaluate("JSON.stringify({...sessionStorage})"))
    page.reload()
    await_form(page)
    expect(prompt_box(page)).to_have_value(text)
    expect(page.get_by_label(TITLES["size"])).to_have_value(choice_label("4992x3328(3:2)"))
    expect(page.get_by_label(TITLES["force_single"])).not_to_be_checked()


def test_two_visitors_do_not_see_each_others_jobs(held: HeldSandbox, revisit: OpenPage) -> None:
    """A shared link is not a shared desk."""
    page, other = revisit(held.app), Visitor(held.app)
    press_generate(page, "only mine")
    assert other.press(prompt="only theirs")["success"]
    page.reload()
    await_form(page)
    expect_state(card(page, "only mine"), "queued")
    expect(card(page, "only theirs")).to_have_count(0)
    assert [job["prompt"] for job in other.jobs()] == ["only theirs"]
    theirs = f"{held.app.url}/dreamina/jobs/{other.jobs()[0]['job_id']}"
    assert other.http.post(f"{theirs}/cancel", json={}, timeout=10).ok
    cancel_all(page)


def test_a_browser_that_refuses_our_cookie_keeps_its_jobs(held: HeldSandbox, open_page: OpenPage) -> None:
    """In a Space the page is a frame of another site, and many browsers keep no cookies there."""

    def without_cookie(route: Route) -> None:
        route.fulfill(body=requests.get(route.request.url, timeout=10).text, content_type="text/html")

    page = open_page(held.app, lambda page: page.route(f"{held.app.url}/", without_cookie))
    press_generate(page, "without a cookie")
    page.reload()
    await_form(page)
    expect(page.locator(".job .prompt")).to_have_text(["without a cookie"])
    job_id = card(page, "without a cookie").get_attribute("data-job-id")
    cancel_all(page)
    assert page.context.cookies() == []
    secret = page.evaluate("Object.entries(localStorage).find(([key]) => key.endsWith('.visitor'))[1]")
    assert len(secret) >= 22, "128 bits"
    url = f"{held.app.url}/dreamina/jobs"
    cookie = {"Cookie": f"{VISITOR_COOKIE}={secret[::-1]}"}
    mine, with_cookie = (
        requests.get(url, headers={"X-Dreamina-Visitor": secret, **more}, timeout=10).json() for more in ({}, cookie)
    )
    assert [job["job_id"] for job in mine] == [job_id]
    assert with_cookie == [], "a cookie counts for more"
    ledger = (held.app.data / "ledger.sqlite3").read_bytes() + (held.app.data / "ledger.sqlite3-wal").read_bytes()
    assert secret.encode() not in ledger


def test_a_lost_server_is_shown_and_found_again(held: HeldSandbox, revisit: OpenPage) -> None:
    """A restart of the server costs the people at its pages nothing, not even a click."""
    page = revisit(held.app)
    job = press_generate(page, "through a crash")
    expect_state(job, "queued")
    held.app.end(signal.SIGKILL)
    note = page.get_by_text(translate("en", "offline"))
    expect(note).to_be_visible()
    expect(job).to_be_visible()
    held.app.start()
    expect(note).to_be_hidden(timeout=30_000)
    held.begin()
    held.finish()
    expect_state(job, "done")
    expect(card(page, "through a crash")).to_have_count(1)


def test_one_stream_while_something_runs_and_none_after(held: HeldSandbox, revisit: OpenPage) -> None:
    """A browser has six connections for a server: seven open tabs must not be one too many."""
    page = revisit(held.app)
    streams: list[Request] = []
    open_now: list[Request] = []

    def begin(request: Request) -> None:
        if "/dreamina/events" in request.url:
            streams.append(request)
            open_now.append(request)

    def end(request: Request) -> None:
        if request in open_now:
            open_now.remove(request)

    page.on("request", begin)
    page.on("requestfinished", end)
    page.on("requestfailed", end)
    page.reload()
    await_form(page)
    wait_on(page, lambda: bool(streams) and not open_now)
    for prompt in ("stream one", "stream two", "stream three"):
        expect_state(press_generate(page, prompt), "queued")
        assert len(open_now) == 1
    cancel_all(page)
    wait_on(page, lambda: not open_now)


# --- nothing to do


COUNT_FRAMES = """
window.asked = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (call) => { window.asked += 1; return ask(call); };
"""


def test_an_idle_page_comes_to_rest(held: HeldSandbox, revisit: OpenPage) -> None:
    """A tab that is left open must not drain a phone: Gradio's loading clock would ask for every frame, forever."""
    page = revisit(held.app, reduced_motion="no-preference")
    a_second = """async () => {
        const before = window.asked;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return window.asked - before;
    }"""
    with script_before_others(page, COUNT_FRAMES):
        page.reload()
        await_form(page)
    assert page.evaluate("window.asked") > 0
    wait_for(lambda: page.evaluate(a_second) < 10)


def test_what_moves_for_a_moment_gets_every_frame_and_can_be_cancelled(held: HeldSandbox, revisit: OpenPage) -> None:
    """Bringing loops to rest must cost nothing that a person sees."""
    page = revisit(held.app, reduced_motion="no-preference")
    turns = """async () => {
        let cancelled = 0, frames = 0, put_off = 0;
        cancelAnimationFrame(requestAnimationFrame(() => { cancelled += 1; }));
        const turn = (done) => {
            if (++frames === 60) return done();
            if (!requestAnimationFrame(() => turn(done))) put_off += 1;
        };
        await new Promise(turn);
        return { cancelled, frames, put_off };
    }"""
    assert page.evaluate(turns) == {"cancelled": 0, "frames": 60, "put_off": 0}


# --- what went wrong


def test_a_failed_job_says_why_and_offers_no_download(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """The service declined it: there is nothing to download, and the reason helps to change the prompt."""
    service = scripted.service()
    service.status("failed")
    service.result({"status": "failed", "error": "the painter fell asleep"})
    page = revisit(scripted.app)
    job = press_generate(page, "without files")
    expect_state(job, "failed")
    reason = translate("en", "problem_poll_failed_at_service_reason", reason="the painter fell asleep")
    expect(job.locator(".message")).to_have_text(reason)
    expect(job).to_contain_text(translate("en", "request_id", request_id=service.request_id))
    expect(job.locator(".fetch-again:visible")).to_have_count(0)


def test_a_job_that_was_paid_for_can_be_downloaded_later(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """What was paid for can still be had, without a second submit."""
    service = scripted.service()
    service.status(json_response({"error_code": 404001, "message": "unknown request"}, 404))
    page = revisit(scripted.app)
    posts = service.posts
    job = press_generate(page, "found again")
    expect_state(job, "failed")
    expect(job).to_contain_text(translate("en", "problem_poll_not_found"))
    service.completes()
    job.get_by_role("button", name=translate("en", "fetch_again")).click()
    expect_state(job, "done")
    expect(job.locator("img")).to_have_count(1)
    assert service.posts == posts + 1


@pytest.mark.parametrize(("status", "error_code"), [(429, None), (402, 400002)], ids=["busy", "no balance"])
def test_what_was_never_accepted_is_tried_again_with_one_click(
    scripted: ScriptedApp, revisit: OpenPage, status: int, error_code: int | None
) -> None:
    """Nothing was sent or billed: one button sends it anew, and it is paid once."""
    service = scripted.service()
    refusal = {"error_code": error_code} if error_code else {}
    service.accept(
        json_response({"message": "not now", **refusal}, status), json_response({"request_id": service.request_id})
    )
    service.completes()
    page = revisit(scripted.app)
    posts, prompt = service.posts, f"tried again after {status}"
    job = press_generate(page, prompt)
    expect_state(job, "failed")
    again = job.get_by_role("button", name=translate("en", "try_again"), exact=True)
    again.focus()
    page.keyboard.down("Enter")
    page.keyboard.down("Enter")  # held, it repeats
    page.keyboard.up("Enter")
    expect(page.locator(".job[data-state=done]").filter(has_text=prompt)).to_have_count(1)
    assert service.posts == posts + 2


def test_a_lost_response_is_shown_as_outcome_unknown(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """It may be running and billed; the person decides, not the program."""
    service = scripted.service()
    service.accept(ScriptedResponse(502, b"bad gateway"))
    page = revisit(scripted.app)
    posts = service.posts
    job = press_generate(page, "lost on the way")
    expect_state(job, "submit_unclear")
    expect(job).to_contain_text(translate("en", "message_submit_unclear"))
    expect(job.locator(".cancel:visible, .fetch-again:visible")).to_have_count(0)
    assert service.posts == posts + 1


# --- one's own key


def test_a_visitor_pays_with_their_own_key_and_takes_it_back(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """The browser keeps nothing of it but its last characters on the screen; a job without its key says so."""
    page = open_page(scripted.app)
    service = scripted.service()
    service.status("in_queue")
    key_suffix = "<b>!"  # whatever a key ends with, it is text
    page.get_by_text(translate("en", "own_key"), exact=True).click()
    field = page.get_by_label(translate("en", "own_key_label"))
    expect(field).to_have_attribute("autocomplete", "new-password")
    field.fill(f"rc-browser-key-{key_suffix}")
    field.press("Enter")
    expect(page.get_by_text(translate("en", "own_key_given", hint=key_suffix))).to_be_visible()
    expect(page.locator("#own-key-input")).to_have_value("")
    job = press_generate(page, "paid by myself")
    expect_state(job, "queued")
    expect(job.locator(".facts")).to_contain_text(translate("en", "own_key_job"))
    with page.expect_response("**/dreamina/prices?*"):
        page.get_by_role("button", name=translate("en", "own_key_remove")).click()
    expect(job.locator(".message")).to_have_text(translate("en", "problem_poll_key_needed_own_key"))
    expect(cancel_button(job)).to_be_hidden()
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.documentElement.outerHTML])"
    )
    assert "rc-browser" not in stored
    service.completes()
    page.locator("#own-key-input").fill(f"rc-browser-key-{key_suffix}")
    page.get_by_role("button", name=translate("en", "own_key_use")).click()
    expect_state(job, "done")
    page.reload()
    expect(page.get_by_text(translate("en", "own_key_given", hint=key_suffix))).to_be_visible()
    paid = [seen for seen in scripted.server.requests if service.request_id in seen.path]
    assert {seen.header("authorization") for seen in paid} == {f"Bearer rc-browser-key-{key_suffix}"}
