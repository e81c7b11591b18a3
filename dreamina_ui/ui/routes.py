"""Our own HTTP routes: files, the page's stream of jobs, cancel and fetch again.

Files do not go through Gradio: its route copies and hashes on the event loop, and knows neither caching nor owners.
The page's stream is not a Gradio event either: it needs no slot of Gradio's queue, and when it breaks, the browser
opens it again by itself and the page stays as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import DreaminaError, JobNotFoundError, LedgerError
from dreamina_ui.job import Job
from dreamina_ui.studio import Studio
from dreamina_ui.ui.objects import FILES, PREFIX, file_name, job_card
from dreamina_ui.ui.visitor import is_cross_site, visitor_id
from dreamina_ui.ui.wording import error_text, languages, pick_language

ASSETS_FOLDER = Path(__file__).parents[2] / "assets"
IMMUTABLE = "private, max-age=31536000, immutable"
PING_S = 15.0
TIERS = ("original", "preview", "thumbnail")

Endpoint = Callable[[Request], Awaitable[Response]]


def build_routes(studio: Studio) -> list[BaseRoute]:
    """The routes of one studio; the page's addresses are relative, so any root path will do."""
    here = _Routes(studio)
    return [
        Route(f"/{PREFIX}/{FILES}/{{file_key}}/{{tier}}/{{name}}", here.file),
        Route(f"/{PREFIX}/jobs", _same_site(here.jobs)),
        Route(f"/{PREFIX}/events", _same_site(here.events)),
        Route(f"/{PREFIX}/jobs/{{job_id}}/{{action}}", _same_site(here.act), methods=["POST"]),
        Route(f"/{PREFIX}/assets/{{digest}}/{{name}}", here.asset),
    ]


@cache
def asset_path(name: str) -> str:
    """The address of a file in `assets/`, relative to the page; it changes with the file."""
    return f"{PREFIX}/assets/{hashlib.sha256((ASSETS_FOLDER / name).read_bytes()).hexdigest()[:16]}/{name}"


class _Routes:
    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def file(self, request: Request) -> Response:
        """One tier of one output, with ranges, an ETag and for ever cacheable: an address never changes its content."""
        tier = request.path_params["tier"]
        key = request.path_params["file_key"]
        found = await run_in_threadpool(self._studio.file, key, tier) if tier in TIERS else None
        if found is None:
            return Response("No such file.", 404)
        job, output, path = found
        etag = f'"{output.sha256 or output.file_key}-{tier}"'
        headers = {"Cache-Control": IMMUTABLE, "ETag": etag, "X-Content-Type-Options": "nosniff"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = "attachment" if "download" in request.query_params else "inline"
        headers["Content-Disposition"] = f"{kind}; filename*=utf-8''{quote(file_name(job, output, tier))}"
        media_type = output.media_type if tier == "original" else "image/webp"
        return FileResponse(path, headers=headers, media_type=media_type or "application/octet-stream")

    async def jobs(self, request: Request) -> Response:
        """The visitor's jobs at once."""
        jobs = await self._recent(request)
        return JSONResponse(await self._cards(request, jobs), headers={"Cache-Control": "no-store"})

    async def events(self, request: Request) -> Response:
        """The visitor's jobs, then each change, until none of them is active: server-sent events `jobs` and `rest`."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(request), media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        visitor = visitor_id(request.headers.get("cookie"))
        news: asyncio.Queue[Job] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        unsubscribe = self._studio.changes.subscribe(
            visitor or "nobody", lambda job: loop.call_soon_threadsafe(news.put_nowait, job)
        )
        try:
            changed = await self._recent(request)
            known: dict[str, Job] = {}
            while True:
                # Two threads may tell of one job in the wrong order; an older version is no news.
                changed = [job for job in changed if job.job_id not in known or known[job.job_id].version < job.version]
                known |= {job.job_id: job for job in changed}
                if changed:
                    yield _event("jobs", await self._cards(request, changed))
                if not any(self._studio.is_active(job) for job in known.values()):
                    break
                changed = await _next_changes(news)
                if not changed:
                    yield ": still here\n\n"
            yield _event("rest", {})
        finally:
            unsubscribe()

    async def act(self, request: Request) -> Response:
        """Cancel or fetch again one job of the visitor."""
        language = pick_language(request.headers.get("accept-language"))
        job_id, action = request.path_params["job_id"], request.path_params["action"]
        try:
            job = await run_in_threadpool(self._studio.job, job_id)
            if job.visitor_id is None or job.visitor_id != visitor_id(request.headers.get("cookie")):
                raise JobNotFoundError(job_id)
            if action == "cancel":
                job = (await asyncio.wrap_future(self._studio.cancel_soon(job_id))).job
            elif action == "fetch-again":
                job = await run_in_threadpool(self._studio.fetch_again, job_id)
            else:
                return Response("No such action.", 404)
        except DreaminaError as fault:
            code = 404 if isinstance(fault, JobNotFoundError) else 503 if isinstance(fault, LedgerError) else 409
            return JSONResponse({"message": error_text(fault, language)}, code)
        return JSONResponse((await self._cards(request, [job]))[0])

    async def asset(self, request: Request) -> Response:
        """A file of `assets/`."""
        name = request.path_params["name"]
        path = ASSETS_FOLDER / name
        if "/" in name or name.startswith(".") or not path.is_file():
            return Response("No such file.", 404)
        return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})

    async def _recent(self, request: Request) -> list[Job]:
        visitor = visitor_id(request.headers.get("cookie"))
        return await run_in_threadpool(self._studio.recent, visitor) if visitor else []

    async def _cards(self, request: Request, jobs: list[Job]) -> list[dict[str, Any]]:
        language = request.query_params.get("language", "")
        if language not in languages():
            language = pick_language(request.headers.get("accept-language"))
        return await run_in_threadpool(lambda: [job_card(self._studio, job, language, time.time()) for job in jobs])


def _same_site(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        return Response("Not from another site.", 403) if is_cross_site(request.headers) else await endpoint(request)

    return guarded


async def _next_changes(news: asyncio.Queue[Job]) -> list[Job]:
    """Wait for news; several changes of one job become its latest. Empty after `PING_S` seconds of silence."""
    try:
        latest = {(first := await asyncio.wait_for(news.get(), PING_S)).job_id: first}
    except asyncio.TimeoutError:
        return []
    while not news.empty():
        job = news.get_nowait()
        latest[job.job_id] = job
    return list(latest.values())


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
