"""The HTTP routes of boards."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError
from dreamina_ui.library.boards import Board, Boards
from dreamina_ui.library.shares import Shares
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import NO_STORE, language_of, message_response, read_json, refusal
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX

MAX_FILES_PER_REQUEST = 5000


def build_board_routes(boards: Boards, shares: Shares, permissions: Permissions) -> list[BaseRoute]:
    """The routes of boards; each responds with all boards of the visitor, as `list` does."""
    handlers = _BoardRoutes(boards, shares, permissions)
    prefix = f"/{PREFIX}/boards"
    return [
        Route(prefix, handlers.list),
        Route(prefix, handlers.create, methods=["POST"]),
        Route(f"{prefix}/order", handlers.order, methods=["POST"]),
        Route(f"{prefix}/of-files", handlers.of_files, methods=["POST"]),
        Route(f"{prefix}/{{board_id}}", handlers.change, methods=["POST"]),
        Route(f"{prefix}/{{board_id}}/delete", handlers.delete, methods=["POST"]),
    ]


class _BoardRoutes:
    def __init__(self, boards: Boards, shares: Shares, permissions: Permissions) -> None:
        self._boards = boards
        self._shares = shares
        self._permissions = permissions

    async def list(self, request: Request) -> Response:
        """`{"boards": [{"board_id": str, "name": str, "count": int, "is_shared": bool}]}`, in the visitor's order."""
        visitor = self._permissions.visitor(request)
        return await self._respond(visitor) if visitor else JSONResponse({"boards": []}, headers=NO_STORE)

    async def create(self, request: Request) -> Response:
        """A new board: `{"name": str, "files": [file_key]}`; the response names it as `"board_id"`, too."""
        visitor, body = self._permissions.visitor(request), await read_json(request)
        if visitor is None:
            return _no_identity(request)
        scope, files = self._permissions.scope(request), _files(body)
        try:
            board = await run_in_threadpool(self._boards.create, visitor, body.get("name"), files, scope)
        except DreaminaError as exc:
            return _refuse(exc, request)
        return await self._respond(visitor, board)

    async def order(self, request: Request) -> Response:
        """Another order: `{"boards": [board_id]}`."""
        visitor, body = self._permissions.visitor(request), await read_json(request)
        if visitor is None:
            return _no_identity(request)
        ids = body.get("boards")
        if not isinstance(ids, list):
            return message_response("boards", 400)
        wanted = [board_id for board_id in ids[:MAX_FILES_PER_REQUEST] if isinstance(board_id, str)]
        await run_in_threadpool(self._boards.order, visitor, wanted)
        return await self._respond(visitor)

    async def of_files(self, request: Request) -> Response:
        """Which boards have files, `{"files": [file_key]}`: `{"files": {file_key: [board_id]}}`."""
        visitor, body = self._permissions.visitor(request), await read_json(request)
        by_key = await run_in_threadpool(self._boards.of_files, visitor, _files(body)) if visitor else {}
        return JSONResponse({"files": by_key}, headers=NO_STORE)

    async def change(self, request: Request) -> Response:
        """Rename a board, `{"name": str}`, or put files on it or take them off, `{"files": [file_key], "on": bool}`."""
        visitor, body = self._permissions.visitor(request), await read_json(request)
        board = await self._board(request, visitor)
        if visitor is None or board is None:
            return _no_identity(request) if visitor is None else _gone(request)
        try:
            if "name" in body:
                board = await run_in_threadpool(self._boards.rename, board, body["name"])
            elif body.get("on") is False:
                await run_in_threadpool(self._boards.remove, board, _files(body))
            else:
                scope = self._permissions.scope(request)
                await run_in_threadpool(self._boards.add, board, _files(body), scope)
        except DreaminaError as exc:
            return _refuse(exc, request)
        return await self._respond(visitor, board)

    async def delete(self, request: Request) -> Response:
        """Remove a board; its images stay in the library."""
        visitor = self._permissions.visitor(request)
        board = await self._board(request, visitor)
        if visitor is None or board is None:
            return _no_identity(request) if visitor is None else _gone(request)
        await run_in_threadpool(self._boards.delete, board)
        return await self._respond(visitor)

    async def _board(self, request: Request, visitor: str | None) -> Board | None:
        board_id = request.path_params["board_id"]
        return await run_in_threadpool(self._boards.board, board_id, visitor) if visitor else None

    async def _respond(self, visitor: str, board: Board | None = None) -> Response:
        boards, shares = await run_in_threadpool(
            lambda: (self._boards.of_visitor(visitor), self._shares.of_visitor(visitor))
        )
        shared = {share.board_id for share in shares}
        shown = [
            {"board_id": row.board_id, "name": row.name, "count": row.files, "is_shared": row.board_id in shared}
            for row in boards
        ]
        content: dict[str, Any] = {"boards": shown} | ({"board_id": board.board_id} if board else {})
        return JSONResponse(content, headers=NO_STORE)


def _files(body: dict[str, Any]) -> list[str]:
    keys = body.get("files")
    files = [key for key in keys if isinstance(key, str) and key.isascii()] if isinstance(keys, list) else []
    return files[:MAX_FILES_PER_REQUEST]


def _no_identity(request: Request) -> Response:
    return message_response(translate(language_of(request), "error_no_cookie"), 403)


def _gone(request: Request) -> Response:
    return message_response(translate(language_of(request), "error_board_gone"), 404)


def _refuse(exc: DreaminaError, request: Request) -> Response:
    language = language_of(request)
    titles = {"name": translate(language, "board_name"), "boards": translate(language, "boards")}
    return refusal(exc, language, titles | {"files": translate(language, "tab_library")})
