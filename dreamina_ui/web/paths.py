"""The paths of our own routes and of the static files; all of them are relative to the page."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from dreamina_ui.web.i18n.translate import page_words

PREFIX = "dreamina"
FILES = "files"
WITH_SETTINGS = "with-settings"
THUMBNAILS = "given"
UPLOADS = f"{THUMBNAILS}/images"
SHARED = "shared"
"""Our own routes begin with `/dreamina/`; those of output files with `/dreamina/files/`, of inputs with `given/`, of
uploaded ones with `given/images`, and pages that somebody shared, with `shared/`."""

SECURITY_TXT = "/.well-known/security.txt"
HEALTHZ, READYZ, METRICS = "/healthz", "/readyz", "/metrics"
"""What monitoring requests; at the root, and without a login."""

STREAMS = (f"/{PREFIX}/events", f"/{PREFIX}/library/zip", f"/{PREFIX}/history/export")
IMPORT = f"/{PREFIX}/history/import"
"""Where a ZIP is sent, the only large body."""

GRADIO_STREAMS = ("queue/data", "call/", "heartbeat/")
"""Responses that last: our own by the end of their path, Gradio's by the beginning below `/gradio_api/`."""

_STATIC = Path(__file__).parent / "static"
_STATIC_DIRS = (_STATIC, Path(__file__).parents[2] / "assets")
"""An installed package has all files in the first; in a checkout the logo and the examples are in `assets/`."""


def is_stream(path: str) -> bool:
    """Whether a GET of a path is a response that lasts."""
    return path.endswith(STREAMS) or path.partition("/gradio_api/")[2].startswith(GRADIO_STREAMS)


@cache
def static_files() -> dict[str, Path]:
    """Every file that a browser may load, by its name, such as `core/dom.js` or `examples/1.webp`."""
    patterns = ("**/*.js", "**/*.css", "*.json", "logo.svg", "icons/*.png", "examples/*.*")
    return {
        path.relative_to(folder).as_posix(): path
        for folder in reversed(_STATIC_DIRS)
        for pattern in patterns
        for path in folder.glob(pattern)
    }


@cache
def assets_version() -> str:
    """The beginning of a SHA-256 over the names and contents of all static files.

    One for all of them, so that the modules can import each other by relative URLs and still be cached forever.
    """
    digest = hashlib.sha256()
    for name, path in sorted(static_files().items()):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def names_files(path: str) -> bool:
    """Whether a request to this path may name thousands of files of the library."""
    _, _, inner = path.partition(f"/{PREFIX}/")
    return inner in ("library/mark", "library/zip", "boards") or inner.startswith("boards/")


@cache
def words_digest(language: str) -> str:
    """The beginning of the SHA-256 of the texts that the page's scripts show in a language."""
    return hashlib.sha256(page_words(language)).hexdigest()[:16]


def asset_path(name: str) -> str:
    """The path of a static file; it changes when any of them changes."""
    if name not in static_files():
        raise KeyError(name)
    return f"{asset_folder()}/{name}"


def asset_folder() -> str:
    """Where all files of this version are."""
    return f"{PREFIX}/assets/{assets_version()}"


def words_path(language: str) -> str:
    """The path of the texts that the page's scripts show in a language; it changes with them."""
    return f"{PREFIX}/words/{words_digest(language)}/{language}.json"


def head_links(*styles: str) -> str:
    """HTML for the icon, the colors and the style sheets of one of our own pages below `/dreamina/`."""
    icon, *paths = (asset_path(name).removeprefix(f"{PREFIX}/") for name in ("logo.svg", "colors.css", *styles))
    links = "".join(f'<link rel="stylesheet" href="{path}">' for path in paths)
    return f'<link rel="icon" type="image/svg+xml" href="{icon}">{links}'
