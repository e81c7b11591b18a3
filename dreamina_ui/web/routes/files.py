"""HTTP routes of output files, in four sizes, and of copies with settings.

Outputs do not go through Gradio: its route copies and hashes on the event loop, and knows neither caching nor owners.
"""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.naming import file_name
from dreamina_ui.media.decoding.copies import tiers_of
from dreamina_ui.media.formats import SHOWN_MEDIA_TYPES
from dreamina_ui.media.late_copies import LateCopies
from dreamina_ui.media.store import TIERS, StoredFile
from dreamina_ui.settings import Delivery
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import IMMUTABLE, NO_STORE
from dreamina_ui.web.paths import FILES, PREFIX, WITH_SETTINGS
from dreamina_ui.web.settings_copy import copy_with_settings
from dreamina_ui.web.stored_files import accel_response, file_response, redirect_response, refuses_unreadable


def build_file_routes(
    reader: JobReader, permissions: Permissions, late_copies: LateCopies, delivery: Delivery = "proxy"
) -> list[BaseRoute]:
    """The routes of outputs."""
    handlers = _FileRoutes(reader, permissions, late_copies, delivery)
    return [
        Route(f"/{PREFIX}/{FILES}/{{file_key}}/{{tier}}/{{name}}", handlers.output),
    ]


class _FileRoutes:
    def __init__(
        self, reader: JobReader, permissions: Permissions, late_copies: LateCopies, delivery: Delivery
    ) -> None:
        self._reader = reader
        self._permissions = permissions
        self._late_copies = late_copies
        self._delivery = delivery

    @refuses_unreadable
    async def output(self, request: Request) -> Response:
        """One tier of one output, with ranges and an ETag; the content behind a URL never changes.

        Its file key is unguessable and all that counts: whoever has the URL gets the same file, with or without a
        cookie. Only the maker sees what is in the trash, and a copy with the settings.
        """
        tier, file_key = request.path_params["tier"], request.path_params["file_key"]
        stored_tier = "original" if tier == WITH_SETTINGS else tier
        from_trash = "deleted" in request.query_params
        find = partial(self._reader.file, file_key, stored_tier, also_deleted=from_trash)
        match = await run_in_threadpool(find) if stored_tier in TIERS else None
        if match is None and tier == "large":
            return await self._large(request, file_key)
        if match is None:
            return Response("No such file.", 404, NO_STORE)
        job, output, stored = match
        if from_trash and not self._permissions.may_see(request, job):
            return Response("No such file.", 404, NO_STORE)  # whoever merely has the URL has lost it
        if tier == WITH_SETTINGS:
            if not self._permissions.may_see(request, job):
                return Response("No such file.", 404, NO_STORE)  # whoever has a URL of the image learns no prompt
            name, headers = file_name(job, output, WITH_SETTINGS), {"Cache-Control": "private, no-cache"}
            return await run_in_threadpool(copy_with_settings, job, output, stored, name, headers)
        return await self._stored_file(request, job, output, tier, stored)

    async def _large(self, request: Request, file_key: str) -> Response:
        """The large copy of an image that has none yet; its preview if there will be none, or not now."""
        match = await run_in_threadpool(self._reader.file, file_key, "preview")
        if match is None:
            return Response("No such file.", 404, NO_STORE)
        job, output, _ = match
        has_large = "large" in tiers_of(output.width or 0, output.height or 0)
        coming = self._late_copies.request(job.job_id, output.index, output.sha256) if has_large else None
        # Shielded: somebody else may wait for it, too.
        stored = await asyncio.shield(asyncio.wrap_future(coming)) if coming else None
        if stored is None:
            return RedirectResponse(f"../preview/{quote(file_name(job, output, 'preview'))}", 307, NO_STORE)
        return await self._stored_file(request, job, output, "large", stored)

    async def _stored_file(self, request: Request, job: Job, output: Output, tier: str, stored: StoredFile) -> Response:
        etag = f'"{output.sha256 or output.file_key}-{tier}"'
        # Whoever merely has the URL asks again each time, so that what is deleted is gone for them, too.
        is_lasting = output.deleted_at is None and self._permissions.may_see(request, job)
        caching = IMMUTABLE if is_lasting else "private, no-cache"
        headers = {"Cache-Control": caching, "ETag": etag, "X-Content-Type-Options": "nosniff"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        is_shown = tier != "original" or output.media_type in SHOWN_MEDIA_TYPES
        disposition = "inline" if is_shown and "download" not in request.query_params else "attachment"
        headers["Content-Disposition"] = f"{disposition}; filename*=utf-8''{quote(file_name(job, output, tier))}"
        media_type = (output.media_type if tier == "original" else "image/webp") or "application/octet-stream"
        if stored.signer and self._delivery == "accel":
            return accel_response(stored.signer, headers, media_type)
        # Scripts of the page may not read from another site, and small files are quicker from here.
        if stored.signer and self._delivery == "redirect" and tier == "original" and not _is_script(request):
            return redirect_response(stored.signer, headers, media_type)
        return await file_response(request, stored, headers, media_type)


def _is_script(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") == "empty"
