"""HTTP routes of files that people give by URL: validated, shown small, and signed URLs of our own pictures."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.library.library import Library
from dreamina_ui.library.naming import plain_file_name
from dreamina_ui.media.input_files import MAX_MB
from dreamina_ui.media.signed_urls import FOLDER, SignedUrls
from dreamina_ui.models.fields import Field
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import IMMUTABLE, NO_STORE, hashed_client_ip, language_of, message_response, read_json
from dreamina_ui.web.i18n.error_texts import rule_text
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, THUMBNAILS
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.settings_copy import copy_with_settings
from dreamina_ui.web.stored_files import file_response, refuses_unreadable


def build_input_file_routes(
    services: JobServices, presenter: JobPresenter, library: Library, links: SignedUrls, permissions: Permissions
) -> list[BaseRoute]:
    """The routes of given files.

    Those below `/dreamina/inputs/` are for the service: they need no login and no cookie, only a signature.
    """
    handlers = _InputFileRoutes(services, presenter, library, links, permissions)
    return [
        Route(f"/{PREFIX}/{THUMBNAILS}/look", handlers.validate, methods=["POST"]),
        Route(f"/{PREFIX}/{THUMBNAILS}/link", handlers.sign, methods=["POST"]),
        Route(f"/{PREFIX}/{THUMBNAILS}/{{name}}.webp", handlers.thumbnail),
        Route(f"/{FOLDER}/{{place:path}}", handlers.signed_file),
    ]


class _InputFileRoutes:
    def __init__(
        self,
        services: JobServices,
        presenter: JobPresenter,
        library: Library,
        links: SignedUrls,
        permissions: Permissions,
    ) -> None:
        self._models = services.models
        self._input_files = services.input_files
        self._presenter = presenter
        self._library = library
        self._links = links
        self._permissions = permissions

    async def validate(self, request: Request) -> Response:
        """Look at a file before anything is sent: `{"model_id": str, "field": key, "address": str}`.

        Responds with `{"thumbnail": url | null}`, or `{"message": str}` with the rule that is broken.
        """
        language, body = language_of(request), await read_json(request)
        visitor, input_files = self._permissions.visitor(request), self._input_files
        if visitor is None or input_files is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        field, url = self._url_field(body), body.get("address")
        if field is None or not isinstance(url, str):
            return message_response("`model_id`, `field`, and `address`", 400)
        try:
            await asyncio.wrap_future(input_files.prepare_thumbnail(field, url, visitor, hashed_client_ip(request)))
        except InputError as exc:
            return message_response(rule_text(exc, language), exc.http_status)
        thumbnail = await run_in_threadpool(self._presenter.given_thumbnail, url, visitor)
        return JSONResponse({"thumbnail": thumbnail}, headers=NO_STORE)

    def _url_field(self, body: dict[str, Any]) -> Field | None:
        model = self._models.get(str(body.get("model_id")))
        fields = model.fields if model else ()
        return next((field for field in fields if field.key == body.get("field") and field.kind.holds_urls), None)

    @refuses_unreadable
    async def thumbnail(self, request: Request) -> Response:
        """The thumbnail of a visitor's file; nobody else can guess its name."""
        input_files, name = self._input_files, request.path_params["name"]
        thumbnail = await run_in_threadpool(input_files.thumbnail, name) if input_files else None
        if thumbnail is None:
            return Response("No such file.", 404)
        return await file_response(request, thumbnail, {"Cache-Control": IMMUTABLE}, "image/webp")

    @refuses_unreadable
    async def sign(self, request: Request) -> Response:
        """A signed URL of one of the visitor's own images, for the service: `{"file": file_key}`.

        With `"with_settings": true` the file carries the prompt and the other settings; by default it does not.
        """
        language, body = language_of(request), await read_json(request)
        file_key = body.get("file")
        match = await run_in_threadpool(self._library.picture, file_key) if isinstance(file_key, str) else None
        if match is None or self._permissions.scope(request) not in (None, match[0].visitor_id):
            return message_response(translate(language, "error_job_not_found"), 404)
        _, output, original = match
        if not self._links.public_url:
            return message_response(translate(language, "error_no_public_url"), 409)
        max_mb = MAX_MB.get(output.kind, MAX_MB[None])
        if original.size_bytes > max_mb * 10**6:
            return message_response(translate(language, "rule_address_size", limit=max_mb), 409)
        url = self._links.url_of(
            output.file_key, plain_file_name(output), with_settings=body.get("with_settings") is True
        )
        return JSONResponse({"address": url}, headers=NO_STORE)

    @refuses_unreadable
    async def signed_file(self, request: Request) -> Response:
        """One original, for whoever has its signed URL, until that expires or the image is deleted."""
        signed = self._links.file(request.scope["path"].partition(f"/{FOLDER}/")[2])
        is_valid = signed is not None and signed.left_s > 0
        match = await run_in_threadpool(self._library.picture, signed.file_key) if signed and is_valid else None
        if signed is None or match is None:
            return Response("No such file, or its URL has expired.", 404, NO_STORE)
        job, output, original = match
        headers = NO_STORE | {"X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff"}
        if signed.with_settings:
            name = plain_file_name(output)
            return await run_in_threadpool(copy_with_settings, job, output, original, name, headers)
        return await file_response(request, original, headers, output.media_type or "application/octet-stream")
