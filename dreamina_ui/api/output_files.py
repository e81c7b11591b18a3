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
from typing import Any, Literal, TypeAlias

from dreamina_ui.api.model_api import FileKind, OutputFile
from dreamina_ui.api.responses import reason_text

MAX_FILES = 200

_FIRST_KEYS = ("image", "images", "video", "videos")
_FILE_KEYS = frozenset(
    (*_FIRST_KEYS, "url", "urls", "imageurl", "imageurls", "videourl", "videourls", "file", "files", "fileurl",
     "fileurls", "output", "outputs", "outputurl", "outputurls", "result", "results", "artifact", "artifacts",
     "asset", "assets", "data", "uri", "src", "href", "downloadurl", "content", "media")
)  # fmt: skip
_ITEM_KEYS = ("url", "file_url", "fileUrl", "download_url", "downloadUrl", "uri", "src", "href")
"""Where an object that stands for one file has its URL, the first that it has; others are of smaller copies."""
_BASE64_KEYS = frozenset(
    ("b64json", "base64", "b64", "imagebase64", "base64image", "imageb64", "bytes", "imagebytes", "base64data")
)
_COPY_KEYS = frozenset(
    ("thumbnail", "thumbnails", "thumbnailurl", "thumbnailurls", "thumb", "thumbs", "thumburl", "preview", "previews",
     "previewurl", "previewurls", "previewimage", "cover", "coverurl", "poster", "posterurl", "metadata",
     *(name + end for name in ("before", "imagebefore", "beforeimage", "inputimage", "sourceimage", "initimage",
                               "referenceimage", "mask", "maskimage") for end in ("", "s", "url", "urls")))
)  # fmt: skip
"""Keys of what stands beside the files, such as a given image; of a file only if nothing else is one.

All these keys are as `_plain` gives.
"""
_FOREIGN_KEYS = frozenset(
    ("input", "inputs", "request", "arguments", "parameters", "params", "logs", "metrics", "statusurl", "resulturl",
     "cancelurl", "responseurl", "modelurl", "webhookurl", "error", "errors", "prompt")
)  # fmt: skip
Search: TypeAlias = Literal["named", "anywhere", "copies"]
"""What is taken: values of keys for files; also whatever looks like a URL; also smaller copies."""
_VIDEO_ENDINGS = (".mp4", ".webm", ".mov", ".mkv", ".m4v")
_BASE64_STARTS = {
    r"iVBORw0KGgo": "image/png", r"/9j/": "image/jpeg", r"UklGR": "image/webp", r"R0lGOD": "image/gif",
    r"SUkqA|TU0AK": "image/tiff", r"AAAA..Z0eXBhdmlm": "image/avif", r"AAAA..Z0eXBo": "image/heic",
    r"AAAA..Z0eX": "video/mp4",
}  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]{16,}")

_ENDINGS = r"(?:png|jpe?g|webp|gif|avif|tiff?|mp4|webm|mov|mkv|m4v)"
_WITHOUT_SCHEME = re.compile(
    r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:runcomfy\.(?:com|net)(?::\d+)?/\S+|"
    rf"[a-z]{{2,}}(?::\d+)?/[^\s?#]+\.{_ENDINGS}(?:[?#]\S*)?)",
    re.IGNORECASE,
)
"""A URL as a browser's address bar takes it; without a known host or ending it may be anything."""

_LARGEST = re.compile(r"original|full|large|max|raw|high|hd", re.IGNORECASE)
"""What keys of the largest one of several sizes are called."""
_SMALLER = re.compile(r"small|medium|low|tiny|mini|icon|thumb|preview|compressed", re.IGNORECASE)

_WRAPPING = "\"'<>()[]`"
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'()\[\]`]*[^\s<>\"'()\[\]`.,;:!?]", re.IGNORECASE)


def files_of(output: Any, origin: str = "") -> tuple[OutputFile, ...]:
    """The files that an `output` names, images first, each URL once, and the places where one is missing.

    Args:
        origin: of the API, for URLs that begin with a slash; without a slash at the end.
    """
    return _first_result(output, origin, "named", "anywhere")


def copies_of(output: Any, origin: str = "") -> tuple[OutputFile, ...]:
    """What an `output` calls previews or thumbnails: all that was delivered if it names no file; else as `files_of`."""
    return _first_result(output, origin, "copies")


def has_place_for_files(output: Any) -> bool:
    """Whether an `output` without files has a key for them, so that they may still come."""
    return isinstance(output, Mapping) and any(_plain(key) in _FILE_KEYS for key in output)


def _first_result(output: Any, origin: str, *searches: Search) -> tuple[OutputFile, ...]:
    """The result of the first search that finds something."""
    files: dict[str, OutputFile] = {}
    for search in searches:
        for number, file in enumerate(islice(_walk(output, None, is_file=True, search=search), MAX_FILES)):
            url = file.url and _absolute(file.url, origin)
            files.setdefault(url or f"missing {number}", replace(file, url=url))
        if files:
            break
    return tuple(sorted(files.values(), key=lambda file: file.kind != "image"))


def _walk(value: Any, kind: FileKind | None, *, is_file: bool, search: Search) -> Iterator[OutputFile]:
    """The files in a value.

    Args:
        kind: what the keys on the way say that it is.
        is_file: whether the key of this value is one for files.
    """
    if isinstance(value, str):
        yield from _files_of_text(value, kind, is_file=is_file, search=search)
    elif isinstance(value, list):
        for entry in value:
            files = list(_walk(entry, kind, is_file=is_file, search=search))
            if not files and is_file and isinstance(entry, Mapping):  # under a key that nobody has heard of
                files = _files_of_entry(entry, kind)
            is_gap = entry in (None, "") or (isinstance(entry, Mapping) and kind is not None)
            if not files and is_file and is_gap:
                reason = reason_text(entry.get("error") or entry.get("reason")) if isinstance(entry, Mapping) else None
                files = [OutputFile(kind or "image", None, reason)]
            yield from files
    elif isinstance(value, Mapping):
        yield from _files_of_object(value, kind, is_file=is_file, search=search)


def _files_of_entry(entry: Mapping[str, Any], kind: FileKind | None) -> list[OutputFile]:
    """The files of an object in a list of files whose keys are none for files; one, where the others are its sizes."""
    largest_first = dict(sorted(entry.items(), key=lambda item: not _LARGEST.search(item[0])))
    searches: tuple[Search, ...] = ("anywhere", "copies")
    results = (list(_walk(largest_first, kind, is_file=True, search=search)) for search in searches)
    files = next(filter(None, results), [])
    return files if any(isinstance(part, list) for part in entry.values()) else files[:1]


def _files_of_text(text: str, kind: FileKind | None, *, is_file: bool, search: Search) -> Iterator[OutputFile]:
    stripped = text.strip()
    parts = re.split(r"\s*[,;|]\s*(?=https?://)|\s+", stripped)
    if stripped[:1] in ("{", "[", '"') and (parsed := _parsed(stripped)) not in (None, stripped):
        yield from _walk(parsed, kind, is_file=is_file, search=search)
    elif not is_file and (search == "named" or len(parts) != 1):
        if search == "anywhere":
            yield from (
                OutputFile(kind or _kind_of_url(url), url) for url in _URL_IN_TEXT.findall(text) if _ends_as_file(url)
            )
    elif is_file and (media_type := _base64_type(stripped)):
        yield _file_of_base64(stripped, media_type)
    elif len(parts) > 1 and all(map(_is_url, parts)):
        for url in parts:
            yield OutputFile(kind or _kind_of_url(url), url)
    elif _is_url(stripped) or (is_file and _is_relative(stripped)):
        yield OutputFile(kind or _kind_of_url(stripped), text)
    elif is_file and stripped:
        yield from _files_in_words(text, kind, search=search)


def _parsed(text: str) -> Any:
    """The value of a JSON text, or a list of those of its lines; None if it is no JSON."""
    for make in (lambda: json.loads(text), lambda: [json.loads(line) for line in text.splitlines() if line.strip()]):
        try:
            return make()
        except (ValueError, RecursionError):
            continue
    return None


def _files_in_words(text: str, kind: FileKind | None, *, search: Search) -> Iterator[OutputFile]:
    """The files of a text that is no URL: one in quotes or brackets, or, where nothing else names a file, in prose."""
    unwrapped = text.strip().strip(_WRAPPING)
    urls = [unwrapped] if _is_url(unwrapped) and len(unwrapped.split()) == 1 else []
    if not urls and search != "named":
        urls = _URL_IN_TEXT.findall(text)
    for url in urls:
        yield OutputFile(kind or _kind_of_url(url), url)
    if not urls and kind is not None:  # words in the place of a file tell why there is none
        is_reason = len(text.split()) > 1
        yield OutputFile(kind, None if is_reason else text, text.strip() if is_reason else None)


def _files_of_object(
    value: Mapping[str, Any], kind: FileKind | None, *, is_file: bool, search: Search
) -> Iterator[OutputFile]:
    media_type = value.get("content_type") or value.get("mime_type") or value.get("mimeType") or value.get("type")
    if isinstance(media_type, str):
        kind = "video" if media_type.startswith("video") else "image" if media_type.startswith("image") else kind
    encoded = next((text for key, text in value.items() if _plain(key) in _BASE64_KEYS and _is_encoded(text)), None)
    if is_file and encoded:
        yield _file_of_base64(encoded, _base64_type(encoded) or f"{kind or 'image'}/png")
        return
    item_key = next((key for key in _ITEM_KEYS if isinstance(value.get(key), str) and value[key].strip()), None)
    if is_file and item_key:
        yield from _walk(value[item_key], kind, is_file=True, search=search)
        return
    for key in _keys_of_files(value, search):
        is_known = _plain(key) in _FILE_KEYS
        yield from _walk(value[key], _kind_of_key(key) or kind, is_file=is_known, search=search)


def _keys_of_files(value: Mapping[str, Any], search: Search) -> list[str]:
    """The keys of an object below which there may be files, known ones first; of several sizes the largest ones."""
    foreign = _FOREIGN_KEYS if search == "copies" else _FOREIGN_KEYS | _COPY_KEYS
    keys = sorted((key for key in value if _plain(key) not in foreign), key=lambda key: key not in _FIRST_KEYS)
    texts = [key for key in keys if isinstance(value[key], str) and _is_url(value[key])]
    if any(_LARGEST.search(key) for key in texts):
        keys = [key for key in keys if key not in texts or not _SMALLER.search(key)]
    return keys


def _plain(key: str) -> str:
    """A key in lower case without separators: `image_urls` and `imageUrls` are one."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _is_encoded(value: Any) -> bool:
    """Whether this is a file as base64, or a `data:` URL."""
    return isinstance(value, str) and (value.strip().lower().startswith("data:") or bool(_BASE64.fullmatch(value)))


def _file_of_base64(text: str, media_type: str) -> OutputFile:
    stripped = text.strip()
    url = stripped if _is_url(stripped) else f"data:{media_type};base64,{stripped}"
    return OutputFile(_kind_of_url(url), url)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://", "data:"))


def _ends_as_file(url: str) -> bool:
    return bool(re.search(rf"\.{_ENDINGS}(?:[?#]|$)", url, re.IGNORECASE))


def _is_relative(text: str) -> bool:
    """Whether this is a URL without its beginning, such as `files.example/a.png` or `/files/a.png`."""
    return bool(re.fullmatch(r"/[^\s/]+(/[^\s]*)?|//[^\s/]+/[^\s]+", text) or _WITHOUT_SCHEME.fullmatch(text))


def _absolute(url: str, origin: str) -> str:
    stripped = url.strip()
    if not _is_relative(stripped):
        return url
    if not stripped.startswith("/"):
        return f"https://{stripped}"
    return f"https:{stripped}" if stripped.startswith("//") else f"{origin}{stripped}" if origin else url


def _base64_type(text: str) -> str | None:
    """The media type of a file that was put into the response itself."""
    return next((name for start, name in _BASE64_STARTS.items() if re.match(start, text.strip())), None)


def _kind_of_key(key: str) -> FileKind | None:
    lowered = key.lower()
    return "video" if "video" in lowered else "image" if "image" in lowered or "picture" in lowered else None


def _kind_of_url(url: str) -> FileKind:
    lowered = url.strip().lower()
    if lowered.startswith("data:"):
        return "video" if lowered.startswith("data:video") else "image"
    return "video" if lowered.partition("?")[0].endswith(_VIDEO_ENDINGS) else "image"
