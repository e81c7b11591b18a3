"""The Gradio page: a form for each model, built from its input schema, and the visitor's jobs beside it.

The page stores only ids and reads everything else back from the ledger, so that a reload loses nothing.
"""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.settings import TOKEN_VARIABLES
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.endpoints import IDEMPOTENCY_ARGUMENT, Endpoints, add_endpoints
from dreamina_ui.web.gradio_page.form import build_form
from dreamina_ui.web.gradio_page.theme import build_theme
from dreamina_ui.web.i18n.translate import field_texts, languages
from dreamina_ui.web.middleware.gradio_patches import limit_queue
from dreamina_ui.web.paths import PREFIX, asset_path, static_files, words_path

QUEUE_POLL_INTERVAL_S = 0.02
"""How often Gradio's queue looks for new calls. Its own default, 1 ms, wastes CPU time."""

MAX_STREAMS = 1000
"""How many events Gradio runs at once for all users; each open `/generate` stream is one."""

SCRIPTS = (
    "guard.js", "presses.js", "metadata.js", "days.js", "costs.js", "compare.js", "go-on.js", "carried-settings.js",
    "library.js",
    "own-key.js", "batch.js", "notices.js", "layout.js", "examples.js",
)  # fmt: skip
"""Scripts that depend on `page.js`, in loading order."""

_BRAND = '<header><img src="{logo}" alt="" width="28" height="28"><h1>Dreamina UI</h1></header>'

COMPONENT_TEXTS = ("generate", "model", "tab_create", "tab_library")
"""Keys of the texts of Gradio's components."""


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
) -> tuple[gr.Blocks, dict[str, Any]]:
    """Build the page of all models.

    Args:
        models: by model_id.
        first: the model that is shown first, and that `/generate` runs.
        endpoints: what programs call.
        uses_sandbox: whether a banner says that the pictures come from the sandbox.
        installation_id: part of the names under which the browser stores anything.
        keeps_data: whether pictures survive a restart; a banner says so if they do not.
        is_closed: whether people must sign in to see the page; it then has a link to sign out.

    Returns:
        The Blocks, and keyword arguments for `Blocks.launch`.
    """
    in_order = [first, *(model for model in models.values() if model is not first)]
    texts = gr.I18n(**_translations(in_order, uses_sandbox, keeps_data))
    # Gradio enables OAuth for a page that has this button. It stays invisible: the sign-in page has the link, in each
    # language. Created outside of the page it has no events.
    login_button = gr.LoginButton(visible=False) if permissions.uses_hugging_face else None
    with _Page(title="Dreamina UI", fill_width=True, analytics_enabled=False) as page:
        if uses_sandbox:
            gr.HTML(texts("ui_sandbox_banner"), elem_id="sandbox-banner", elem_classes="banner")
        if not keeps_data:
            gr.HTML(texts("ui_forgetful_banner"), elem_id="forgetful-banner", elem_classes="banner")
        with gr.Row(elem_id="top"):
            gr.HTML(_BRAND.format(logo=asset_path("logo.svg")), elem_id="brand", apply_default_css=False)
            gr.HTML('<div id="language"></div>', elem_id="language-frame", apply_default_css=False)
            if is_closed or login_button:
                gr.HTML(texts("ui_account"), elem_id="account", apply_default_css=False)
        if login_button:
            login_button.render()  # type: ignore[no-untyped-call]
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(texts("ui_tab_create"), id="create"), gr.Row(elem_id="studio"):
                with gr.Column(elem_id="form", scale=1, min_width=300):
                    model_choice = gr.Dropdown(
                        [(model.title, model.model_id) for model in in_order],
                        value=first.model_id,
                        label=texts("ui_model"),
                        elem_id="model",
                        interactive=True,
                        visible=len(in_order) > 1,
                    )
                    forms: dict[str, dict[str, gr.components.Component]] = {}
                    for index, model in enumerate(in_order):
                        with gr.Column(elem_id=f"form-{index}", elem_classes="model-form"):
                            forms[model.model_id] = build_form(model, texts, _form_prefix(index))
                    with gr.Column(elem_id="press"):
                        generate = gr.Button(texts("ui_generate"), variant="primary", elem_id="generate")
                    gr.HTML('<div id="batch"></div>', elem_id="batch-frame", apply_default_css=False)
                    gr.HTML('<div id="own-key"></div>', elem_id="own-key-frame", apply_default_css=False)
                with gr.Column(elem_id="jobs-column", scale=2, min_width=300):
                    gr.HTML('<div id="tools"></div>', elem_id="tools-frame", apply_default_css=False)
                    lists = '<div id="batches"></div><div id="jobs"></div>'
                    gr.HTML(lists, elem_id="jobs-frame", apply_default_css=False)
            with gr.Tab(texts("ui_tab_library"), id="library", render_children=True) as library:
                gr.HTML('<div id="library"></div>', elem_id="library-frame", apply_default_css=False)
        library.select(None, js="() => window.dreamina?.library?.open()", api_visibility="private")
        inputs = [model_choice, *(component for form in forms.values() for component in form.values())]
        settings = gr.Button(visible="hidden", elem_id="take-settings")
        settings.click(None, inputs, inputs, js="(...v) => dreamina.takeSettings(v)", api_visibility="private")
        model_choice.change(None, inputs, inputs, js="(...v) => dreamina.changeModel(v)", api_visibility="private")
        # The script sends the job to a route of our own: for each new visitor Gradio's queue copies all of the page's
        # components on the event loop, and a crowd would wait for seconds.
        generate.click(None, inputs, [], js="(...v) => dreamina.press(v)", api_visibility="private")
        _store_draft(page, inputs)
        add_endpoints(endpoints, models, first)
    page.queue(api_open=False, default_concurrency_limit=None)
    page._queue.sleep_when_free = QUEUE_POLL_INTERVAL_S
    limit_queue(page)
    # In single quotes: Gradio sends each escaped double quote as eleven characters.
    facts = json.dumps(page_facts(in_order, installation_id), ensure_ascii=False)
    facts = html.escape(facts, quote=False).replace("'", "&#39;")
    script = f"<script src='{asset_path('page.js')}' data-page='{facts}'></script>"
    icon = f'<link rel="icon" type="image/svg+xml" href="{asset_path("logo.svg")}">'
    launch = {
        "i18n": texts,
        "head": f'{icon}<link rel="stylesheet" href="{asset_path("page.css")}">{script}',
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
    return page, launch


def _store_draft(page: gr.Blocks, components: list[gr.components.Component]) -> None:
    """Store what was typed in the browser: Gradio reloads the page when its connection breaks, and loses it."""
    script = "(...values) => window.dreamina?.keepDraft(values)"
    gr.on([component.change for component in components], None, inputs=components, js=script, api_visibility="private")  # type: ignore[attr-defined]
    # Gradio adds our script at run time, perhaps after this event.
    restore = """async (...values) => {
        while (!window.dreamina) await new Promise((wait) => setTimeout(wait, 20));
        return dreamina.restoreDraft(values);
    }"""
    page.load(None, components, components, js=restore, api_visibility="private")


def _form_prefix(index: int) -> str:
    """The beginning of the ids of a form's components."""
    return f"field{index or ''}"


def _translations(models: Sequence[Model], uses_sandbox: bool, keeps_data: bool) -> dict[str, dict[str, str]]:
    """Texts of Gradio's components in each language; a field without a translation has the schema's own texts."""
    translations: dict[str, dict[str, str]] = {}
    for language, words in languages().items():
        texts = {f"ui_{key}": words[key] for key in COMPONENT_TEXTS}
        if uses_sandbox:
            texts["ui_sandbox_banner"] = words["sandbox_banner"].format(variable=f"<code>{TOKEN_VARIABLES[0]}</code>")
        if not keeps_data:
            texts["ui_forgetful_banner"] = words["forgetful_banner"]
        texts["ui_account"] = f'<a href="{PREFIX}/sign-in">{words["account"]}</a>'
        for index, model in enumerate(models):
            for field in model.fields:
                for part, text in zip(("title", "help"), field_texts(field, language), strict=True):
                    texts[f"{_form_prefix(index)}_{field.parameter}_{part}"] = text
        translations[language] = texts
    return translations


def page_facts(models: Sequence[Model], installation_id: str = "") -> dict[str, Any]:
    """What the page's script needs: the models' fields in order, and the URLs of the texts of each language."""
    return {
        "installation": installation_id,
        "scripts": [asset_path(name).removeprefix(f"{PREFIX}/") for name in SCRIPTS],
        "models": [
            {
                "model_id": model.model_id,
                "title": model.title,
                "fields": [
                    {
                        "id": f"{_form_prefix(index)}-{field.parameter}",
                        "key": field.key,
                        "parameter": field.parameter,
                        **field.kind.tags(),
                        "choices": field.choices,
                        "labels": _choice_labels(field),
                        "pattern": field.pattern,
                        "max_length": field.max_length,
                        "minimum": field.minimum,
                        "maximum": field.maximum,
                        "file_kind": field.file_kind,
                    }
                    for field in model.fields
                ],
            }
            for index, model in enumerate(models)
        ],
        "examples": _examples(models),
        "languages": {
            language: {"name": words["language_name"], "words": words_path(language).removeprefix(f"{PREFIX}/")}
            for language, words in languages().items()
        },
    }


def _choice_labels(field: Field) -> list[str]:
    """What the form shows for each of a field's choices."""
    choices = field.kind.component(field).arguments.get("choices", [])
    return [choice[0] if isinstance(choice, tuple) else str(choice) for choice in choices]


def _examples(models: Sequence[Model]) -> list[dict[str, Any]]:
    """The examples on the page: a model's inputs by parameter, and the URL of the picture that they made."""
    examples = json.loads(static_files()["examples/examples.json"].read_text(encoding="utf-8"))
    available = {model.model_id for model in models}
    return [
        example | {"file": asset_path(f"examples/{example['file']}").removeprefix(f"{PREFIX}/")}
        for example in examples
        if example["model_id"] in available
    ]
