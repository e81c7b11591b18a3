"""Our parts of the page, as Gradio components: each mounts one custom element, which a module of `static/` defines.

Gradio renders the empty element once and never changes it again; everything inside is the element's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gradio as gr

from dreamina_ui.web.gradio_page.import_patch import skip_stub_files

with skip_stub_files():  # otherwise Gradio writes a stub file next to this one

    class CustomElement(gr.HTML):
        """A component that shows one custom element of ours."""

        tag: ClassVar[str]
        element_id: ClassVar[str] = ""
        on_load: ClassVar[str | None] = None

        def __init__(self, **kwargs: Any) -> None:
            name = self.element_id or self.tag.removeprefix("dreamina-")
            super().__init__(
                html_template=f'<{self.tag} id="{name}"></{self.tag}>',
                js_on_load=self.on_load,
                apply_default_css=False,
                elem_id=f"{name}-frame",
                **kwargs,
            )

    class Header(CustomElement):
        """The name, the language, notices about this installation, and links."""

        tag = "dreamina-header"
        element_id = "top"

    class FormBridge(CustomElement):
        """Invisible: lets the page's modules set the values of Gradio's form, and select one of Gradio's tabs.

        Its events run listeners in the browser; no request is sent.
        """

        tag = "dreamina-form-bridge"
        on_load = (
            "element.querySelector('dreamina-form-bridge').gradio = "
            "{ fill: () => trigger('fill'), show_tab: () => trigger('show_tab'), switch: () => trigger('switch'), "
            "admin: () => trigger('admin') };"
        )

    class MoreModels(CustomElement):
        """Opens the chooser of all models, and names the one whose form is not Gradio's."""

        tag = "dreamina-more-models"

    class FormProblem(CustomElement):
        """Why the last request was refused."""

        tag = "dreamina-form-problem"

    class FormNotes(CustomElement):
        """The price, and what is left today."""

        tag = "dreamina-form-notes"

    class Sheet(CustomElement):
        """On a narrow window, the button that shows the settings."""

        tag = "dreamina-sheet"

    class Batch(CustomElement):
        """Many jobs from one text: the form, the jobs in rows and columns, and the batches so far."""

        tag = "dreamina-batch"

    class ApiKey(CustomElement):
        """The field for a visitor's own RunComfy key."""

        tag = "dreamina-api-key"
        element_id = "own-key"

    class Notices(CustomElement):
        """The switch for notifications."""

        tag = "dreamina-notices"

    class Tools(CustomElement):
        """Buttons above the images: hide the form, show the examples."""

        tag = "dreamina-tools"
        element_id = "tool-box"

    class Stage(CustomElement):
        """The newest job, large."""

        tag = "dreamina-stage"

    class Feed(CustomElement):
        """The older jobs."""

        tag = "dreamina-feed"
        element_id = "jobs"

    class Library(CustomElement):
        """All stored images, with filters."""

        tag = "dreamina-library"

    class Admin(CustomElement):
        """Activity, spending and controls, in a tab that only the owner's page shows."""

        tag = "dreamina-admin"
