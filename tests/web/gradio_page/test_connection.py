"""The page notices a connection that is dead, held back, gone or signed out; in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
import requests
from playwright.sync_api import Browser, Page, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_proxy import BadProxy
from tests.support.browser import AppProcess, HeldSandbox, read_events, wait_for
from tests.support.page import OpenPage, await_form, cancel_button, card, expect_state, press_generate, prompt_box

ALICE = ("alice", "wonderland")
LOCALES = {"en": "en-US", "ja": "ja-JP"}
OFFLINE = "#connection"
SIGNED_OUT = "#signed-out"


@pytest.fixture
def proxy(held_proxy: BadProxy) -> BadProxy:
    held_proxy.reset()
    return held_proxy


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app that only people with a login may use, with jobs that take a minute."""
    settings = {"DREAMINA_AUTH": ":".join(ALICE), "DREAMINA_SANDBOX_RUN_S": "60"}
    with AppProcess(tmp_path_factory.mktemp("closed"), **settings) as running:
        yield running


def install_clock(page: Page) -> None:
    page.clock.install()


def enter(page: Page, app: AppProcess, language: str = "en") -> None:
    """Sign in with the form that a closed page leads to."""
    page.goto(app.url)
    page.get_by_label(translate(language, "sign_in_name")).fill(ALICE[0])
    page.get_by_label(translate(language, "sign_in_password")).fill(ALICE[1])
    page.get_by_role("button", name=translate(language, "sign_in")).click()


def test_a_page_whose_modules_do_not_load_says_so(browser: Browser, held: HeldSandbox) -> None:
    """Otherwise people would see forever the outline that stands for the page until they have loaded."""
    page = browser.new_page(locale="en-US")
    page.route("**/core/words.js", lambda route: route.abort())
    page.goto(held.app.url, wait_until="commit")
    expect(page.get_by_role("alert")).to_contain_text(translate("en", "load_failed"))
    expect(page.locator("#loading")).to_have_count(0)
    page.close()


def test_the_form_is_shown_however_late_the_other_modules_are(browser: Browser, held: HeldSandbox) -> None:
    """Gradio may restore the draft before main.js listens: the form then stayed empty until something changed."""
    page = browser.new_page(locale="en-US")
    late: list[Route] = []
    page.route("**/stage/stage.js", lambda route: late.append(route))
    page.goto(held.app.url, wait_until="domcontentloaded")
    page.evaluate(
        "async (path) => (await import(new URL(path, document.querySelector('#dreamina-main').src))).form.ready",
        "form/state.js",
    )
    late[0].continue_()
    expect(prompt_box(page)).to_be_visible()
    page.close()


# --- streams


def wait_until_accepted(held: HeldSandbox, prompt: str) -> None:
    """Wait until the service has a job: its clock moves only those."""
    wait_for(lambda: prompt in [request["inputs"]["prompt"] for request in held.requests()])


def test_a_frozen_stream_is_replaced_within_45_seconds(held: HeldSandbox, proxy: BadProxy, open_page: OpenPage) -> None:
    """After a sleep or a change of networks a connection may be dead without a sign."""
    page = open_page(proxy, install_clock, alone=True)
    job = press_generate(page, "on a frozen stream")
    wait_until_accepted(held, "on a frozen stream")
    wait_for(lambda: proxy.open_streams == 1)
    proxy.freeze()
    held.begin()
    held.finish()
    wait_for(lambda: held.app.count_jobs("done") > 0, 60)
    page.clock.fast_forward(40_000)
    expect_state(job, "done")


def test_a_stream_that_is_held_back_is_replaced_by_polling_within_10_seconds(
    held: HeldSandbox, proxy: BadProxy, open_page: OpenPage
) -> None:
    """Some tunnels and virus scanners pass on nothing of a stream before its end."""
    page = open_page(proxy, install_clock, alone=True)
    proxy.holds_streams = True
    job = press_generate(page, "on a held stream")
    wait_until_accepted(held, "on a held stream")
    page.clock.fast_forward(8_000)
    held.begin()
    expect_state(job, "running")
    expect(page.locator(OFFLINE)).to_be_hidden()
    page.clock.fast_forward(20_000)
    held.finish()
    page.clock.fast_forward(5_000)
    expect_state(job, "done")


def test_a_server_that_is_away_is_noticed_when_nothing_runs(proxy: BadProxy, open_page: OpenPage) -> None:
    """Otherwise the first thing that fails is a job."""
    page = open_page(proxy, install_clock, alone=True)
    proxy.is_down = True
    page.clock.fast_forward(15_000)
    expect(page.locator(OFFLINE)).to_be_visible()
    proxy.is_down = False
    page.clock.fast_forward(5_000)
    expect(page.locator(OFFLINE)).to_be_hidden()


# --- signed out


@pytest.mark.parametrize("language", LOCALES)
def test_a_signed_out_page_says_so_and_loses_nothing(closed: AppProcess, open_page: OpenPage, language: str) -> None:
    """The page was signed out in another tab; what was typed stays, and the way back is one click."""
    page = open_page(closed, lambda page: enter(page, closed, language), locale=LOCALES[language])
    job = press_generate(page, f"under way, {language}")
    other = page.context.new_page()
    other.goto(f"{closed.url}/dreamina/sign-in")
    other.get_by_role("button", name=translate(language, "sign_out")).click()
    expect(other.get_by_label(translate(language, "sign_in_password"))).to_be_visible()

    prompt_box(page).fill("typed before")
    page.locator("#generate").click()
    notice = page.locator(SIGNED_OUT)
    expect(notice).to_contain_text(translate(language, "signed_out"))
    expect(page.locator("#press-problem")).to_have_text(translate(language, "signed_out"))
    expect(page.locator("#form")).not_to_contain_text("undefined")
    cancel = cancel_button(job, language)
    cancel.click()
    expect(cancel).to_be_enabled()
    expect(job.locator(".message")).to_have_text(translate(language, "signed_out"))
    notice.get_by_role("link", name=translate(language, "sign_in_again")).click()
    page.get_by_label(translate(language, "sign_in_name")).fill(ALICE[0])
    page.get_by_label(translate(language, "sign_in_password")).fill(ALICE[1])
    page.get_by_role("button", name=translate(language, "sign_in")).click()
    await_form(page)
    expect(prompt_box(page)).to_have_value("typed before")
    expect(page.locator(SIGNED_OUT)).to_have_count(0)


def test_a_stream_ends_when_its_session_does(closed: AppProcess) -> None:
    """Whoever takes over a borrowed browser must not read along."""
    session = requests.Session()
    session.post(f"{closed.url}/dreamina/sign-in", json=dict(zip(("username", "password"), ALICE, strict=True)))
    body = {"model_id": "bytedance/dreamina-4-0/text-to-image", "inputs": {"prompt": "read along"}}
    assert session.post(f"{closed.url}/dreamina/generate", json=body, timeout=20).ok
    with session.get(f"{closed.url}/dreamina/events", stream=True, timeout=20) as stream:
        events = read_events(stream)
        assert next(events)[0] == "jobs"
        other = requests.Session()
        other.cookies.update(session.cookies)
        other.post(f"{closed.url}/dreamina/sign-out", timeout=10)
        assert len(list(islice(events, 5))) < 5
    assert session.get(f"{closed.url}/dreamina/events", timeout=10).status_code == 401


# --- two installations on one host


def test_two_installations_on_one_host_do_not_touch_each_other(
    tmp_path_factory: pytest.TempPathFactory, closed: AppProcess, open_page: OpenPage
) -> None:
    """Browsers send the cookies of a host to all its ports."""
    settings = {"DREAMINA_AUTH": ":".join(ALICE)}
    with AppProcess(tmp_path_factory.mktemp("second"), **settings) as second:
        page = open_page(closed, lambda page: enter(page, closed))
        press_generate(page, "at the first")
        other = page.context.new_page()
        enter(other, second)
        await_form(other)
        expect(other.locator(".job")).to_have_count(0)
        page.reload()
        await_form(page)
        expect(card(page, "at the first")).to_be_visible()
        other.goto(f"{second.url}/dreamina/sign-in")
        other.get_by_role("button", name=translate("en", "sign_out")).click()
        page.reload()
        await_form(page)
        names = {str(cookie["name"]) for cookie in page.context.cookies()}
    assert len([name for name in names if name.startswith("dreamina_visitor_")]) == 2
