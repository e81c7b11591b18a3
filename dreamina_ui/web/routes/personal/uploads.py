"""HTTP routes of images that visitors give: uploaded or taken out of the library, and shown small to nobody else."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError, InputError
from dreamina_ui.ledger.job import networks_of
from dreamina_ui.library.input_images import GivenImage, InputImages
from dreamina_ui.library.library import Library
from dreamina_ui.media.signed_urls import SignedUrls
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import (
    IMMUTABLE,
    NO_STORE,
    hashed_client_ip,
    language_of,
    message_response,
    read_id,
    read_json,
    refusal,
)
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, UPLOADS
from dreamina_ui.web.stored_files import file_response, refuses_unreadable

MAX_AT_ONCE = 3
"""How many images of one visitor are taken at the same time; twice as many of one client IP."""

MAX_OF_ALL = 60
"""The same for everybody: so many that a few clients cannot take all places."""

MAX_READ = 8
"""How many that have arrived are read at the same time, each on a thread: the others wait without one."""

_CLIENT_FACTOR = 2
_WRITE_BYTES = 1 << 20


def build_upload_routes(
    images: InputImages, library: Library, links: SignedUrls, permissions: Permissions
) -> list[BaseRoute]:
    """The routes of given images."""
    handlers = _UploadRoutes(images, library, links, permissions)
    return [
        Route(f"/{PREFIX}/{UPLOADS}", handlers.upload, methods=["POST"]),
        Route(f"/{PREFIX}/{UPLOADS}", handlers.way),
        Route(f"/{PREFIX}/{UPLOADS}/from-library", handlers.from_library, methods=["POST"]),
        Route(f"/{PREFIX}/{UPLOADS}/{{key}}.webp", handlers.thumbnail),
    ]


class _UploadRoutes:
    def __init__(self, images: InputImages, library: Library, links: SignedUrls, permissions: Permissions) -> None:
        self._images = images
        self._library = library
        self._links = links
        self._permissions = permissions
        self._under_way = _UnderWay()
        self._reading: CapacityLimiter | None = None

    async def way(self, _request: Request) -> Response:
        """How the service gets given images now: `{"by_link": bool}`, by a signed URL or within the request."""
        return JSONResponse({"by_link": bool(self._links.public_url)}, headers=NO_STORE)

    @refuses_unreadable
    async def upload(self, request: Request) -> Response:
        """Take an image: the body is the file itself.

        Responds with `{"url": str, "thumbnail": path, "width": px, "height": px, "note": str}`: `url` is what stands
        for it in the inputs of a job, and `note` says what was changed about it, "" if nothing.
        """
        language, visitor = language_of(request), self._permissions.visitor(request)
        if visitor is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        client_hash = hashed_client_ip(request)
        with self._under_way.count(visitor, client_hash) as is_allowed:
            if not is_allowed:
                return message_response(translate(language, "error_upload_busy"), 429)
            scratch = self._images.scratch_file()
            file = await run_in_threadpool(scratch.__enter__)
            try:
                await _receive(request, file)
                add = partial(self._images.add, is_stranger=self._permissions.is_stranger(request))
                given = await self._read(add, file, visitor, client_hash)
            except ClientDisconnect:
                return Response(status_code=400)
            except DreaminaError as exc:
                return _refused(exc, language)
            finally:
                await run_in_threadpool(scratch.__exit__, None, None, None)
        return _response(given, language)

    @refuses_unreadable
    async def from_library(self, request: Request) -> Response:
        """Take one of the visitor's own images: `{"file": file_key}`; responds as `upload` does."""
        language, visitor = language_of(request), self._permissions.visitor(request)
        file_key = read_id(await read_json(request), "file")
        if visitor is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        match = await run_in_threadpool(self._library.picture, file_key) if file_key else None
        if match is None or self._permissions.scope(request) not in (None, match[0].visitor_id):
            return message_response(translate(language, "error_job_not_found"), 404)
        client_hash = hashed_client_ip(request)
        with self._under_way.count(visitor, client_hash) as is_allowed:
            if not is_allowed:
                return message_response(translate(language, "error_upload_busy"), 429)
            try:
                given = await self._read(self._images.add_file, match[2], visitor, client_hash)
            except DreaminaError as exc:
                return _refused(exc, language)
        return _response(given, language)

    async def _read(self, add: Callable[..., GivenImage], *args: Any) -> GivenImage:
        """Read an image on a thread of our own: those that the whole site shares must not wait for a decoder."""
        self._reading = self._reading or CapacityLimiter(MAX_READ)  # made where the event loop runs
        return await to_thread.run_sync(partial(add, *args), limiter=self._reading)

    @refuses_unreadable
    async def thumbnail(self, request: Request) -> Response:
        """The thumbnail of an image, for the visitor who gave it, and for nobody else."""
        visitor = self._permissions.visitor(request)
        thumbnail = await run_in_threadpool(self._images.thumbnail, request.path_params["key"], visitor)
        if thumbnail is None or visitor is None:
            return Response("No such file.", 404, NO_STORE)
        return await file_response(request, thumbnail, {"Cache-Control": IMMUTABLE}, "image/webp")


class _UnderWay:
    """How many images are being taken, by visitor and by client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @contextmanager
    def count(self, visitor: str, client_hash: str | None) -> Iterator[bool]:
        """Count one; yields False where there are too many."""
        limits = {"": MAX_OF_ALL, f"visitor {visitor}": MAX_AT_ONCE}
        for network, factor in networks_of(client_hash) if client_hash else ():
            limits[f"client {network}"] = factor * _CLIENT_FACTOR * MAX_AT_ONCE
        with self._lock:
            is_allowed = all(self._counts[name] < most for name, most in limits.items())
            if is_allowed:
                self._counts.update(limits.keys())
        try:
            yield is_allowed
        finally:
            if is_allowed:
                with self._lock:
                    self._counts.subtract(limits.keys())
                    self._counts += Counter()  # forgets the names that have none


async def _receive(request: Request, file: Any) -> None:
    """Write the body of a request into a file; the middleware bounds its size and its time."""
    pending = bytearray()
    async for chunk in request.stream():
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            await run_in_threadpool(file.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(file.write, bytes(pending))


def _refused(exc: DreaminaError, language: str) -> Response:
    if isinstance(exc, InputError):
        return message_response(translate(language, f"error_{exc.rule}", limit=exc.limit), exc.http_status)
    return refusal(exc, language)


def _response(given: GivenImage, language: str) -> Response:
    image, note = given.image, ""
    if given.is_smaller:
        sizes = {"width": image.width, "height": image.height}
        sizes |= {"source_width": given.source_width, "source_height": given.source_height}
        note = translate(language, "message_scaled_down", **sizes)
    facts = {"url": image.url, "thumbnail": f"{UPLOADS}/{image.input_key}.webp", "note": note}
    return JSONResponse({**facts, "width": image.width, "height": image.height}, headers=NO_STORE)
