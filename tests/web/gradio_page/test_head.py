"""What the page's head preloads is what its modules import."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from dreamina_ui.web.gradio_page.head import MAIN, PARTS, PageHead, page_facts
from dreamina_ui.web.gradio_page.listeners import MODULE
from dreamina_ui.web.paths import asset_path, static_files

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
    head = PageHead(page_facts([])).to_html("en", "http://localhost/", "n")
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
