"""What happens in the browser when somebody uses the form: each listener calls a function of `form/gradio.js`.

None of them sends a request: Gradio's queue would build a session for each new visitor on the event loop, and a crowd
would wait for seconds. Jobs go to a route of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dreamina_ui.web.gradio_page.components import FormBridge
from dreamina_ui.web.paths import asset_path

MODULE = "form/gradio.js"


@dataclass(frozen=True)
class Form:
    """The components that the listeners connect.

    Attributes:
        inputs: the choice of the model, then every model's fields in order.
        tabs_by_id: each tab of `tabs`.
    """

    bridge: FormBridge
    inputs: list[gr.components.Component]
    generate: gr.Button
    tabs: gr.Tabs
    tabs_by_id: Mapping[str, gr.Tab]


def listen(page: gr.Blocks, form: Form) -> None:
    """Add all listeners to the page that is being built."""
    inputs = form.inputs
    private: Any = {"api_visibility": "private"}
    page.load(None, inputs, inputs, js=_call("restore"), **private)
    gr.on([component.change for component in inputs], None, inputs, js=_call("changed"), **private)  # type: ignore[attr-defined]
    inputs[0].change(None, inputs, inputs, js=_call("modelChanged"), **private)  # type: ignore[attr-defined]
    form.generate.click(None, inputs, js=_call("generate"), **private)
    form.bridge.fill(None, inputs, inputs, js=_call("fill"), **private)
    form.bridge.show_tab(None, None, form.tabs, js=_call("shownTab"), **private)
    form.bridge.switch(None, None, form.generate, js=_call("switchedGenerate"), **private)
    form.bridge.admin(None, None, form.tabs_by_id["admin"], js=_call("shownAdmin"), **private)
    for name, tab in form.tabs_by_id.items():
        tab.select(None, js=_call("selectedTab", name), **private)


def _call(name: str, *arguments: str) -> str:
    """A function for Gradio that calls one of the module, with these arguments and the values of the components."""
    url = f"new URL({asset_path(MODULE)!r}, document.baseURI).href"
    given = "".join(f"{argument!r}, " for argument in arguments)
    return f"(...values) => import({url}).then((form) => form.{name}({given}...values))"
