"""The HTTP routes of shared pages: to make, list and revoke them, and the pages themselves, open to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError
from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.library.naming import plain_file_name
from dreamina_ui.library.shares import Share, SharedFile, Shares
from dreamina_ui.media.formats import SHOWN_MEDIA_TYPES
from dreamina_ui.media.store import TIERS
from dreamina_ui.models.schema import Model
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import NO_STORE, language_of, message_response, read_id, read_json, refusal
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX, SHARED
from dreamina_ui.web.presenters import file_url
from dreamina_ui.web.shared_page import shared_page_html
from dreamina_ui.web.stored_files import file_response, refuses_unreadable

HEADERS = NO_STORE | {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}
"""No cache may store what can be revoked, and no search engine may list it."""


def build_share_routes(
    shares: Shares, reader: JobReader, models: Mapping[str, Model], permissions: Permissions, public_url: str
) -> list[BaseRoute]:
    """The routes; those below `/dreamina/shared/` need no login and no cookie, and look at none.

    Args:
        models: by model_id.
        public_url: the page's URL as others reach it; "" where only the request tells.
    """
    handlers = _ShareRoutes(shares, reader, models, permissions, public_url)
    return [
        Route(f"/{PREFIX}/shares", handlers.list),
        Route(f"/{PREFIX}/shares", handlers.create, methods=["POST"]),
        Route(f"/{PREFIX}/shares/revoke", handlers.revoke, methods=["POST"]),
        Route(f"/{PREFIX}/{SHARED}/{{share_id}}", handlers.page),
        Route(f"/{PREFIX}/{SHARED}/{{share_id}}/{{alias}}/{{tier}}/{{name}}", handlers.file),
    ]


class _ShareRoutes:
    def __init__(
        self,
        shares: Shares,
        reader: JobReader,
        models: Mapping[str, Model],
        permissions: Permissions,
        public_url: str,
    ) -> None:
        self._shares = shares
        self._reader = reader
        self._models = models
        self._permissions = permissions
        self._public_url = public_url

    async def list(self, request: Request) -> Response:
        """The visitor's shares, newest first, `{"shares": [...]}` as of `create`; for the owner everybody's."""
        scope = self._permissions.scope(request)
        if self._permissions.sees_others(request) and request.query_params.get("whose") == "mine":
            scope = self._permissions.visitor(request) or "nobody"
        shares = await run_in_threadpool(self._shares.of_visitor, scope)
        shown = await run_in_threadpool(lambda: [self._to_json(request, share) for share in shares])
        return JSONResponse({"shares": shown}, headers=NO_STORE)

    async def create(self, request: Request) -> Response:
        """Share an image or a board: `{"file": file_key, "prompt": bool}` or `{"board": board_id, "prompt": bool}`.

        With `"prompt": null`, nothing is shared: the response is the share that there is, or `{"share_id": null}`.

        Returns:
            `{"share_id": str, "url": str, "shows_prompt": bool, "created_at": seconds since 1970, "file": file_key |
            null, "board": board_id | null, "name": str, "thumbnail": url | null}`.
        """
        language, body = language_of(request), await read_json(request)
        visitor, scope = self._permissions.visitor(request), self._permissions.scope(request)
        if visitor is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        target = {name: value for name in ("file", "board") if (value := read_id(body, name)) is not None}
        if len(target) != 1 or "prompt" not in body:
            return message_response("file or board, and prompt", 400)
        try:
            share = await run_in_threadpool(self._put, visitor, scope, target, body["prompt"])
        except DreaminaError as exc:
            return refusal(exc, language, {"shares": translate(language, "shares")})
        if share is None and body["prompt"] is None:
            return JSONResponse({"share_id": None}, headers=NO_STORE)
        if share is None:
            return message_response(translate(language, "error_job_not_found"), 404)
        return JSONResponse(await run_in_threadpool(self._to_json, request, share), headers=NO_STORE)

    def _put(self, visitor: str, scope: str | None, target: dict[str, str], prompt: Any) -> Share | None:
        file_key, board_id = target.get("file"), target.get("board")
        if prompt is None:
            return self._shares.share_of(visitor, file_key=file_key, board_id=board_id)
        if file_key is not None:
            return self._shares.share_file(visitor, file_key, scope, shows_prompt=prompt is True)
        return self._shares.share_board(visitor, board_id or "", shows_prompt=prompt is True)

    async def revoke(self, request: Request) -> Response:
        """End shares: `{"shares": [share_id]}`; responds with `{"count": int}`, how many there were."""
        body, scope = await read_json(request), self._permissions.scope(request)
        ids = body.get("shares")
        if not isinstance(ids, list):
            return message_response("shares", 400)
        wanted = [share_id for share_id in ids[:1000] if isinstance(share_id, str) and share_id.isascii()]
        count = await run_in_threadpool(self._shares.revoke, wanted, scope)
        return JSONResponse({"count": count}, headers=NO_STORE)

    async def page(self, request: Request) -> Response:
        """The page, the same for everybody; 404 once it is revoked, or what it shows was deleted."""
        language, share_id = language_of(request), request.path_params["share_id"]
        shown = await run_in_threadpool(self._shares.read, share_id)
        if shown is None:
            text = translate(language, "shared_gone")
            return Response(shared_page_html(language, text), 404, HEADERS | {"Vary": "Accept-Language"}, "text/html")
        share, name, files = shown
        page = shared_page_html(
            language, name, files, self._base_url(request), share_id, self._models if share.shows_prompt else None
        )
        return Response(page, 200, HEADERS | {"Vary": "Accept-Language"}, "text/html")

    @refuses_unreadable
    async def file(self, request: Request) -> Response:
        """One tier of an image of a page, until the page is revoked or the image deleted."""
        share_id, alias, tier = (request.path_params[name] for name in ("share_id", "alias", "tier"))
        shared = await run_in_threadpool(self._shares.file, share_id, alias) if tier in TIERS else None
        stored = await run_in_threadpool(self._stored, shared, tier) if shared else None
        if shared is None or stored is None:
            return Response("No such file.", 404, HEADERS)
        output = shared.output
        is_copy = not stored.name.startswith("original")
        media_type = "image/webp" if is_copy else output.media_type or "application/octet-stream"
        is_shown = is_copy or output.media_type in SHOWN_MEDIA_TYPES
        disposition = "inline" if is_shown and "download" not in request.query_params else "attachment"
        name = "image.webp" if is_copy else plain_file_name(output)
        headers = HEADERS | {"Content-Disposition": f'{disposition}; filename="{name}"'}
        return await file_response(request, stored, headers, media_type)

    def _stored(self, shared: SharedFile, tier: str) -> Any:
        """The tier, or the next smaller copy where an image has no large one."""
        tiers = ("large", "preview") if tier == "large" else (tier,)
        return next(
            (match[2] for tier in tiers if (match := self._reader.file(shared.output.file_key, tier)) is not None), None
        )

    def _base_url(self, request: Request) -> str:
        return self._public_url or str(request.base_url).rstrip("/")

    def _to_json(self, request: Request, share: Share) -> dict[str, Any]:
        shown = self._shares.read(share.share_id, limit=1)
        _, name, files = shown or (share, "", [])
        first = files[0] if files else None
        return {
            "share_id": share.share_id,
            "url": f"{self._base_url(request)}/{PREFIX}/{SHARED}/{share.share_id}",
            "shows_prompt": share.shows_prompt,
            "created_at": share.created_at,
            "file": share.file_key,
            "board": share.board_id,
            "name": name,
            "thumbnail": file_url(first.job, first.output, "thumbnail") if first else None,
        }
