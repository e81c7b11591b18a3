"""What reads bytes from strangers, hosts, and the service: each as a function of bytes that must not fail.

A target returns whatever it likes and raises nothing but what its callers expect. `tests/corpus` has a folder of small
files for each, from which `mutated` draws others.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from hypothesis import strategies as st

from dreamina_ui.api.catalog import balance_of, entries_of, price_of
from dreamina_ui.api.output_files import copies_of, files_of, has_place_for_files
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.responses import ApiResponse
from dreamina_ui.batches.expansion import BatchRequest, expand_items
from dreamina_ui.errors import BatchError, InputError, MediaError, SettingsError, UrlError
from dreamina_ui.library.history_import import _read_manifest, _refuse_long_directory
from dreamina_ui.media.decoding.copies import ImageError
from dreamina_ui.media.decoding.images import make_copies, make_input
from dreamina_ui.media.embedded_metadata import read_settings
from dreamina_ui.media.fetching.data_urls import write_data_url
from dreamina_ui.media.fetching.download import DownloadError
from dreamina_ui.media.fetching.ssrf_guard import UrlGuard
from dreamina_ui.media.fetching.urls import browser_url, redirect_url
from dreamina_ui.media.formats import FORMATS, recognise
from dreamina_ui.media.header_size import header_size
from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.models.live_schema import live_model
from dreamina_ui.models.schema import load_models
from dreamina_ui.web.auth.visitor import visitor_id
from dreamina_ui.web.middleware.cookie_names import CookieNames
from dreamina_ui.web.middleware.json_bounds import MAX_DEPTH, shape_flaw

CORPUS = Path(__file__).parents[1] / "corpus"
MAX_PIXELS = 500_000
_TOKEN = "token-of-the-fuzz-run"
_IMAGES = [form for form in FORMATS if form.kind == "image"]
_MODEL = load_models()["bytedance/dreamina-4-0/text-to-image"]


def read_metadata(data: bytes) -> object:
    """Settings in an image that somebody drops, and its size."""
    return read_settings(io.BytesIO(data)), header_size(io.BytesIO(data)), recognise(data[:4096])


def decode(data: bytes) -> object:
    """An image from a host or a visitor; it is read as the format that it looks like, or as a PNG."""
    form = recognise(data[:4096])
    form = form if form in _IMAGES else _IMAGES[0]
    try:
        make_copies(io.BytesIO(data), form, ["thumbnail"], max_pixels=MAX_PIXELS, max_bytes=200_000_000)
        return make_input(io.BytesIO(data), form, max_pixels=MAX_PIXELS, max_bytes=200_000_000)
    except (ImageError, MemoryError):
        return None


def read_response(data: bytes) -> object:
    """A response of the service, for every call."""
    response = ApiResponse.parse(200, None, data, Redactor(_TOKEN).redact)
    redactor, output = Redactor(_TOKEN), response.body.get("output")
    facts = (response.error_code, response.meaning, response.message, response.reason, response.output_message)
    files = [*files_of(output, "https://api.example"), *copies_of(output, "https://api.example")]
    catalog = [*entries_of(response.body, redactor)]
    for entry in catalog:
        json.dumps(entry.price.input_schema)
    return (
        facts,
        files,
        has_place_for_files(output),
        catalog,
        price_of(response.body, redactor),
        balance_of(response.body, redactor),
    )


def build_form(data: bytes) -> object:
    """A live input schema, and inputs for it."""
    try:
        given = json.loads(data)
        schema, inputs = (given.get("schema"), given.get("inputs")) if isinstance(given, dict) else (given, {})
        return live_model("a/model", "A model", schema).validate_inputs(inputs)
    except (ValueError, RecursionError, SettingsError, InputError):
        return None


def measure_json(data: bytes) -> object:
    """The bounds of a body: what passes is never deeper for a parser than it was measured."""
    if shape_flaw(data):
        return None
    try:
        value = json.loads(data)
    except (ValueError, UnicodeDecodeError):
        return None
    assert _depth(value) <= MAX_DEPTH
    return value


def read_history(data: bytes) -> object:
    """The ZIP of an import, up to its manifest."""
    file = io.BytesIO(data)
    try:
        _refuse_long_directory(file)
        with zipfile.ZipFile(file) as archive:
            return _read_manifest(archive, 100_000)
    except (InputError, zipfile.BadZipFile, NotImplementedError, OSError, EOFError):
        return None
    except Exception as exc:
        if type(exc).__name__ == "error" and type(exc).__module__ in ("zlib", "struct"):
            return None
        raise


def read_url(data: bytes) -> object:
    """A URL that a visitor gives, or a host redirects to."""
    text = data.decode("utf-8", "surrogateescape")
    for parse in (UrlGuard().parse, browser_url, lambda url: redirect_url("https://a.example/b", url)):
        try:
            parse(text)
        except UrlError:
            continue
    with contextlib.suppress(DownloadError, UrlError, MediaError):
        write_data_url(text, io.BytesIO(), 10_000)
    return SignedUrls("https://a.example", b"s" * 32, lambda: 0.0).file(text)


def read_cookies(data: bytes) -> object:
    """A `Cookie` header, as the middleware and the identity read it."""
    header = data.replace(b"\\", b"").decode("latin-1")
    names = CookieNames(lambda *_: None, "0123456789ab")  # type: ignore[arg-type]
    return [visitor_id(names._read(header, is_secure=is_secure)) for is_secure in (True, False)]


def expand_batch(data: bytes) -> object:
    """The text of a batch: lines, sets in braces, weights."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        return expand_items(_MODEL, BatchRequest(text=text, wildcards={"animals": ("fox", "a {red|blue} __animals__")}))
    except (BatchError, InputError):
        return None


TARGETS: Mapping[str, Callable[[bytes], object]] = MappingProxyType({
    "metadata": read_metadata, "decode": decode, "response": read_response, "schema": build_form,
    "json": measure_json, "history": read_history, "url": read_url, "cookies": read_cookies, "batch": expand_batch,
})  # fmt: skip


def corpus_of(name: str) -> list[bytes]:
    """The stored files of a target; those of `decode` are those of `metadata`, too."""
    folders = {"metadata": ("metadata", "decode")}.get(name, (name,))
    files = sorted(path for folder in folders for path in (CORPUS / folder).glob("*") if path.is_file())
    return [path.read_bytes() for path in files] or [b""]


@st.composite
def mutated(draw: st.DrawFn, corpus: list[bytes]) -> bytes:
    """A file of the corpus with a few changes: bytes, cuts, repeats, and parts of another one."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 64)))
        kind = draw(st.sampled_from(["replace", "repeat", "cut", "splice"]))
        if kind == "replace":
            data = data[:start] + draw(st.binary(max_size=8)) + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:end] * draw(st.integers(1, 40)) + data[end:]
        elif kind == "cut":
            data = data[:start] + (data[end:] if draw(st.booleans()) else b"")
        else:
            other = draw(st.sampled_from(corpus))
            data = data[:start] + other[draw(st.integers(0, len(other))) :][:4096] + data[end:]
    return data[:200_000]


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [sub for item in level for sub in (item.values() if isinstance(item, dict) else item)]
    return depth
