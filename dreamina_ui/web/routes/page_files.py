"""What the page itself is made of: scripts, styles, images and texts, under the digest of what they belong to.

Another digest never gets these files: a shared cache would store them for another version's. While servers that share a
bucket are replaced one by one, a page of one version asks servers of the other, so each puts its files there, too.
"""

from __future__ import annotations

import io
import logging
import re
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import anyio
import brotli
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.media.bucket import Bucket
from dreamina_ui.web.http import NO_STORE, PUBLIC_IMMUTABLE
from dreamina_ui.web.i18n.translate import languages, page_words
from dreamina_ui.web.paths import PREFIX, assets_version, static_files, words_digest

log = logging.getLogger(__name__)

UNKNOWN_TTL_S = 10.0
"""How long a digest that the bucket does not know is not looked for again."""

_MAX_VERSIONS = 8
_MAX_UNKNOWN = 1000
_DIGEST = re.compile(r"[0-9a-f]{16}")
_HEADERS = {"Cache-Control": PUBLIC_IMMUTABLE}
_TEXT_TYPES = {"js": "text/javascript", "css": "text/css", "json": "application/json", "svg": "image/svg+xml"}
_MEDIA_TYPES = {**_TEXT_TYPES, "png": "image/png", "webp": "image/webp"}
"""By the ending of the name: what the system knows of types depends on it, and a wrong type stops a script."""

_QUALITY = 5  # Gradio's 4 makes larger files; from 10 on, the first visitor would wait for them


def build_page_file_routes(bucket: Bucket | None, made: Mapping[str, bytes] = MappingProxyType({})) -> list[BaseRoute]:
    """The routes of static files and texts.

    Args:
        made: further files, by name, that are made of static ones.
        bucket: what servers share; this version's files are written there if they are not there yet.
    """
    shared = SharedPageFiles(bucket) if bucket else None
    if shared:
        shared.publish(_own_files(made))
    handlers = _PageFileRoutes(shared, made)
    return [
        Route(f"/{PREFIX}/assets/{{version}}/{{name:path}}", handlers.static_file),
        Route(f"/{PREFIX}/words/{{digest}}/{{language}}.json", handlers.texts),
    ]


class SharedPageFiles:
    """The files of all versions, in a bucket: one ZIP for each digest. For one thread at a time.

    Args:
        clock: gives a time in seconds that only grows.
    """

    def __init__(self, bucket: Bucket, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = bucket
        self._clock = clock
        self._archives: OrderedDict[str, zipfile.ZipFile] = OrderedDict()
        self._unknown_until: OrderedDict[str, float] = OrderedDict()

    def publish(self, files: Mapping[str, Mapping[str, bytes | Path]]) -> None:
        """Write those digests' files that are not there; a bucket that is away is only logged."""
        try:
            for digest, contents in files.items():
                try:
                    self._bucket.head(_key(digest))
                except FileNotFoundError:
                    self._bucket.put(_key(digest), _zip(contents), "application/zip")
        except OSError as exc:
            log.warning("The page's files were not written for servers of other versions: %s", exc)

    def read(self, digest: str, name: str) -> bytes | None:
        """A file of another version; None if there is none, or the bucket is away."""
        if not _DIGEST.fullmatch(digest):
            return None
        archive = self._archive(digest)
        try:
            return archive.read(name) if archive else None
        except KeyError:
            return None

    def _archive(self, digest: str) -> zipfile.ZipFile | None:
        if digest in self._archives:
            self._archives.move_to_end(digest)
            return self._archives[digest]
        if self._unknown_until.get(digest, 0.0) > self._clock():
            return None
        try:
            stored = self._bucket.head(_key(digest))
            archive = zipfile.ZipFile(io.BytesIO(self._bucket.read(_key(digest), 0, stored.size_bytes)))
        except (OSError, zipfile.BadZipFile):
            self._unknown_until[digest] = self._clock() + UNKNOWN_TTL_S
            self._unknown_until.move_to_end(digest)
            if len(self._unknown_until) > _MAX_UNKNOWN:
                self._unknown_until.popitem(last=False)
            return None
        self._archives[digest] = archive
        if len(self._archives) > _MAX_VERSIONS:
            self._archives.popitem(last=False)
        return self._archives[digest]


class _PageFileRoutes:
    def __init__(self, shared: SharedPageFiles | None, made: Mapping[str, bytes]) -> None:
        self._shared = shared
        self._made = made
        self._turn = anyio.CapacityLimiter(1)  # guesses take one thread and one connection, however many come

    async def static_file(self, request: Request) -> Response:
        """A script, a style or an image of the page."""
        name, version = request.path_params["name"], request.path_params["version"]
        if version != assets_version():
            return await self._of_other_version(version, name)
        if name in self._made:
            return _own_file(request, name, self._made[name])
        if name not in static_files():
            return _not_found()
        return _own_file(request, name, _read(static_files()[name]))

    async def texts(self, request: Request) -> Response:
        """The texts of the page's scripts in one language: `{key: text}`."""
        language, digest = request.path_params["language"], request.path_params["digest"]
        if language not in languages() or digest != words_digest(language):
            return await self._of_other_version(digest, f"{language}.json")
        return _own_file(request, f"{language}.json", page_words(language))

    async def _of_other_version(self, digest: str, name: str) -> Response:
        content = await run_sync(self._shared.read, digest, name, limiter=self._turn) if self._shared else None
        if content is None:
            return _not_found()
        return Response(content, media_type=_media_type(name), headers=_HEADERS)


def _own_file(request: Request, name: str, content: bytes) -> Response:
    headers = dict(_HEADERS)
    if _ending(name) in _TEXT_TYPES:
        headers["Vary"] = "Accept-Encoding"
        if "br" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = _compress(content), "br"
    return Response(content, media_type=_media_type(name), headers=headers)


@cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _compress(content: bytes) -> bytes:
    return bytes(brotli.compress(content, quality=_QUALITY))


def _media_type(name: str) -> str:
    return _MEDIA_TYPES.get(_ending(name), "application/octet-stream")


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _not_found() -> Response:
    return Response("No such file.", 404, NO_STORE)


def _own_files(made: Mapping[str, bytes]) -> dict[str, Mapping[str, bytes | Path]]:
    texts = {words_digest(language): {f"{language}.json": page_words(language)} for language in languages()}
    return {assets_version(): {**static_files(), **made}, **texts}


def _zip(contents: Mapping[str, bytes | Path]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content if isinstance(content, bytes) else content.read_bytes())
    return packed.getvalue()


def _key(digest: str) -> str:
    return f"page/{digest}.zip"
