"""HTTP routes of files that people give by URL, validated and shown small; and what the service fetches from here."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.media.input_store import MEDIA_TYPES
from dreamina_ui.media.signed_urls import FOLDER, SignedUrls
from dreamina_ui.models.fields import Field
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import (
    IMMUTABLE,
    NO_STORE,
    hashed_client_ip,
    language_of,
    message_response,
    read_json,
)
from dreamina_ui.web.i18n.error_texts import rule_text
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, THUMBNAILS
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.stored_files import file_response, refuses_unreadable


def build_input_file_routes(
    services: JobServices, presenter: JobPresenter, images: InputImages, links: SignedUrls, permissions: Permissions
) -> list[BaseRoute]:
    """The routes of given files.

    Those below `/dreamina/inputs/` are for the service: they need no login and no cookie, only a signature.
    """
    handlers = _InputFileRoutes(services, presenter, images, links, permissions)
    return [
        Route(f"/{PREFIX}/{THUMBNAILS}/look", handlers.validate, methods=["POST"]),
        Route(f"/{PREFIX}/{THUMBNAILS}/{{name}}.webp", handlers.thumbnail),
        Route(f"/{FOLDER}/{{place:path}}", handlers.signed_file),
    ]


class _InputFileRoutes:
    def __init__(
        self,
        services: JobServices,
        presenter: JobPresenter,
        images: InputImages,
        links: SignedUrls,
        permissions: Permissions,
    ) -> None:
        self._models = services.models
        self._catalog = services.catalog
        self._input_files = services.input_files
        self._presenter = presenter
        self._images = images
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
        model_id, url = body.get("model_id"), body.get("address")
        may_use = self._catalog.may_use(model_id, is_owner=self._permissions.is_owner(request))
        field = await run_in_threadpool(self._url_field, str(model_id), body.get("field")) if may_use else None
        if field is None or not isinstance(url, str):
            return message_response("`model_id`, `field`, and `address`", 400)
        try:
            await asyncio.wrap_future(input_files.prepare_thumbnail(field, url, visitor, hashed_client_ip(request)))
        except InputError as exc:
            return message_response(rule_text(exc, language), exc.http_status)
        thumbnail = await run_in_threadpool(self._presenter.given_thumbnail, url, visitor)
        return JSONResponse({"thumbnail": thumbnail}, headers=NO_STORE)

    def _url_field(self, model_id: str, key: Any) -> Field | None:
        model = self._models.get(model_id)
        fields = model.fields if model else ()
        return next((field for field in fields if field.key == key and field.kind.holds_urls), None)

    @refuses_unreadable
    async def thumbnail(self, request: Request) -> Response:
        """The thumbnail of a visitor's file; nobody else can guess its name."""
        input_files, name = self._input_files, request.path_params["name"]
        thumbnail = await run_in_threadpool(input_files.thumbnail, name) if input_files else None
        if thumbnail is None:
            return Response("No such file.", 404)
        return await file_response(request, thumbnail, {"Cache-Control": IMMUTABLE}, "image/webp")

    @refuses_unreadable
    async def signed_file(self, request: Request) -> Response:
        """One given image, for whoever has its signed URL, until that expires or the image is gone."""
        signed = self._links.file(request.scope["path"].partition(f"/{FOLDER}/")[2])
        is_valid = signed is not None and signed.left_s > 0
        match = await run_in_threadpool(self._images.file, signed.key) if signed and is_valid else None
        if match is None:
            return Response("No such file, or its URL has expired.", 404, NO_STORE)
        image, stored = match
        headers = NO_STORE | {"X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff"}
        return await file_response(request, stored, headers, MEDIA_TYPES[image.extension])
