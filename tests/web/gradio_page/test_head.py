"""What the page's HTML loads is what its modules import, and shows its outline until then."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.testclient import TestClient

from dreamina_ui.web.gradio_page.head import MAIN, PARTS, PageHtml, page_facts, page_styles
from dreamina_ui.web.gradio_page.listeners import MODULE
from dreamina_ui.web.i18n.translate import languages, translate
from dreamina_ui.web.paths import asset_path, static_files
from dreamina_ui.web.routes.page_files import build_page_file_routes

IMPORT = re.compile(r'^(?:import|export)\b[^;"]*"(\.[^"]+)";', re.MULTILINE)


def imported(*names: str, known: Iterable[str] = ()) -> set[str]:
    """The names of modules and of all that they import at once, without the known ones."""
    names_seen: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in names_seen or name in known:
            continue
        names_seen.add(name)
        text = static_files()[name].read_text(encoding="utf-8")
        waiting += (posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) for path in IMPORT.findall(text))
    return names_seen


def test_the_page_preloads_the_modules_that_it_runs_and_no_others() -> None:
    """A module that is not preloaded waits for the one that imports it; one that nobody needs delays the others."""
    head = PageHtml(page_facts([])).head("en", "http://localhost/", "n")
    preloaded = re.findall(r'rel="modulepreload" fetchpriority="low" href="([^"]+)"', head)
    assert sorted(preloaded) == sorted(map(asset_path, imported(MAIN, MODULE) - {MAIN}))


def test_each_part_preloads_the_modules_that_it_adds() -> None:
    """Opening the library or an image takes one wait, not one for each level of imports."""
    first = imported(MAIN, MODULE)
    parts = page_facts([])["parts"]
    assert parts.keys() == PARTS.keys()
    for part, names in parts.items():
        assert imported(f"{part}/{part}.js", known=first) <= set(names)
        assert not first & set(names)


def test_all_styles_of_the_page_come_as_one_file() -> None:
    """Nothing is painted before every style sheet is there, and each is a request."""
    head = PageHtml(page_facts([])).head("en", "http://localhost/", "n")
    (url,) = re.findall(r'rel="stylesheet" href="([^"]+)"', head)
    ((name, content),) = page_styles().items()
    assert url.endswith(f"/{name}")
    response = TestClient(Starlette(routes=build_page_file_routes(None, page_styles()))).get(url)
    assert response.content == content
    for style in ("page.css", "library/library.css", "viewer/viewer.css"):
        assert static_files()[style].read_bytes() in content
    assert b"url(" not in content, "it would be relative to another folder"


def test_the_page_shows_its_outline_before_any_script_runs() -> None:
    """On a slow line the scripts take seconds, and where JavaScript is off, they never run."""
    for language in languages():
        html = PageHtml(page_facts([])).body(language)
        for key in ("tab_create", "tab_library", "batch", "loading", "needs_javascript"):
            assert f">{translate(language, key)}<" in html
        assert asset_path("logo.svg") in html
