"""Finding the files in a result's `output`, wherever the URL of a file can stand.

Documented is an object with `image`, `video`, `images` and `videos`; also in use are a single URL, a list of them, and
objects with a `url`. Only `output` is read: the inputs come back under `input`, and name files of their own.

Source: RunComfy Model API documentation, result; the other shapes come from public clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from dreamina_ui.api.model_api import FileKind, OutputFile
from dreamina_ui.api.responses import reason_text

MAX_FILES = 200

_FIRST_KEYS = ("image", "images", "video", "videos")
_FILE_KEYS = frozenset(
    (*_FIRST_KEYS, "url", "urls", "image_url", "image_urls", "video_url", "video_urls", "file", "files", "file_url",
     "file_urls", "output", "outputs", "output_url", "output_urls", "result", "results", "artifact", "artifacts",
     "asset", "assets", "data", "uri", "src", "href", "download_url", "content", "media")
)  # fmt: skip
_ITEM_KEYS = ("url", "file_url", "download_url", "uri", "src", "href")
"""Where an object that stands for one file has its URL, the first that it has; others are of smaller copies."""
_BASE64_KEYS = ("b64_json", "base64", "b64", "image_base64", "base64_image")
_FOREIGN_KEYS = frozenset(
    ("input", "inputs", "request", "arguments", "parameters", "params", "logs", "metrics", "status_url", "result_url",
     "cancel_url", "response_url", "model_url", "webhook_url", "thumbnail", "thumbnails", "thumbnail_url",
     "thumb", "thumbs", "thumb_url", "preview", "previews", "preview_url", "cover", "cover_url", "poster",
     "error", "errors", "metadata", "prompt")
)  # fmt: skip
_VIDEO_ENDINGS = (".mp4", ".webm", ".mov", ".mkv", ".m4v")
_BASE64_STARTS = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "UklGR": "image/webp", "R0lGOD": "image/gif"}


_LARGEST = re.compile(r"original|full|large|max|raw|high|hd", re.IGNORECASE)
"""What keys of the largest one of several sizes are called."""

_WRAPPING = "\"'<>()[]`"
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'()\[\]`]*[^\s<>\"'()\[\]`.,;:!?]", re.IGNORECASE)


def files_of(output: Any, origin: str = "") -> tuple[OutputFile, ...]:
    """The files that an `output` names, images first, each URL once, and the places where one is missing.

    Args:
        origin: of the API, for URLs that begin with a slash; without a slash at the end.
    """
    result = list(islice(_walk(output, None, is_file=True, is_strict=True), MAX_FILES))
    if not result:
        result = list(islice(_walk(output, None, is_file=True, is_strict=False), MAX_FILES))
    files: dict[str, OutputFile] = {}
    for number, file in enumerate(result):
        url = file.url and _absolute(file.url, origin)
        files.setdefault(url or f"missing {number}", replace(file, url=url))
    return tuple(sorted(files.values(), key=lambda file: file.kind != "image"))


def _walk(value: Any, kind: FileKind | None, *, is_file: bool, is_strict: bool) -> Iterator[OutputFile]:
    """The files in a value.

    Args:
        kind: what the keys on the way say that it is.
        is_file: whether the key of this value is one for files.
        is_strict: whether only values of such keys are taken, and not everything that looks like a URL.
    """
    if isinstance(value, str):
        yield from _files_of_text(value, kind, is_file=is_file, is_strict=is_strict)
    elif isinstance(value, list):
        for entry in value:
            files = list(_walk(entry, kind, is_file=is_file, is_strict=is_strict))
            if not files and is_file and isinstance(entry, Mapping):  # under a key that nobody has heard of
                largest_first = dict(sorted(entry.items(), key=lambda item: not _LARGEST.search(item[0])))
                files = list(_walk(largest_first, kind, is_file=True, is_strict=False))
                if not any(isinstance(part, list) for part in entry.values()):
                    files = files[:1]  # the others are other sizes of it
            is_gap = entry in (None, "") or (isinstance(entry, Mapping) and kind is not None)
            if not files and is_file and is_gap:
                reason = reason_text(entry.get("error") or entry.get("reason")) if isinstance(entry, Mapping) else None
                files = [OutputFile(kind or "image", None, reason)]
            yield from files
    elif isinstance(value, Mapping):
        yield from _files_of_object(value, kind, is_file=is_file, is_strict=is_strict)


def _files_of_text(text: str, kind: FileKind | None, *, is_file: bool, is_strict: bool) -> Iterator[OutputFile]:
    stripped = text.strip()
    parts = re.split(r"\s*,\s*(?=https?://)|\s+", stripped)
    if stripped[:1] in ("{", "["):
        try:
            yield from _walk(json.loads(stripped), kind, is_file=is_file, is_strict=is_strict)
        except (ValueError, RecursionError):
            return
    elif not is_file and (is_strict or len(parts) != 1):
        return
    elif is_file and (media_type := _base64_type(stripped)):
        yield OutputFile("image", f"data:{media_type};base64,{stripped}")
    elif len(parts) > 1 and all(map(_is_url, parts)):
        for url in parts:
            yield OutputFile(kind or _kind_of_url(url), url)
    elif _is_url(stripped) or (is_file and _is_relative(stripped)):
        yield OutputFile(kind or _kind_of_url(stripped), text)
    elif is_file and stripped:
        yield from _files_in_words(text, kind, is_strict=is_strict)


def _files_in_words(text: str, kind: FileKind | None, *, is_strict: bool) -> Iterator[OutputFile]:
    """The files of a text that is no URL: one in quotes or brackets, or, where nothing else names a file, in prose."""
    unwrapped = text.strip().strip(_WRAPPING)
    urls = [unwrapped] if _is_url(unwrapped) and len(unwrapped.split()) == 1 else []
    if not urls and not is_strict:
        urls = _URL_IN_TEXT.findall(text)
    for url in urls:
        yield OutputFile(kind or _kind_of_url(url), url)
    if not urls and kind is not None:  # words in the place of a file tell why there is none
        is_reason = len(text.split()) > 1
        yield OutputFile(kind, None if is_reason else text, text.strip() if is_reason else None)


def _files_of_object(
    value: Mapping[str, Any], kind: FileKind | None, *, is_file: bool, is_strict: bool
) -> Iterator[OutputFile]:
    media_type = value.get("content_type") or value.get("mime_type") or value.get("type")
    if isinstance(media_type, str):
        kind = "video" if media_type.startswith("video") else "image" if media_type.startswith("image") else kind
    encoded = next((value[key] for key in _BASE64_KEYS if value.get(key)), None)
    if is_file and isinstance(encoded, str):
        yield OutputFile(kind or "image", f"data:{_base64_type(encoded) or 'image/png'};base64,{encoded.strip()}")
        return
    item_key = next((key for key in _ITEM_KEYS if isinstance(value.get(key), str) and value[key].strip()), None)
    if is_file and item_key:
        yield from _walk(value[item_key], kind, is_file=True, is_strict=is_strict)
        return
    keys = [key for key in _FIRST_KEYS if key in value] + [key for key in value if key not in _FIRST_KEYS]
    for key in keys:
        if key.lower() not in _FOREIGN_KEYS:
            is_known = key.lower() in _FILE_KEYS
            yield from _walk(value[key], _kind_of_key(key) or kind, is_file=is_known, is_strict=is_strict)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://", "data:"))


def _is_relative(text: str) -> bool:
    """Whether this is a URL without its beginning, such as `//files.example/a.png` or `/files/a.png`."""
    return bool(re.fullmatch(r"/[^\s/]+(/[^\s]*)?|//[^\s/]+/[^\s]+", text))


def _absolute(url: str, origin: str) -> str:
    stripped = url.strip()
    if not _is_relative(stripped):
        return url
    return f"https:{stripped}" if stripped.startswith("//") else f"{origin}{stripped}" if origin else url


def _base64_type(text: str) -> str | None:
    """The media type of a picture that was put into the response itself."""
    return next((name for start, name in _BASE64_STARTS.items() if text.startswith(start)), None)


def _kind_of_key(key: str) -> FileKind | None:
    lowered = key.lower()
    return "video" if "video" in lowered else "image" if "image" in lowered or "picture" in lowered else None


def _kind_of_url(url: str) -> FileKind:
    lowered = url.strip().lower()
    if lowered.startswith("data:"):
        return "video" if lowered.startswith("data:video") else "image"
    return "video" if lowered.partition("?")[0].endswith(_VIDEO_ENDINGS) else "image"
