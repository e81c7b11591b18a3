"""What the form asks the server: a new job, prices, a look at given files, and addresses of our own pictures."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError, InputError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.library.library import Library
from dreamina_ui.library.naming import file_name
from dreamina_ui.media.input_files import MAX_MB
from dreamina_ui.media.signed_urls import FOLDER, SignedUrls
from dreamina_ui.models.schema import Model
from dreamina_ui.spending.limits import MAX_FILES, SINGLE_KEY
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.visitor import client_ip_hash
from dreamina_ui.web.gradio_page.form import read_form
from dreamina_ui.web.http import IMMUTABLE, language_of, read_json, refusal
from dreamina_ui.web.i18n.translate import field_titles, rule_text, translate
from dreamina_ui.web.paths import PREFIX, THUMBNAILS
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.stored_files import file_response

log = logging.getLogger(__name__)


def build_form_routes(
    services: JobServices,
    presenter: JobPresenter,
    library: Library,
    links: SignedUrls,
    access: Permissions,
    *,
    uses_sandbox: bool,
) -> list[BaseRoute]:
    """The routes of the forms.

    Those below `/dreamina/inputs/` are for the service: they need no login and no cookie, only a signature.
    """
    routes = _FormRoutes(services, presenter, library, links, access, uses_sandbox)
    return [
        Route(f"/{PREFIX}/generate", routes.generate, methods=["POST"]),
        Route(f"/{PREFIX}/prices", routes.prices),
        Route(f"/{PREFIX}/{THUMBNAILS}/look", routes.look, methods=["POST"]),
        Route(f"/{PREFIX}/{THUMBNAILS}/link", routes.link, methods=["POST"]),
        Route(f"/{PREFIX}/{THUMBNAILS}/{{digest}}.webp", routes.thumbnail),
        Route(f"/{FOLDER}/{{place:path}}", routes.signed),
    ]


class _FormRoutes:
    def __init__(
        self,
        services: JobServices,
        presenter: JobPresenter,
        library: Library,
        links: SignedUrls,
        access: Permissions,
        uses_sandbox: bool,
    ) -> None:
        self._models = services.models
        self._jobs = services.jobs
        self._accounts = services.accounts
        self._guard = services.guard
        self._input_files = services.input_files
        self._presenter = presenter
        self._library = library
        self._links = links
        self._access = access
        self._uses_sandbox = uses_sandbox

    async def generate(self, request: Request) -> Response:
        """A press of Generate, `{"model_id": str, "inputs": {schema key: value}}`: the answer is the new job's card.

        Of Gradio's queue it needs nothing: that builds a session for each new visitor, on the event loop. Measured with
        500 visitors: their pages heard ten seconds late.
        """
        language, body = language_of(request), await read_json(request)
        visitor = self._access.visitor(request)
        if visitor is None:
            return JSONResponse({"message": translate(language, "error_no_cookie")}, 403)
        model_id, inputs = body.get("model_id"), body.get("inputs")
        model = self._models.get(model_id) if isinstance(model_id, str) else None
        try:
            if model is None:
                raise InputError("model_id", "enum", sorted(self._models), model_id)
            press = self._jobs.generate_soon(
                model.model_id,
                read_form(model, inputs if isinstance(inputs, dict) else {}),
                visitor_id=visitor,
                address=client_ip_hash(request.client.host if request.client else None),
                account=self._accounts.account(self._access.key_session(request)),
            )
            job = await asyncio.wrap_future(press)
        except DreaminaError as exc:
            return refusal(exc, language, field_titles(model, language) if model else None)
        except Exception:
            log.exception("A press of Generate broke")
            return JSONResponse({"message": translate(language, "error_unexpected")}, 500)
        card = await run_in_threadpool(self._presenter.card, job, language)
        return JSONResponse(card, headers={"Cache-Control": "no-store"})

    async def prices(self, request: Request) -> Response:
        """What each model is expected to cost, in USD: `{"play_money": bool, "models": {model_id: {...} | null}}`.

        To whom gave a key of their own, what that pays.
        """
        accounts, has_key = self._accounts, self._access.key_session(request) is not None
        origin = accounts.key_origin if has_key or accounts.requires_own_key else accounts.api_origin
        models = {model_id: self._price(model, origin) for model_id, model in self._models.items()}
        answer = {"play_money": self._uses_sandbox and not has_key, "models": models}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    def _price(self, model: Model, origin: str) -> dict[str, Any] | None:
        guard, model_id = self._guard, model.model_id
        price = guard.price(model_id, origin)
        if price is None:
            return None
        found: dict[str, Any] = {"one_usd": price[0], "unit": price[1]}
        switch = next((field.parameter for field in model.fields if field.key == SINGLE_KEY), None)
        if switch:
            found |= {"switch": switch, "most_usd": guard.expected_usd(model_id, {}, origin), "most_files": MAX_FILES}
        return found

    async def look(self, request: Request) -> Response:
        """Look at a file before anything is sent: `{"model_id": str, "field": key, "address": str}`.

        The answer is `{"thumbnail": address | null}`, or `{"message": str}` with the rule that is broken.
        """
        language, body = language_of(request), await read_json(request)
        visitor, given = self._access.visitor(request), self._input_files
        if visitor is None or given is None:
            return JSONResponse({"message": translate(language, "error_no_cookie")}, 403)
        model, url = self._models.get(str(body.get("model_id"))), body.get("address")
        fields = {field.key: field for field in model.fields if field.kind.holds_urls} if model else {}
        field = fields.get(str(body.get("field")))
        if field is None or not isinstance(url, str):
            return JSONResponse({"message": "model_id, field and address"}, 400)
        try:
            address = client_ip_hash(request.client.host if request.client else None)
            await asyncio.wrap_future(given.look(field, url, visitor, address))
        except InputError as exc:
            return JSONResponse({"message": rule_text(exc, language)}, exc.http_status)
        thumbnail = await run_in_threadpool(self._presenter.given_thumbnail, url)
        return JSONResponse({"thumbnail": thumbnail}, headers={"Cache-Control": "no-store"})

    async def thumbnail(self, request: Request) -> Response:
        """The thumbnail of a given file; who does not know the file's address cannot guess this one."""
        given = self._input_files
        thumbnail = given.thumbnail(request.path_params["digest"]) if given else None
        if thumbnail is None:
            return Response("No such file.", 404)
        return await file_response(request, thumbnail, {"Cache-Control": IMMUTABLE}, "image/webp")

    async def link(self, request: Request) -> Response:
        """A signed address of one of the visitor's own pictures, for the service: `{"file": file_key}`."""
        language, key = language_of(request), (await read_json(request)).get("file")
        found = await run_in_threadpool(self._library.picture, key) if isinstance(key, str) else None
        if found is None or self._access.scope(request) not in (None, found[0].visitor_id):
            return JSONResponse({"message": translate(language, "error_job_not_found")}, 404)
        job, output, original = found
        if not self._links.public_url:
            return JSONResponse({"message": translate(language, "error_no_public_url")}, 409)
        if original.size_bytes > MAX_MB[output.kind] * 10**6:
            return JSONResponse({"message": translate(language, "rule_address_size", limit=MAX_MB[output.kind])}, 409)
        address = self._links.address(output.file_key, quote(file_name(job, output, "original")))
        return JSONResponse({"address": address}, headers={"Cache-Control": "no-store"})

    async def signed(self, request: Request) -> Response:
        """One original, for whoever has its signed address, until that runs out."""
        signed = self._links.file_key(request.scope["path"].partition(f"/{FOLDER}/")[2])
        found = await run_in_threadpool(self._library.picture, signed[0]) if signed and signed[1] > 0 else None
        if found is None:
            return Response("No such file, or its address has run out.", 404)
        _, output, original = found
        headers = {
            "Cache-Control": "private, max-age=600",
            "X-Robots-Tag": "noindex",
            "X-Content-Type-Options": "nosniff",
        }
        return await file_response(request, original, headers, output.media_type or "application/octet-stream")
