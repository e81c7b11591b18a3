"""The HTML of a shared page: an image, or the images of a board, for people who need nothing else of this program."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from dreamina_ui.ledger.job import Job
from dreamina_ui.library.naming import plain_file_name
from dreamina_ui.library.shares import SharedFile
from dreamina_ui.models.schema import Model
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, SHARED, asset_path, head_links

TITLE = "Dreamina UI"
MAX_TITLE_CHARACTERS = 90
MAX_DESCRIPTION_CHARACTERS = 300
MAX_LINK_CHARACTERS = 8000
MAX_PAGE_CHARACTERS = 400_000
"""How much of prompts and of links with them a page has, over all of its images."""


def shared_page_html(
    language: str,
    name: str,
    files: Sequence[SharedFile] = (),
    base_url: str = "",
    share_id: str = "",
    models: Mapping[str, Model] | None = None,
) -> str:
    """The page; without files, one that says `name` only.

    Args:
        name: of the board, or "".
        base_url: of the program's page, without a slash at the end: previews need whole URLs.
        models: by model_id, where the page tells prompts; None where it does not.
    """
    first = files[0] if files else None
    prompt = _prompt_of(first.job) if first and models is not None and not name else ""
    title = name or prompt or translate(language, "shared_title")
    about = prompt or translate(language, "shared_about")
    url = f"{base_url}/{PREFIX}/{SHARED}/{share_id}"
    preview = _preview(title, about, url, first) if first else ""
    kind = "" if name else ' class="sr-only"'
    heading = f'<h1 dir="auto"{kind}>{html.escape(_cut(title, MAX_TITLE_CHARACTERS))}</h1>'
    figures = "".join(_figure(language, share_id, item, models, count=len(files)) for item in files)
    icon = asset_path("logo.svg").removeprefix(f"{PREFIX}/")
    links = head_links("shared.css").replace('href="', 'href="../')
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<title>{html.escape(_cut(title, MAX_TITLE_CHARACTERS))} · {TITLE}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">{preview}{links}</head>
<body><main class="{"many" if len(files) > 1 else "one"}">{heading}{figures}</main>
<footer><a href="../../"><img src="../{icon}" alt="" width="20" height="20">
{html.escape(translate(language, "shared_made_with"))}</a></footer></body></html>"""


def _preview(title: str, about: str, url: str, first: SharedFile) -> str:
    """What programs show that preview a link."""
    tier = "preview" if first.output.kind == "image" else "original"
    facts = {
        "og:type": "website",
        "og:site_name": TITLE,
        "og:title": _cut(title, MAX_TITLE_CHARACTERS),
        "og:description": _cut(about, MAX_DESCRIPTION_CHARACTERS),
        "og:url": url,
        "og:image" if first.output.kind == "image" else "og:video": f"{url}/{first.alias}/{tier}/image.webp",
        "og:image:alt": _cut(about, MAX_DESCRIPTION_CHARACTERS),
    }
    tags = "".join(f'<meta property="{key}" content="{html.escape(text)}">' for key, text in facts.items())
    return f'{tags}<meta name="twitter:card" content="summary_large_image">'


def _figure(language: str, share_id: str, item: SharedFile, models: Mapping[str, Model] | None, *, count: int) -> str:
    most = MAX_PAGE_CHARACTERS // count
    output, path = item.output, f"{share_id}/{item.alias}"
    original = f"{path}/original/{plain_file_name(output)}"
    prompt = _cut(_prompt_of(item.job), most) if models is not None else ""
    alt = html.escape(_cut(prompt, MAX_DESCRIPTION_CHARACTERS) or translate(language, "shared_title"))
    size = f' width="{output.width}" height="{output.height}"' if output.width else ""
    if output.kind == "image":
        tier, loading = ("large", "") if count == 1 else ("preview", ' loading="lazy"')
        shown = f'<img src="{path}/{tier}/image.webp" alt="{alt}"{size}{loading}>'
    elif output.kind == "video":
        shown = f'<video src="{original}" controls playsinline aria-label="{alt}"></video>'
    else:
        shown = f'<span class="file">{html.escape(output.format or "")}</span>'
    caption = f'<p class="prompt" dir="auto">{html.escape(prompt)}</p>' if prompt else ""
    link = _try_link(item.job, models, min(most, MAX_LINK_CHARACTERS)) if models is not None else ""
    tries = f'<a class="button" href="{link}">{html.escape(translate(language, "shared_try"))}</a>' if link else ""
    save = f'<a href="{original}?download=1" download>{html.escape(translate(language, "shared_download"))}</a>'
    return f"""<figure><a class="picture" href="{original}">{shown}</a>
<figcaption>{caption}<p class="actions">{tries}{save}</p></figcaption></figure>"""


def _try_link(job: Job, models: Mapping[str, Model], most: int) -> str:
    """A link that fills in the form of the page with a job's settings, as the page itself makes it; "" for none."""
    model = models.get(job.model_id)
    if model is None:
        return ""
    pairs = [("model", job.model_id)]
    for field in model.fields:
        if field.key not in job.inputs or not field.kind.in_link:
            continue
        value = job.inputs[field.key]
        for item in value if isinstance(value, list) else [value]:
            pairs.append((field.parameter, str(item).lower() if isinstance(item, bool) else str(item)))
    query = urlencode(pairs)
    return html.escape(f"../../#{query}") if len(query) <= most else ""


def _prompt_of(job: Job) -> str:
    """The prompt alone: other texts may be URLs of images, or ids."""
    prompt = job.inputs.get("prompt")
    return prompt if isinstance(prompt, str) else ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
