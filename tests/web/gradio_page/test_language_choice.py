"""One language everywhere: what was chosen on the page, or else what the browser asks for."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from dreamina_ui.web.http import LANGUAGE_COOKIE
from dreamina_ui.web.i18n.translate import languages, page_words, translate
from dreamina_ui.web.paths import words_path
from tests.support.browser import HeldSandbox, Visitor


def get(held: HeldSandbox, path: str, **options: Any) -> requests.Response:
    return requests.get(f"{held.app.url}/{path}", timeout=10, **options)


@pytest.mark.parametrize(
    ("accepted", "chosen", "asked", "language"),
    [("ja-JP", None, None, "ja"), ("ja", "en", None, "en"), ("ja", "en", "ja", "ja"), ("ja", "<x>", "../en", "ja")],
)
def test_what_was_chosen_comes_before_what_the_browser_asks_for(
    held: HeldSandbox, accepted: str, chosen: str | None, asked: str | None, language: str
) -> None:
    """On the page, where Gradio reads it, and in the responses of our own routes."""
    options: dict[str, Any] = {"headers": {"Accept-Language": accepted}, "params": {"language": asked} if asked else {}}
    options["cookies"] = {LANGUAGE_COOKIE: chosen} if chosen else {}
    reported = re.findall(r'<html\s+lang="(.*?)"|data-language="(.*?)"', get(held, "", **options).text)
    assert reported == [(language, ""), ("", language)]
    message = get(held, "dreamina/jobs/nothing", **options).json()["message"]
    assert message == translate(language, "error_job_not_found")


def test_a_request_is_refused_in_the_chosen_language(held: HeldSandbox) -> None:
    """The page sends its language with Gradio's calls, also where a frame is refused every cookie."""
    visitor = Visitor(held.app)
    visitor.http.headers["Accept-Language"] = "ja"
    assert translate("ja", "rule_required") in visitor.press(prompt=" ")["message"]


@pytest.mark.parametrize("language", list(languages()))
def test_the_words_of_a_language_are_one_file_that_browsers_keep(held: HeldSandbox, language: str) -> None:
    """A visit does not pay for languages that nobody there reads, and the next one for none."""
    response = get(held, words_path(language))
    assert response.content == page_words(language)
    assert "immutable" in response.headers["Cache-Control"]


def test_there_are_no_words_of_an_unknown_language(held: HeldSandbox) -> None:
    """The name of a language is never a path."""
    for name in ("xx", "..%2Fen", "EN", "en.json"):
        assert get(held, f"dreamina/words/0/{name}.json").status_code == 404
