"""Our own HTTP routes: files, the page's stream of jobs, cancel and fetch again.

Files do not go through Gradio: its route copies and hashes on the event loop, and knows neither caching nor owners.
The page's stream is not a Gradio event either: it needs no slot of Gradio's queue, and when it breaks, the browser
opens it again by itself and the page stays as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import (
    DreaminaError,
    InputError,
    JobNotFoundError,
    MediaError,
    StateError,
)
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.library.naming import file_name
from dreamina_ui.media.embedded_metadata import size_with_settings, with_settings
from dreamina_ui.media.store import TIERS, StoredFile
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.auth.visitor import client_ip_hash, new_visitor_secret
from dreamina_ui.web.http import IMMUTABLE, PUBLIC_IMMUTABLE, language_of, read_json, refusal
from dreamina_ui.web.i18n.translate import languages, page_words, translate
from dreamina_ui.web.paths import FILES, PREFIX, WITH_SETTINGS, static_files
from dreamina_ui.web.presenters import JobPresenter, settings_object
from dreamina_ui.web.stored_files import file_response

PING_S = 15.0
ACTIONS = ("cancel", "fetch-again", "put-aside", "attach", "submit-again")


def build_job_routes(services: JobServices, presenter: JobPresenter, access: Permissions) -> list[BaseRoute]:
    """The routes of jobs and files; the page's URLs are relative, so any root path will do."""
    routes = _JobRoutes(services, presenter, access)
    return [
        Route(f"/{PREFIX}/{FILES}/{{file_key}}/{{tier}}/{{name}}", routes.file),
        Route(f"/{PREFIX}/jobs", routes.jobs),
        Route(f"/{PREFIX}/left", routes.left),
        Route(f"/{PREFIX}/events", routes.events),
        Route(f"/{PREFIX}/jobs/{{job_id}}", routes.job),
        Route(f"/{PREFIX}/jobs/{{job_id}}/{{action}}", routes.act, methods=["POST"]),
        Route(f"/{PREFIX}/attach", routes.attach, methods=["POST"]),
        Route(f"/{PREFIX}/assets/{{digest}}/{{name:path}}", routes.asset),
        Route(f"/{PREFIX}/words/{{digest}}/{{language}}.json", routes.words),
    ]


class _JobRoutes:
    def __init__(self, services: JobServices, presenter: JobPresenter, access: Permissions) -> None:
        self._jobs = services.jobs
        self._reader = services.reader
        self._attacher = services.attacher
        self._spending = services.spending
        self._accounts = services.accounts
        self._presenter = presenter
        self._access = access

    async def file(self, request: Request) -> Response:
        """One tier of one output, with ranges, an ETag and for ever cacheable: an address never changes its content."""
        tier = request.path_params["tier"]
        key = request.path_params["file_key"]
        of_disk = "original" if tier == WITH_SETTINGS else tier
        found = await run_in_threadpool(self._reader.file, key, of_disk) if of_disk in TIERS else None
        if found is None or not self._access.may_fetch(request, found[0]):
            return Response("No such file.", 404)
        job, output, stored = found
        if tier == WITH_SETTINGS:
            return await run_in_threadpool(_copy_with_settings, job, output, stored)
        etag = f'"{output.sha256 or output.file_key}-{tier}"'
        headers = {"Cache-Control": IMMUTABLE, "ETag": etag, "X-Content-Type-Options": "nosniff"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = "attachment" if "download" in request.query_params else "inline"
        headers["Content-Disposition"] = f"{kind}; filename*=utf-8''{quote(file_name(job, output, tier))}"
        media_type = output.media_type if tier == "original" else "image/webp"
        return await file_response(request, stored, headers, media_type or "application/octet-stream")

    async def jobs(self, request: Request) -> Response:
        """The visitor's jobs at once."""
        jobs = await self._recent(request)
        return JSONResponse(await self._cards(request, jobs), headers={"Cache-Control": "no-store"})

    async def left(self, request: Request) -> Response:
        """What the visitor may still do today.

        `{"jobs_today": int | null, "renewed_at": s, "stopped": str, "is_owner": bool}`: `renewed_at` in seconds since
        1970, `stopped` a text that says why no new job is taken, `""` if jobs are taken. A page that asks without an
        identity, as its cookie was refused, gets one for its storage: `"identity"`.
        """
        visitor = self._access.visitor(request)
        has_own_key = self._access.key_session(request) is not None
        quota = partial(self._spending.quota, visitor or NOBODY, has_own_key=has_own_key)
        left = await run_in_threadpool(quota)
        stopped = translate(language_of(request), f"error_stopped_{left.stopped}") if left.stopped else ""
        told = vars(left) | {"stopped": stopped, "is_owner": self._access.is_owner(request)}
        identity = {} if visitor else {"identity": new_visitor_secret()}
        return JSONResponse(told | identity, headers={"Cache-Control": "no-store"})

    async def events(self, request: Request) -> Response:
        """The visitor's jobs, then each change, until none of them is active: server-sent events `jobs` and `rest`."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(request), media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        visitor = self._access.visitor(request)
        news: asyncio.Queue[Job | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        unsubscribe = self._reader.changes.subscribe(
            visitor or NOBODY, lambda job: loop.call_soon_threadsafe(news.put_nowait, job)
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
                if not any(self._reader.is_active(job) for job in known.values()):
                    break
                latest = await _next_changes(news)
                if latest is None:
                    return  # the program stops; the browser will ask again
                if not (changed := latest):
                    yield ": still here\n\n"
            yield _event("rest", {})
        finally:
            unsubscribe()

    async def job(self, request: Request) -> Response:
        """Everything there is to know about one job."""
        try:
            job = await self._own(request)
        except DreaminaError as exc:
            return refusal(exc, language_of(request))
        details = await run_in_threadpool(self._presenter.details, job, language_of(request))
        return JSONResponse(details, headers={"Cache-Control": "no-store"})

    async def act(self, request: Request) -> Response:
        """Do something with one job; the answer is its card, or that of the job it led to."""
        try:
            job = await self._act(await self._own(request), request)
        except DreaminaError as exc:
            return refusal(exc, language_of(request))
        return JSONResponse((await self._cards(request, [job]))[0])

    async def _act(self, job: Job, request: Request) -> Job:
        action = request.path_params["action"]
        if action == "cancel":
            return (await asyncio.wrap_future(self._jobs.cancel_soon(job.job_id))).job
        body = await read_json(request)
        if action == "fetch-again":
            return await run_in_threadpool(self._jobs.fetch_again, job.job_id)
        if action == "put-aside":
            archive = self._jobs.restore if body.get("back") is True else self._jobs.archive
            return await run_in_threadpool(archive, job.job_id)
        if action == "attach":
            attach = partial(self._attacher.attach, _text(body, "request_id"), job_id=job.job_id)
            return await run_in_threadpool(attach)
        if action == "submit-again":
            if body.get("may_charge_twice") is not True:
                raise InputError("may_charge_twice", "const", True, body.get("may_charge_twice"))
            visitor = self._access.visitor(request)
            address = client_ip_hash(request.client.host if request.client else None)
            account = self._accounts.account(self._access.key_session(request))
            return await run_in_threadpool(
                lambda: self._jobs.submit_again(job.job_id, visitor_id=visitor, address=address, account=account)
            )
        raise InputError("action", "enum", ACTIONS, action)

    async def attach(self, request: Request) -> Response:
        """Bring in any request of the account: `{"request_id": str}`. Not for strangers: it may be another's."""
        request_id = _text(await read_json(request), "request_id")
        visitor = self._access.visitor(request)
        try:
            if self._access.scope(request) is not None:
                raise StateError("Only the owner may bring in requests: at the machine itself, or by the command line.")
            account = self._accounts.account(self._access.key_session(request))
            attach = partial(self._attacher.attach, request_id, visitor_id=visitor, account=account)
            job = await run_in_threadpool(attach)
        except DreaminaError as exc:
            return refusal(exc, language_of(request))
        return JSONResponse((await self._cards(request, [job]))[0])

    async def _own(self, request: Request) -> Job:
        job_id = request.path_params["job_id"]
        job = await run_in_threadpool(self._reader.job, job_id)
        if not self._access.may_see(request, job):
            raise JobNotFoundError(f"No job {job_id[:64]!r} is known here.")
        return job

    async def asset(self, request: Request) -> Response:
        """A file of `assets/`."""
        name = request.path_params["name"]
        if name not in static_files():
            return Response("No such file.", 404)
        return FileResponse(static_files()[name], headers={"Cache-Control": PUBLIC_IMMUTABLE})

    async def words(self, request: Request) -> Response:
        """What the page's script says in one language: `{key: text}`."""
        language = request.path_params["language"]
        if language not in languages():
            return Response("No such language.", 404)
        headers = {"Cache-Control": PUBLIC_IMMUTABLE}
        return Response(page_words(language), media_type="application/json", headers=headers)

    async def _recent(self, request: Request) -> list[Job]:
        visitor = self._access.visitor(request)
        return await run_in_threadpool(self._reader.recent, visitor) if visitor else []

    async def _cards(self, request: Request, jobs: list[Job]) -> list[dict[str, Any]]:
        language = language_of(request)

        def make() -> list[dict[str, Any]]:
            return [self._presenter.card(job, language) for job in jobs]

        if len(jobs) == 1 and not self._presenter.has_given_files(jobs[0]):
            return make()  # it takes less time than to wait for a thread, and there are six for each job
        return await run_in_threadpool(make)


def _copy_with_settings(job: Job, output: Output, original: StoredFile) -> Response:
    settings = settings_object(job)
    try:
        pieces, size_bytes = with_settings(original, settings), size_with_settings(original, settings)
    except MediaError as exc:
        return Response(str(exc), exc.http_status, media_type="text/plain")
    headers = {
        "Content-Length": str(size_bytes),
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(file_name(job, output, WITH_SETTINGS))}",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(iterate_in_threadpool(pieces), media_type=output.media_type, headers=headers)


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


async def _next_changes(news: asyncio.Queue[Job | None]) -> list[Job] | None:
    """Wait for news; several changes of one job become its latest.

    Returns:
        The changed jobs, none after `PING_S` seconds of silence; None when the program stops.
    """
    latest: dict[str, Job] = {}
    try:
        job = await asyncio.wait_for(news.get(), PING_S)
    except asyncio.TimeoutError:
        return []
    while job is not None:
        latest[job.job_id] = job
        if news.empty():
            return list(latest.values())
        job = news.get_nowait()
    return None


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
