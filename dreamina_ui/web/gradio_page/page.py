"""The Gradio page: a form for each model, built from its input schema, and our own elements around it.

The page stores only ids and reads everything else back from the ledger, so that a reload loses nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from dreamina_ui.models.schema import Model
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page import components as ours
from dreamina_ui.web.gradio_page.endpoints import IDEMPOTENCY_ARGUMENT, Endpoints, add_endpoints
from dreamina_ui.web.gradio_page.form import build_form
from dreamina_ui.web.gradio_page.head import TITLE, PageHtml, page_facts
from dreamina_ui.web.gradio_page.listeners import Form, listen
from dreamina_ui.web.gradio_page.texts import component_texts, form_prefix
from dreamina_ui.web.gradio_page.theme import build_theme
from dreamina_ui.web.middleware.gradio_patches import limit_queue, skip_unused_apps
from dreamina_ui.web.paths import static_files

QUEUE_POLL_INTERVAL_S = 0.02
"""How often Gradio's queue looks for new calls. Its own default, 1 ms, wastes CPU time."""

MAX_STREAMS = 1000
"""How many events Gradio runs at once for all users; each open `/generate` stream is one."""


class _Page(gr.Blocks):
    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Refuse an endpoint call with too few or too many values, and list the expected ones.

        Gradio's own check (6.31) refuses too few without a reason, and drops surplus values.
        """
        if block_fn.api_visibility == "public" and len(inputs) != len(block_fn.inputs):
            name = block_fn.api_name
            parameters = [key for key in inspect.signature(block_fn.fn).parameters if key != "request"]
            if parameters[-1] == IDEMPOTENCY_ARGUMENT and len(inputs) == len(parameters) - 1:
                inputs.append("")  # programs from before that argument give one value less
                return
            raise gr.Error(
                f"/{name} takes exactly these values: {', '.join(parameters)}; it got {len(inputs)}. "
                f"POST to /gradio_api/call/v2/{name} to give only some, by name.",
                print_exception=False,
            )
        super().validate_inputs(block_fn, inputs)


def build_page(
    models: Mapping[str, Model],
    first: Model,
    permissions: Permissions,
    endpoints: Endpoints,
    *,
    uses_sandbox: bool,
    installation_id: str = "",
    keeps_data: bool = True,
    is_closed: bool = False,
) -> tuple[gr.Blocks, dict[str, Any], PageHtml]:
    """Build the page of all models.

    Args:
        models: by model_id.
        first: the model that is shown first, and that `/generate` runs.
        endpoints: what programs call.
        uses_sandbox: whether a note says that the images come from the sandbox.
        installation_id: part of the names under which the browser stores anything.
        keeps_data: whether images survive a restart; a note says so if they do not.
        is_closed: whether people must sign in to see the page; it then has a link to sign out.

    Returns:
        The Blocks, keyword arguments for `Blocks.launch`, and our part of the page's HTML.
    """
    in_order = [first, *(model for model in models.values() if model is not first)]
    texts = gr.I18n(**component_texts(in_order))
    with skip_unused_apps():
        page = _build_blocks(in_order, permissions, endpoints, texts)
    has_account = is_closed or permissions.uses_hugging_face
    facts = page_facts(
        in_order,
        installation_id,
        uses_sandbox=uses_sandbox,
        keeps_data=keeps_data,
        has_account=has_account,
    )
    return page, _launch_arguments(texts), PageHtml(facts)


def _build_blocks(models: Sequence[Model], permissions: Permissions, endpoints: Endpoints, texts: Any) -> gr.Blocks:
    page: gr.Blocks = _Page(title=TITLE, fill_width=True, analytics_enabled=False)
    with page:
        ours.Header()
        if permissions.uses_hugging_face:
            # Gradio enables OAuth for a page that has this button; the sign-in page has the link, in each language.
            gr.LoginButton(visible=False)
        form = _build_tabs(models, texts)
        listen(page, form)
        add_endpoints(endpoints, {model.model_id: model for model in models}, models[0])
    page.queue(api_open=False, default_concurrency_limit=None)
    page._queue.sleep_when_free = QUEUE_POLL_INTERVAL_S
    limit_queue(page)
    return page


def _build_tabs(models: Sequence[Model], texts: Any) -> Form:
    bridge = ours.FormBridge()
    with gr.Tabs(elem_id="tabs") as tabs:
        with gr.Tab(texts("ui_tab_create"), id="create") as create, gr.Row(elem_id="studio"):
            with gr.Column(elem_id="form", scale=1, min_width=300):
                inputs, generate = _build_form_column(models, texts)
            with gr.Column(elem_id="jobs-column", scale=2, min_width=300):
                for component in (ours.Stage, ours.Tools, ours.Feed):
                    component()
        with gr.Tab(texts("ui_tab_library"), id="library", render_children=True) as library:
            ours.Library()
        with gr.Tab(texts("ui_batch"), id="batch", render_children=True) as batch:
            ours.Batch()
        # Nothing of it is in the page of others: its name, texts and data come with responses to the owner alone.
        with gr.Tab("", id="admin", visible=False) as admin:
            ours.Admin()
    by_id = {"create": create, "library": library, "batch": batch, "admin": admin}
    return Form(bridge, inputs, generate, tabs, by_id)


def _build_form_column(models: Sequence[Model], texts: Any) -> tuple[list[gr.components.Component], gr.Button]:
    """The form and what stands below it; returns the model's choice, then every model's fields, and Generate."""
    model_choice = gr.Dropdown(
        [(model.title, model.model_id) for model in models],
        value=models[0].model_id,
        label=texts("ui_model"),
        elem_id="model",
        interactive=True,
        visible=len(models) > 1,
    )
    inputs: list[gr.components.Component] = [model_choice]
    ours.MoreModels()
    for index, model in enumerate(models):
        with gr.Column(elem_id=f"form-{index}", elem_classes="model-form"):
            inputs += build_form(model, texts, form_prefix(index)).values()
    with gr.Column(elem_id="press"):
        ours.FormProblem()
        generate = gr.Button(texts("ui_generate"), variant="primary", elem_id="generate")
        ours.FormNotes()
        ours.Sheet()
    for component in (ours.Notices, ours.ApiKey):
        component()
    return inputs, generate


def _launch_arguments(texts: Any) -> dict[str, Any]:
    return {
        "i18n": texts,
        "theme": build_theme(),
        "favicon_path": static_files()["logo.svg"],
        "footer_links": [],
        "run_history": False,
        "mcp_server": False,  # web/mcp.py has our own
        "enable_monitoring": False,
        "show_error": False,
        "max_threads": MAX_STREAMS,
        "state_session_capacity": 500,
        "max_file_size": "1mb",  # the page accepts no upload
        "ssr_mode": False,
    }
