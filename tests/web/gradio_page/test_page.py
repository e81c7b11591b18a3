"""The page's promises, in a real Chromium on a real app."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request, Route, expect

from dreamina_ui.models.schema import load_models
from dreamina_ui.models.sizes import choice_label
from dreamina_ui.settings import TOKEN_VARIABLES
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE
from dreamina_ui.web.i18n.translate import field_texts, languages, translate
from dreamina_ui.web.paths import asset_path
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.browser import AppProcess, HeldSandbox, ScriptedApp, wait_for
from tests.support.contexts import Contexts
from tests.support.harness import MODEL_ID

TITLES = {field.parameter: field_texts(field, "en")[0] for field in load_models()[MODEL_ID].fields}
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

WORDS = f"import(new URL('{asset_path('core/words.js')}', document.baseURI).href)"
"""The module with the texts, in the page."""

OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(contexts: Contexts) -> Iterator[OpenPage]:
    """Opens a page as a new visitor; at the end no script has broken, none was refused, and nobody's has run."""
    pages: list[Page] = []
    errors: list[str] = []

    def note_error(exc: Error) -> None:
        errors.append(str(exc))

    def note_refusal(said: ConsoleMessage) -> None:
        errors.extend([said.text] if "Security Policy" in said.text else [])

    def open_one(app: AppProcess, prepare: Callable[[Page], None] | None = None, **context: Any) -> Page:
        page = (contexts.open if prepare else contexts.lend)(app.url, **context)
        page.on("pageerror", note_error)
        page.on("console", note_refusal)
        pages.append(page)
        if prepare:
            prepare(page)
        page.goto(app.url)
        await_form(page)
        return page

    yield open_one
    injected = [page.evaluate("window.__pwned") for page in pages if not page.is_closed()]
    for page in pages:
        page.remove_listener("pageerror", note_error)
        page.remove_listener("console", note_refusal)
        contexts.take_back(page)
    assert errors == []
    assert set(injected) <= {None}


def await_form(page: Page, field: str = "#form[data-ready]") -> None:
    """Wait until Gradio has built the form and the draft is back in it."""
    expect(page.locator(field)).to_be_attached()


def prompt_box(page: Page) -> Locator:
    return page.locator("#field-prompt textarea")


def card(page: Page, prompt: str) -> Locator:
    return page.locator(".job").filter(has=page.get_by_text(prompt, exact=True))


def press_generate(page: Page, prompt: str) -> Locator:
    """Write a prompt and press Generate; gives the job's card."""
    prompt_box(page).fill(prompt)
    page.locator("#generate").click()
    made = card(page, prompt)
    expect(made).to_be_visible()
    return made


def expect_state(job: Locator, state: str, language: str = "en") -> None:
    expect(job.locator(".state")).to_contain_text(translate(language, f"state_{state}"))


def cancel_button(job: Locator, language: str = "en") -> Locator:
    return job.get_by_role("button", name=translate(language, "cancel"), exact=True)


# --- from a prompt to pictures


def test_a_prompt_becomes_pictures_that_can_be_saved(app: AppProcess, open_page: OpenPage, tmp_path: Path) -> None:
    """The main road: a stranger presses one button and keeps what the service made, byte for byte."""
    page = open_page(app)
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


def test_the_states_are_shown_in_words(held: HeldSandbox, open_page: OpenPage) -> None:
    """Who waits wants to know for what: the place in the queue, then the run, then the pictures."""
    page = open_page(held.app, reduced_motion="no-preference")
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


def test_ctrl_enter_generates(app: AppProcess, open_page: OpenPage) -> None:
    """The hands stay on the keyboard."""
    page = open_page(app)
    prompt_box(page).fill("by keyboard")
    prompt_box(page).press("Control+Enter")
    expect(card(page, "by keyboard")).to_be_visible()


def test_a_double_click_is_one_job(held: HeldSandbox, open_page: OpenPage) -> None:
    """One wish, one bill."""
    page = open_page(held.app)
    prompt_box(page).fill("clicked twice")
    page.locator("#generate").dblclick()
    expect_state(card(page, "clicked twice"), "queued")
    expect_state(press_generate(page, "clicked later"), "queued")
    assert [item["inputs"]["prompt"] for item in held.requests()].count("clicked twice") == 1
    expect(page.locator(".job")).to_have_count(2)
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


def test_a_card_loads_pictures_as_large_as_it_shows_them(
    scripted: ScriptedApp, open_page: OpenPage, contexts: Contexts
) -> None:
    """Older images are small: their large copies would take six times the bytes, and the browser's time."""
    service = scripted.service()
    service.completes(*(service.picture(f"wide-{number}.png", (1400, 1000)) for number in range(4)))
    page = open_page(scripted.app)
    expect_state(press_generate(page, "four in a row"), "done")
    service = scripted.service()
    service.completes(service.picture("wide.png", (1400, 1000)))
    image = press_generate(page, "one on the stage").locator("img")
    expect(image).to_have_count(1)
    assert "preview" in image.evaluate("image => image.decode().then(() => image.currentSrc)")
    with closing(contexts.open(scripted.app.url, storage_state=page.context.storage_state())) as another:
        another.goto(scripted.app.url)  # with an empty cache: on the stage, the four have been larger
        check_sizes(card(another, "four in a row").locator("img"))


def check_sizes(images: Locator) -> None:
    expect(images).to_have_count(4)
    for image in images.all():
        image.scroll_into_view_if_needed()
        loaded = image.evaluate("image => image.decode().then(() => [image.currentSrc, image.clientWidth])")
        assert "thumbnail" in loaded[0], loaded
        assert 60 < loaded[1] <= 400


# --- several jobs, cancel


def cancel_all(page: Page) -> None:
    """Leave nothing in the queue for the next test's clock to paint."""
    for job in page.locator(".job").all():
        if cancel_button(job).is_visible():
            cancel_button(job).click()
        expect_state(job, "cancelled")


def test_each_job_has_its_own_cancel(held: HeldSandbox, open_page: OpenPage) -> None:
    """Cancel means this one, never the neighbour."""
    page = open_page(held.app)
    older = press_generate(page, "the older one")
    newer = press_generate(page, "the newer one")
    expect(page.locator(".job .prompt")).to_have_text(["the newer one", "the older one"])
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


def test_a_click_on_cancel_is_acknowledged_before_the_server_responds(held: HeldSandbox, open_page: OpenPage) -> None:
    """Who presses must see at once that it worked, and must not read more than is known."""
    page = open_page(held.app)
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


def test_too_late_to_cancel_is_said_and_the_pictures_come(held: HeldSandbox, open_page: OpenPage) -> None:
    """A running job cannot be cancelled; what is paid for is kept."""
    page = open_page(held.app)
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


def test_a_reload_in_mid_job_finds_the_job_again(held: HeldSandbox, open_page: OpenPage) -> None:
    """The job belongs to the server; the page only looks."""
    page = open_page(held.app)
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


def test_two_visitors_do_not_see_each_others_jobs(held: HeldSandbox, open_page: OpenPage) -> None:
    """A shared link is not a shared desk."""
    item, other = open_page(held.app), open_page(held.app)
    press_generate(item, "only mine")
    press_generate(other, "only theirs")
    for page, own in ((item, "only mine"), (other, "only theirs")):
        page.reload()
        await_form(page)
        expect(page.locator(".job .prompt")).to_have_text([own])
        expect_state(card(page, own), "queued")
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


def test_a_lost_server_is_shown_and_found_again(held: HeldSandbox, open_page: OpenPage) -> None:
    """A restart of the server costs the people at its pages nothing, not even a click."""
    page = open_page(held.app)
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
    expect(page.locator(".job")).to_have_count(1)


def test_one_stream_while_something_runs_and_none_after(held: HeldSandbox, open_page: OpenPage) -> None:
    """A browser has six connections for a server: seven open tabs must not be one too many."""
    page = open_page(held.app)
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


def wait_on(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for something that the browser tells of."""

    def ask() -> bool:
        page.wait_for_timeout(5)
        return condition()

    wait_for(ask)


# --- any text is only text


COUNT_FRAMES = """
window.asked = 0;
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (call) => { window.asked += 1; return ask(call); };
"""


def test_an_idle_page_comes_to_rest(held: HeldSandbox, open_page: OpenPage) -> None:
    """A tab that is left open must not drain a phone: Gradio's loading clock would ask for every frame, forever."""
    page = open_page(held.app, lambda page: page.add_init_script(COUNT_FRAMES), reduced_motion="no-preference")
    a_second = """async () => {
        const before = window.asked;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return window.asked - before;
    }"""
    wait_for(lambda: page.evaluate(a_second) < 10)


def test_what_moves_for_a_moment_gets_every_frame_and_can_be_cancelled(held: HeldSandbox, open_page: OpenPage) -> None:
    """Bringing loops to rest must cost nothing that a person sees."""
    page = open_page(held.app, reduced_motion="no-preference")
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


def test_eight_hundred_characters_of_any_kind_are_accepted(held: HeldSandbox, open_page: OpenPage) -> None:
    """The service counts code points: 800 emoji are no more than 800 letters."""
    page = open_page(held.app)
    text = "🦊" * 800
    prompt_box(page).fill(text)
    expect(page.locator("#field-prompt .counter")).to_have_text(translate("en", "counter", count=800, limit=800))
    expect_state(press_generate(page, text), "queued")
    assert held.requests()[-1]["inputs"]["prompt"] == text
    cancel_all(page)


def test_one_character_too_many_is_refused_by_name(app: AppProcess, open_page: OpenPage) -> None:
    """The person learns which field, and that nothing was sent; text in the refusal is only text."""
    page = open_page(app)
    before = app.count_jobs()
    prompt_box(page).fill("<img src=x onerror='window.__pwned=1'>" + "🦊" * 763)
    expect(page.locator("#field-prompt .counter")).to_have_text(translate("en", "too_long", count=801, limit=800))
    page.locator("#generate").click()
    problem = page.locator("#press-problem")
    expect(problem).to_contain_text(TITLES["prompt"])
    expect(problem).to_contain_text(translate("en", "rule_maxLength", limit=800))
    expect(page.locator("img[src=x]")).to_have_count(0)
    expect(page.locator(".job")).to_have_count(0)
    assert app.count_jobs() == before


def test_right_to_left_text_runs_right_to_left(held: HeldSandbox, open_page: OpenPage) -> None:
    """Hebrew and Arabic are read from the right."""
    page = open_page(held.app)
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
    page = open_page(held.app, locale="fr-FR", viewport={"width": 390, "height": 844})
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_card_can_be_read_in_both_schemes(scripted: ScriptedApp, open_page: OpenPage, scheme: str) -> None:
    """A failure nobody can read is a failure nobody understands (4.5 : 1, WCAG 2.2, 1.4.3)."""
    service = scripted.service()
    service.status("failed")
    service.result({"status": "failed", "error": "blocked"})
    page = open_page(scripted.app, color_scheme=scheme)
    job = press_generate(page, f"in the {scheme}")
    expect_state(job, "failed")
    for part in (".prompt", ".state-text", ".message", ".settings", ".facts", "button.edit-prompt"):
        assert job.locator(part).evaluate(CONTRAST) >= 4.5, part


def test_the_sandbox_says_that_it_is_one(app: AppProcess, held: HeldSandbox, open_page: OpenPage) -> None:
    """Nobody mistakes painted play for the real thing, and the owner reads what to set."""
    expect(open_page(app).locator("#sandbox-banner")).to_contain_text(TOKEN_VARIABLES[0])
    assert '"uses_sandbox": false' in requests.get(held.app.url, timeout=10).text


# --- what went wrong


def test_a_failed_job_says_why_and_offers_no_download(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """The service declined it: there is nothing to download, and the reason helps to change the prompt."""
    service = scripted.service()
    service.status("failed")
    service.result({"status": "failed", "error": "the painter fell asleep"})
    page = open_page(scripted.app)
    job = press_generate(page, "without files")
    expect_state(job, "failed")
    reason = translate("en", "problem_poll_failed_at_service_reason", reason="the painter fell asleep")
    expect(job.locator(".message")).to_have_text(reason)
    expect(job).to_contain_text(translate("en", "request_id", request_id=service.request_id))
    expect(job.locator(".fetch-again:visible")).to_have_count(0)


def test_a_job_that_was_paid_for_can_be_downloaded_later(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """What was paid for can still be had, without a second submit."""
    service = scripted.service()
    service.status(json_response({"error_code": 404001, "message": "unknown request"}, 404))
    page = open_page(scripted.app)
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
    scripted: ScriptedApp, open_page: OpenPage, status: int, error_code: int | None
) -> None:
    """Nothing was sent or billed: one button sends it anew, and it is paid once."""
    service = scripted.service()
    refusal = {"error_code": error_code} if error_code else {}
    service.accept(
        json_response({"message": "not now", **refusal}, status), json_response({"request_id": service.request_id})
    )
    service.completes()
    page = open_page(scripted.app)
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


def test_a_lost_response_is_shown_as_outcome_unknown(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """It may be running and billed; the person decides, not the program."""
    service = scripted.service()
    service.accept(ScriptedResponse(502, b"bad gateway"))
    page = open_page(scripted.app)
    posts = service.posts
    job = press_generate(page, "lost on the way")
    expect_state(job, "submit_unclear")
    expect(job).to_contain_text(translate("en", "message_submit_unclear"))
    expect(job.locator(".cancel:visible, .fetch-again:visible")).to_have_count(0)
    assert service.posts == posts + 1


# --- keyboard and screen reader


def test_every_input_has_a_label(held: HeldSandbox, open_page: OpenPage) -> None:
    """A screen reader says what a field is for."""
    page = open_page(held.app)
    for title in TITLES.values():
        expect(page.get_by_label(title).first).to_be_visible()
    unnamed = page.locator("input:visible, textarea:visible, button:visible").evaluate_all(
        """nodes => nodes.filter(node => !(node.labels?.length || node.ariaLabel || node.textContent.trim()
            || node.getAttribute("aria-labelledby"))).map(node => node.outerHTML)"""
    )
    assert unnamed == []


def test_tab_reaches_generate_and_cancel_with_visible_focus(held: HeldSandbox, open_page: OpenPage) -> None:
    """All of it works without a mouse, and one sees where one is."""
    page = open_page(held.app)
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
