"""Rules that hold for all style sheets of the page."""

from __future__ import annotations

import re

from dreamina_ui.web.paths import static_files


def test_no_style_depends_on_what_is_deep_inside() -> None:
    """Each image that the library adds would restyle the whole page: that took 13 times as long."""
    sheets = {name: path.read_text(encoding="utf-8") for name, path in static_files().items() if name.endswith(".css")}
    deep = {name: re.findall(r":has\((?!> )[^\n{]*", text) for name, text in sheets.items()}
    assert sheets
    assert not {name: rules for name, rules in deep.items() if rules}
