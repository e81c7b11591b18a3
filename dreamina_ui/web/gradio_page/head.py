"""Our part of the page's HTML: in its head the facts that its modules need, the modules, and the preview of links;
in its body what is seen until they have loaded."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from dreamina_ui.library.library import UNDO_S
from dreamina_ui.models.fields import Field
from dreamina_ui.models.schema import Model
from dreamina_ui.web.gradio_page.texts import form_prefix
from dreamina_ui.web.http import json_in_html
from dreamina_ui.web.i18n.translate import languages, translate
from dreamina_ui.web.paths import PREFIX, asset_folder, asset_path, static_files, words_path

TITLE = "Dreamina UI"
MAIN = "main.js"
_TABS = ("tab_create", "tab_library", "batch")
_FORM_OUTLINE = "<i></i>" * 5
"""One for each field of the first model's form, and Generate; `loading.css` has their places."""
ELSEWHERE = (
    *("admin/", "boards/", "core/dialogs.js", "core/types.js", "models/", "share/", "shared.css", "takeaway/"),
    *("inputs/inputs.css", "inputs/picker.js", "inputs/strip.js", "inputs/uploads.js"),
    *("prompts/dialog.js", "prompts/history.js", "prompts/presets.js", "prompts/prompts.css", "prompts/wildcards.js"),
    "form/drawn.js",
    "sign-in",
)
"""Beginnings of the names of files that other pages use, or only the owner's, or that are loaded when somebody first
needs them."""
_PRELOAD = '<link rel="modulepreload" fetchpriority="low" href="{}">'
"""Behind what Gradio's page needs for its first paint."""

PARTS = {
    "library": ("library/", "costs/", "core/boards.js"),
    "batch": ("batch/",),
    "viewer": ("viewer/", "feed/details-actions.js"),
}
"""Beginnings of the names of the modules that `parts.js` loads when somebody first opens one of these; their styles
come with the page."""


@dataclass(frozen=True)
class PageHtml:
    """Our part of the page's HTML, for any language and URL.

    Attributes:
        facts: what the modules read, as `page_facts` returns it.
    """

    facts: dict[str, Any]

    def head(self, language: str, base_url: str, nonce: str) -> str:
        """The HTML for the beginning of the head.

        Args:
            base_url: the page's own URL, with a slash at the end: programs that preview a link need a whole one.
            nonce: of the request; only inline scripts that carry it run.
        """
        return "".join(
            (self._first_script(language, nonce), self._links(language, nonce), self._preview(language, base_url))
        )

    def body(self, language: str) -> str:
        """The HTML for the beginning of the body: an outline of the page until `main.js` says that the form is ready.

        On a slow line Gradio's page stays empty for seconds, and then its parts appear one by one.
        """
        texts = {key: html.escape(translate(language, key)) for key in (*_TABS, "loading", "needs_javascript")}
        tabs = "".join(f"<span>{texts[key]}</span>" for key in _TABS)
        return (
            f'<div id="loading"><header><img src="{asset_path("logo.svg")}" alt="" width="28" height="28">'
            f'<b>{TITLE}</b><nav>{tabs}</nav></header><div class="outline" aria-hidden="true">{_FORM_OUTLINE}</div>'
            f'<p class="sr-only" role="status">{texts["loading"]}</p>'
            f"<noscript><p>{texts['needs_javascript']}</p></noscript></div>"
        )

    def _first_script(self, language: str, nonce: str) -> str:
        """An inline script that runs before Gradio's own."""
        texts = {key: translate(language, key) for key in ("load_failed", "reload")}
        attributes = "".join(f' data-{key.replace("_", "-")}="{html.escape(text)}"' for key, text in texts.items())
        script = static_files()["head.js"].read_text(encoding="utf-8")
        return f'<script nonce="{nonce}" data-language="{language}"{attributes}>{script}</script>'

    def _links(self, language: str, nonce: str) -> str:
        later = {name for part in PARTS for name in _part_modules(part)}
        modules = [name for name in _page_files(".js") if name not in later]
        facts = (
            f'<script type="application/json" id="dreamina-facts" nonce="{nonce}">{json_in_html(self.facts)}</script>'
        )
        return "".join(
            (
                f'<link rel="stylesheet" href="{asset_folder()}/{next(iter(page_styles()))}">',
                *(_PRELOAD.format(asset_path(name)) for name in modules if name != MAIN),
                f'<link rel="preload" as="fetch" crossorigin href="{words_path(language)}">',
                facts,
                f'<script type="module" async id="dreamina-main" src="{asset_path(MAIN)}"></script>',
            )
        )

    def _preview(self, language: str, base_url: str) -> str:
        about = translate(language, "about")
        image = f"{base_url}{asset_path('icons/preview.png')}"
        facts = {
            "og:type": "website",
            "og:site_name": TITLE,
            "og:title": TITLE,
            "og:description": about,
            "og:url": base_url,
            "og:image": image,
            "og:image:width": "1200",
            "og:image:height": "630",
        }
        tags = "".join(f'<meta property="{key}" content="{html.escape(text)}">' for key, text in facts.items())
        return (
            f'{tags}<meta name="twitter:card" content="summary_large_image">'
            f'<meta name="description" content="{html.escape(about)}">'
            f'<link rel="manifest" crossorigin="use-credentials" href="{asset_path("manifest.json")}">'
            f'<link rel="icon" type="image/svg+xml" href="{asset_path("logo.svg")}">'
            f'<link rel="apple-touch-icon" href="{asset_path("icons/180.png")}">'
        )


def page_facts(
    models: Sequence[Model],
    installation_id: str = "",
    *,
    uses_sandbox: bool = False,
    keeps_data: bool = True,
    has_account: bool = False,
) -> dict[str, Any]:
    """What the page's modules need: the models' fields in order, and the URLs of the texts of each language."""
    return {
        "installation": installation_id,
        "undo_s": UNDO_S,
        "uses_sandbox": uses_sandbox,
        "keeps_data": keeps_data,
        "has_account": has_account,
        "models": [
            {
                "model_id": model.model_id,
                "title": model.title,
                "fields": [field_facts(field, form_prefix(index)) for field in model.fields],
            }
            for index, model in enumerate(models)
        ],
        "examples": _examples(models),
        "parts": {part: _part_modules(part) for part in PARTS},
        "languages": {
            language: {"name": words["language_name"], "words": words_path(language).removeprefix(f"{PREFIX}/")}
            for language, words in languages().items()
        },
    }


@cache
def page_styles() -> dict[str, bytes]:
    """All style sheets of the page in one, by its name: each request before the first paint delays it."""
    content = b"\n".join(static_files()[name].read_bytes() for name in _page_files(".css"))
    return {f"page-{hashlib.sha256(content).hexdigest()[:16]}.css": content}


@cache
def _page_files(ending: str) -> tuple[str, ...]:
    names = (name for name in sorted(static_files()) if name.endswith(ending))
    return tuple(name for name in names if not name.startswith(ELSEWHERE) and name != "head.js")


def _part_modules(part: str) -> list[str]:
    return [name for name in _page_files(".js") if name.startswith(PARTS[part])]


def field_facts(field: Field, prefix: str) -> dict[str, Any]:
    """What the page's modules know of a field; `prefix` begins the id of its component."""
    return {
        "id": f"{prefix}-{field.parameter}",
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
        "max_items": field.max_items,
    }


def _choice_labels(field: Field) -> list[str]:
    """What the form shows for each of a field's choices."""
    choices = field.kind.component(field).arguments.get("choices", [])
    return [choice[0] if isinstance(choice, tuple) else str(choice) for choice in choices]


def _examples(models: Sequence[Model]) -> list[dict[str, Any]]:
    """The examples on the page: a model's inputs by parameter, and the URL of the image that they made."""
    examples = json.loads(static_files()["examples/examples.json"].read_text(encoding="utf-8"))
    available = {model.model_id for model in models}
    return [
        example | {"file": asset_path(f"examples/{example['file']}").removeprefix(f"{PREFIX}/")}
        for example in examples
        if example["model_id"] in available
    ]
