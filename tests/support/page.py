"""What tests do on the page: write a prompt, press Generate, and wait for what a card says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from dreamina_ui.models.schema import load_models
from dreamina_ui.web.i18n.translate import field_texts, translate
from tests.support.browser import wait_for
from tests.support.harness import MODEL_ID

OpenPage = Callable[..., Page]
"""What the fixtures `open_page`, `revisit` and `open_library` are."""

TITLES = {field.parameter: field_texts(field, "en")[0] for field in load_models()[MODEL_ID].fields}


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


def cancel_all(page: Page) -> None:
    """Leave nothing in the queue for the next test's clock to paint."""
    unsettled = page.locator(".job[data-state=submitting], .job[data-state=queued]")
    for job_id in unsettled.evaluate_all("jobs => jobs.map(job => job.dataset.jobId)"):
        job = page.locator(f'.job[data-job-id="{job_id}"]')
        cancel_button(job).click()
        expect_state(job, "cancelled")


def wait_on(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for something that the browser tells of."""

    def ask() -> bool:
        page.wait_for_timeout(5)
        return condition()

    wait_for(ask)


@contextmanager
def script_before_others(page: Page, script: str) -> Iterator[None]:
    """What `page` loads meanwhile runs this script first; unlike an init script, it leaves the page again."""
    tool = page.context.new_cdp_session(page)
    tool.send("Page.enable")
    added = tool.send("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    yield
    tool.send("Page.removeScriptToEvaluateOnNewDocument", added)
    tool.detach()
