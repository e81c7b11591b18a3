"""The page: a form from each model's input schema, and the visitor's jobs beside it.

The page keeps only ids; all else is read back from the ledger, so that a reload or a closed laptop costs nothing.
"""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from dreamina_ui.jobs.service import Studio
from dreamina_ui.models.schema import Model
from dreamina_ui.settings import TOKEN_VARIABLES
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.gradio_page.endpoints import add_endpoints
from dreamina_ui.web.gradio_page.form import build_form
from dreamina_ui.web.gradio_page.theme import build_theme
from dreamina_ui.web.i18n.translate import languages
from dreamina_ui.web.middleware.request_limits import bound_queue
from dreamina_ui.web.paths import PREFIX, asset_path, static_files, words_path

QUEUE_PAUSE_S = 0.02
"""How long Gradio's queue sleeps before it looks for a program's call again, in seconds. By itself it looks a thousand
times a second; on Windows, 20 times."""

MAX_STREAMS = 1000
"""Gradio runs this many events at once over all users; each followed `/generate` is one."""

SCRIPTS = (
    "metadata.js", "days.js", "costs.js", "compare.js", "go-on.js", "library.js", "own-key.js", "batch.js",
    "notices.js", "layout.js", "examples.js",
)  # fmt: skip
"""What builds on `page.js`, in the order in which it is added."""

_BRAND = '<header><img src="{logo}" alt="" width="28" height="28"><h1>Dreamina UI</h1></header>'

PAGE_WORDS = ("generate", "model", "tab_create", "tab_library")
"""Words of Gradio's own components."""


class _Page(gr.Blocks):
    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Refuse a call of an endpoint with values too few or too many, and say which it takes.

        Gradio's own check (6.31) answers too few without a reason, and drops what is too many.
        """
        if block_fn.api_visibility == "public" and len(inputs) != len(block_fn.inputs):
            name = block_fn.api_name
            names = ", ".join(each for each in inspect.signature(block_fn.fn).parameters if each != "request")
            raise gr.Error(
                f"/{name} takes exactly these values: {names}; it got {len(inputs)}. "
                f"POST to /gradio_api/call/v2/{name} to give only some, by name.",
                print_exception=False,
            )
        super().validate_inputs(block_fn, inputs)


def build_page(
    studio: Studio,
    model: Model,
    access: Permissions,
    *,
    uses_sandbox: bool,
    keeps_data: bool = True,
    is_closed: bool = False,
) -> tuple[gr.Blocks, dict[str, Any]]:
    """The page of a studio's models, and what `launch` needs besides.

    Args:
        model: the one that is shown first, and that `/generate` runs.
        uses_sandbox: say that the pictures are the sandbox's.
        keeps_data: whether pictures are still there after a restart; if not, say so.
        is_closed: whether people sign in to see it; then it leads them out, too.

    Returns:
        The Blocks, and keyword arguments for `Blocks.launch`.
    """
    models = [model, *(each for each in studio.models.values() if each is not model)]
    texts = gr.I18n(**_translations(models, uses_sandbox, keeps_data))
    # Gradio offers its OAuth to a page that has this button. Ours is seen by nobody: the sign-in page has the link, in
    # each language. Made outside of the page it has no events.
    hugging_face = gr.LoginButton(visible=False) if access.uses_hugging_face else None
    with _Page(title="Dreamina UI", fill_width=True, analytics_enabled=False) as page:
        if uses_sandbox:
            gr.HTML(texts("ui_sandbox_banner"), elem_id="sandbox-banner", elem_classes="banner")
        if not keeps_data:
            gr.HTML(texts("ui_forgetful_banner"), elem_id="forgetful-banner", elem_classes="banner")
        with gr.Row(elem_id="top"):
            gr.HTML(_BRAND.format(logo=asset_path("logo.svg")), elem_id="brand", apply_default_css=False)
            gr.HTML('<div id="language"></div>', elem_id="language-frame", apply_default_css=False)
            if is_closed or hugging_face:
                gr.HTML(texts("ui_account"), elem_id="account", apply_default_css=False)
        if hugging_face:
            hugging_face.render()  # type: ignore[no-untyped-call]
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(texts("ui_tab_create"), id="create"), gr.Row(elem_id="studio"):
                with gr.Column(elem_id="form", scale=1, min_width=300):
                    chosen = gr.Dropdown(
                        [(each.title, each.model_id) for each in models],
                        value=model.model_id,
                        label=texts("ui_model"),
                        elem_id="model",
                        interactive=True,
                        visible=len(models) > 1,
                    )
                    forms: dict[str, dict[str, gr.components.Component]] = {}
                    for place, each in enumerate(models):
                        with gr.Column(elem_id=f"form-{place}", elem_classes="model-form"):
                            forms[each.model_id] = build_form(each, texts, _form_name(place))
                    with gr.Column(elem_id="press"):
                        generate = gr.Button(texts("ui_generate"), variant="primary", elem_id="generate")
                    gr.HTML('<div id="batch"></div>', elem_id="batch-frame", apply_default_css=False)
                    gr.HTML('<div id="own-key"></div>', elem_id="own-key-frame", apply_default_css=False)
                with gr.Column(elem_id="jobs-column", scale=2, min_width=300):
                    gr.HTML('<div id="tools"></div>', elem_id="tools-frame", apply_default_css=False)
                    places = '<div id="batches"></div><div id="jobs"></div>'
                    gr.HTML(places, elem_id="jobs-frame", apply_default_css=False)
            with gr.Tab(texts("ui_tab_library"), id="library", render_children=True) as library:
                gr.HTML('<div id="library"></div>', elem_id="library-frame", apply_default_css=False)
        library.select(None, js="() => window.dreamina?.library?.open()", api_visibility="private")
        held = [chosen, *(component for form in forms.values() for component in form.values())]
        settings = gr.Button(visible="hidden", elem_id="take-settings")
        settings.click(None, held, held, js="(...v) => dreamina.takeSettings(v)", api_visibility="private")
        chosen.change(None, held, held, js="(...v) => dreamina.changeModel(v)", api_visibility="private")
        # To a route of ours: for each new visitor Gradio's queue copies all of the page's components first, on the
        # event loop. Measured with 500 visitors: pages heard ten seconds late.
        generate.click(None, held, [], js="(...v) => dreamina.press(v)", api_visibility="private")
        _keep_draft(page, held)
        add_endpoints(studio, model, access)
    page.queue(api_open=False, default_concurrency_limit=None)
    page._queue.sleep_when_free = QUEUE_PAUSE_S
    bound_queue(page._queue)
    # In single quotes: Gradio sends each escaped double quote as eleven characters. Measured: 41 kB a visit, not 51.
    facts = html.escape(json.dumps(page_facts(models), ensure_ascii=False), quote=False).replace("'", "&#39;")
    script = f"<script src='{asset_path('page.js')}' data-page='{facts}'></script>"
    icon = f'<link rel="icon" type="image/svg+xml" href="{asset_path("logo.svg")}">'
    launch = {
        "i18n": texts,
        "head": f'{icon}<link rel="stylesheet" href="{asset_path("page.css")}">{script}',
        "theme": build_theme(),
        "favicon_path": static_files()["logo.svg"],
        "footer_links": [],
        "run_history": False,
        "mcp_server": False,  # ours is in ui/tools.py
        "enable_monitoring": False,
        "show_error": False,
        "max_threads": MAX_STREAMS,
        "state_session_capacity": 500,
        "max_file_size": "1mb",  # nothing here takes an upload
        "ssr_mode": False,
    }
    return page, launch


def _keep_draft(page: gr.Blocks, components: list[gr.components.Component]) -> None:
    """Keep what was typed in the browser: Gradio reloads the page when its connection breaks, and forgets."""
    script = "(...values) => window.dreamina?.keepDraft(values)"
    gr.on([c.change for c in components], None, inputs=components, js=script, api_visibility="private")  # type: ignore[attr-defined]
    # Gradio adds our script at run time: it may come after this event.
    restore = """async (...values) => {
        while (!window.dreamina) await new Promise((wait) => setTimeout(wait, 20));
        return dreamina.restoreDraft(values);
    }"""
    page.load(None, components, components, js=restore, api_visibility="private")


def _form_name(place: int) -> str:
    """The beginning of the ids of a form's components; the first one's are short."""
    return f"field{place or ''}"


def _translations(models: Sequence[Model], uses_sandbox: bool, keeps_data: bool) -> dict[str, dict[str, str]]:
    """Texts of Gradio's components in each language; a field without a translation keeps the schema's words."""
    found: dict[str, dict[str, str]] = {}
    for language, words in languages().items():
        texts = {f"ui_{key}": words[key] for key in PAGE_WORDS}
        if uses_sandbox:
            texts["ui_sandbox_banner"] = words["sandbox_banner"].format(variable=f"<code>{TOKEN_VARIABLES[0]}</code>")
        if not keeps_data:
            texts["ui_forgetful_banner"] = words["forgetful_banner"]
        texts["ui_account"] = f'<a href="{PREFIX}/sign-in">{words["account"]}</a>'
        for place, model in enumerate(models):
            for field in model.fields:
                for part, own in (("title", field.title), ("help", field.help)):
                    key = f"{field.parameter}_{part}"
                    texts[f"{_form_name(place)}_{key}"] = words.get(f"field_{key}", own)
        found[language] = texts
    return found


def page_facts(models: Sequence[Model]) -> dict[str, Any]:
    """What the script needs to know: the models' fields in order, and where the words of each language are."""
    return {
        "scripts": [asset_path(name).removeprefix(f"{PREFIX}/") for name in SCRIPTS],
        "models": [
            {
                "model_id": model.model_id,
                "title": model.title,
                "fields": [
                    {
                        "id": f"{_form_name(place)}-{field.parameter}",
                        "key": field.key,
                        "parameter": field.parameter,
                        **field.kind.tags(),
                        "choices": field.choices,
                        "pattern": field.pattern,
                        "max_length": field.max_length,
                        "minimum": field.minimum,
                        "maximum": field.maximum,
                        "file_kind": field.file_kind,
                    }
                    for field in model.fields
                ],
            }
            for place, model in enumerate(models)
        ],
        "examples": _examples(models),
        "languages": {
            language: {"name": words["language_name"], "words": words_path(language).removeprefix(f"{PREFIX}/")}
            for language, words in languages().items()
        },
    }


def _examples(models: Sequence[Model]) -> list[dict[str, Any]]:
    """What the page suggests: a model's inputs by parameter, and the address of the picture that goes with them."""
    examples = json.loads(static_files()["examples/examples.json"].read_text(encoding="utf-8"))
    offered = {model.model_id for model in models}
    return [
        each | {"file": asset_path(f"examples/{each['file']}").removeprefix(f"{PREFIX}/")}
        for each in examples
        if each["model_id"] in offered
    ]
