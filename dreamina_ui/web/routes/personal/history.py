"""The HTTP routes by which visitors take everything away: as a ZIP, into another installation, or for good."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, cast

from anyio import CapacityLimiter, to_thread
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError, LedgerError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.library.history_import import JOB_BYTES
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import (
    NO_STORE,
    hashed_client_ip,
    language_of,
    message_response,
    read_json,
    refusal,
)
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import IMPORT, PREFIX
from dreamina_ui.web.stored_files import refuses_unreadable
from dreamina_ui.wiring import Personal

MAX_BYTES = 20 * 10**9
"""How large a ZIP may be, and its files together."""

MAX_BYTES_OF_STRANGERS = 200 * 10**6
"""The same for visitors of a shared page who have not signed in, for each client and day."""

MAX_RUNNING, MAX_RUNNING_OF_STRANGERS = 2, 1
"""How many imports that have arrived run at once; the others wait."""

MIN_FREE_BYTES = 500 * 10**6
"""How much room the disk of temporary files must have beside a ZIP."""

_DAY_S = 86_400.0
_MAX_CLIENTS = 10_000


def build_history_routes(
    services: JobServices, personal: Personal, permissions: Permissions, *, is_shared: bool
) -> list[BaseRoute]:
    """The routes.

    Args:
        is_shared: whether strangers may reach the page.
    """
    handlers = _HistoryRoutes(services, personal, permissions, is_shared)
    return [
        Route(f"/{PREFIX}/history/export", handlers.export),
        Route(IMPORT, handlers.progress),
        Route(IMPORT, handlers.upload, methods=["POST"]),
        Route(f"/{PREFIX}/history/erase", handlers.erase, methods=["POST"]),
        Route(f"/{PREFIX}/owner/erase", handlers.erase_visitor, methods=["POST"]),
    ]


class _Quota:
    """How many bytes each client may still import today."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._used: dict[tuple[str, int], int] = {}

    def left(self, client: str) -> int:
        return self._max_bytes - self._used.get((client, self._today()), 0)

    def use(self, client: str, size_bytes: int) -> None:
        today = self._today()
        if len(self._used) >= _MAX_CLIENTS:
            self._used = {key: used for key, used in self._used.items() if key[1] == today}
        if len(self._used) < _MAX_CLIENTS or (client, today) in self._used:
            self._used[client, today] = self._used.get((client, today), 0) + size_bytes

    def _today(self) -> int:
        return int(self._clock() // _DAY_S)


class _HistoryRoutes:
    def __init__(self, services: JobServices, personal: Personal, permissions: Permissions, is_shared: bool) -> None:
        self._services = services
        self._personal = personal
        self._permissions = permissions
        self._is_shared = is_shared
        self._quota = _Quota(MAX_BYTES_OF_STRANGERS)
        self._running: dict[bool, CapacityLimiter] = {}

    @refuses_unreadable
    async def export(self, request: Request) -> Response:
        """The visitor's whole history as a ZIP, which is written while it is sent."""
        visitor = self._permissions.visitor(request)
        if visitor is None:
            return _no_identity(request)
        whose = None if self._owns_all(request) else visitor
        name = f"dreamina-history-{time.strftime('%Y-%m-%d', time.gmtime())}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        pieces = iterate_in_threadpool(self._personal.history_export.stream(visitor, whose))
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    async def progress(self, request: Request) -> Response:
        """How far the visitor's import has come, as `library.history_import.ImportProgress`; without one only `is_all`,
        whether an export has everybody's jobs.
        """
        visitor = self._permissions.visitor(request)
        progress = self._personal.imports.progress(visitor) if visitor else None
        body = _to_json(request, progress) | {"is_all": self._owns_all(request)}
        return JSONResponse(body, headers=NO_STORE)

    async def upload(self, request: Request) -> Response:
        """Import a ZIP, the body; the response is 202 with the progress, and the import follows."""
        visitor, language = self._permissions.visitor(request), language_of(request)
        if visitor is None:
            return _no_identity(request)
        client, max_bytes = hashed_client_ip(request) or "", self._max_bytes(request)
        is_stranger, is_all = self._is_stranger(request), self._owns_all(request)
        progress = self._personal.imports.begin(visitor, client if is_stranger else None)
        if progress is None:
            return message_response(translate(language, "history_busy"), 409)
        file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the background task closes it
        try:
            size_bytes = await _receive(request, file, max_bytes)
        except (ClientDisconnect, OSError):
            size_bytes = None
        except BaseException:  # the request gave way to others
            file.close()
            progress.is_done, progress.error = True, "upload"
            raise
        if size_bytes is None:
            file.close()
            progress.is_done, progress.error = True, "upload"
            return message_response(translate(language, "history_too_large", limit=max_bytes // 10**6), 413)
        if is_stranger:
            self._quota.use(client, size_bytes)

        def work() -> None:
            with file:
                self._personal.imports.run(file, visitor, max_bytes, is_all=is_all)
            if is_stranger:  # what was packed well takes its real room
                taken = max(progress.size_bytes, progress.jobs * JOB_BYTES)
                self._quota.use(client, max(0, taken - size_bytes))

        async def work_in_turn() -> None:
            await to_thread.run_sync(work, limiter=self._limiter(is_stranger))

        return JSONResponse(_to_json(request, progress), 202, NO_STORE, background=BackgroundTask(work_in_turn))

    async def erase(self, request: Request) -> Response:
        """Delete all of the visitor's data, `{"confirm": true}`; the browser forgets what it has stored as well."""
        visitor = self._permissions.visitor(request)
        if visitor is None:
            return _no_identity(request)
        others = await run_in_threadpool(self._personal.erasure.visitors) if self._owns_all(request) else []
        response = await self._erase(request, *dict.fromkeys([visitor, *others]))
        if response.status_code == 200:
            if key := self._permissions.key_session(request):
                with suppress(LedgerError):
                    await run_in_threadpool(self._services.api_keys.take_back, key)
            response.headers["Clear-Site-Data"] = '"cache"'
        return response

    async def erase_visitor(self, request: Request) -> Response:
        """The owner deletes all data of a visitor: `{"visitor": visitor_id, "confirm": true}`."""
        if not self._permissions.is_owner(request):
            return message_response(translate(language_of(request), "owner_only"), 403)
        visitor = (await read_json(request)).get("visitor")
        if not isinstance(visitor, str) or not 0 < len(visitor) <= 64 or not visitor.isascii():
            return message_response("visitor", 400)
        return await self._erase(request, visitor)

    async def _erase(self, request: Request, *visitors: str | None) -> Response:
        if (await read_json(request)).get("confirm") is not True:
            return message_response("confirm", 400)
        count = 0
        try:
            for visitor in visitors:
                await run_in_threadpool(self._cancel_jobs, visitor)
                count += await run_in_threadpool(self._personal.erasure.erase, visitor)
        except DreaminaError as exc:
            return refusal(exc, language_of(request))
        return JSONResponse({"count": count}, headers=NO_STORE)

    def _owns_all(self, request: Request) -> bool:
        """At one's own machine everything is one's own, also what programs and other browsers made."""
        return self._permissions.is_owner(request) and not self._is_shared

    def _cancel_jobs(self, visitor: str | None) -> None:
        """Ask to cancel what still runs, and do not wait for it."""
        for job in self._services.reader.unfinished():
            if job.visitor_id == visitor:
                self._services.jobs.cancel_soon(job.job_id)

    def _limiter(self, is_stranger: bool) -> CapacityLimiter:
        """How many imports run; strangers keep nobody else waiting."""
        if is_stranger not in self._running:  # made where the event loop runs
            self._running[is_stranger] = CapacityLimiter(MAX_RUNNING_OF_STRANGERS if is_stranger else MAX_RUNNING)
        return self._running[is_stranger]

    def _is_stranger(self, request: Request) -> bool:
        return self._is_shared and self._permissions.is_stranger(request)

    def _max_bytes(self, request: Request) -> int:
        return self._quota.left(hashed_client_ip(request) or "") if self._is_stranger(request) else MAX_BYTES


async def _receive(request: Request, file: BinaryIO, max_bytes: int) -> int | None:
    """Write a body to a file; its size, or None for too much. Raises OSError for a disk that is almost full."""
    size_bytes = 0
    length = int(request.headers.get("content-length", "0"))
    free_bytes = (await run_in_threadpool(shutil.disk_usage, tempfile.gettempdir())).free
    if free_bytes < min(length, max_bytes) + MIN_FREE_BYTES:
        raise OSError("the disk is almost full")
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            return None
        await run_in_threadpool(file.write, chunk)
    return size_bytes


def _to_json(request: Request, progress: Any) -> dict[str, Any]:
    if progress is None:
        return {}
    key = "history_not_export" if progress.error == "input" else "history_failed"
    error = translate(language_of(request), key) if progress.error else ""
    return {**vars(progress), "error": error}


def _no_identity(request: Request) -> Response:
    return message_response(translate(language_of(request), "error_no_cookie"), 403)
