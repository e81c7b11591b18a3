"""HTTP routes of jobs: a visitor's jobs and each change of them, the quota, and what can be done with a job.

The stream of changes is no Gradio event: it needs no slot of Gradio's queue, and when it breaks, the browser opens it
again by itself and the page stays as it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from dreamina_ui.errors import DreaminaError, InputError, JobNotFoundError, LimitError, StateError, StoppedError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.spending.limits import Quota
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.auth.visitor import new_visitor_secret
from dreamina_ui.web.http import NO_STORE, hashed_client_ip, language_of, read_json, refusal
from dreamina_ui.web.i18n.error_texts import error_action, error_text
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.press_id import read_press_id

OWNER_TAB_TEXTS = ("owner_tab", "owner_go")

_SILENCE: Final = "silence"
_Changes: TypeAlias = "asyncio.Queue[Job | Literal['silence'] | None]"
PING_INTERVAL_S = 10.0
"""How long a stream may be silent: proxies close connections on which nothing comes, and the page gives up on one."""


def build_job_routes(services: JobServices, presenter: JobPresenter, permissions: Permissions) -> list[BaseRoute]:
    """The routes of jobs; the page's URLs are relative, so any root path will do."""
    handlers = _JobRoutes(services, presenter, permissions)
    return [
        Route(f"/{PREFIX}/jobs", handlers.recent),
        Route(f"/{PREFIX}/left", handlers.quota),
        Route(f"/{PREFIX}/events", handlers.events),
        Route(f"/{PREFIX}/jobs/{{job_id}}", handlers.details),
        Route(f"/{PREFIX}/jobs/{{job_id}}/{{action}}", handlers.act, methods=["POST"]),
        Route(f"/{PREFIX}/attach", handlers.attach_new, methods=["POST"]),
    ]


class _JobRoutes:
    def __init__(self, services: JobServices, presenter: JobPresenter, permissions: Permissions) -> None:
        self._jobs = services.jobs
        self._reader = services.reader
        self._attacher = services.attacher
        self._spending = services.spending
        self._catalog = services.catalog
        self._accounts = services.accounts
        self._presenter = presenter
        self._permissions = permissions
        self._actions: dict[str, Callable[[Request, Job], Awaitable[Job]]] = {
            "cancel": self._cancel,
            "fetch-again": self._fetch_again,
            "put-aside": self._archive,
            "attach": self._attach,
            "submit-again": self._submit_again,
        }

    async def recent(self, request: Request) -> Response:
        """The cards of the visitor's jobs."""
        jobs = await self._recent_jobs(request)
        return JSONResponse(await self._cards(request, jobs), headers=NO_STORE)

    async def quota(self, request: Request) -> Response:
        """What the visitor may still do today.

        `{"jobs_today": int | null, "renewed_at": s, "stopped": str, "action": str, "can_generate": bool, "is_owner":
        bool, "requester": str}`: `renewed_at` in seconds since 1970, `stopped` a text that says why no new job is
        taken, in the words of the refusal, `""` if jobs are taken; `action` as of a refusal. The owner's request ends a
        stop that the program made by itself, so the owner `can_generate` all the same. `requester` is what the page
        sends as `X-Dreamina-Requester` with each request that costs money. A page that asks without an identity, as its
        cookie was refused, gets one for its storage: `"identity"`. The owner also gets `owner_words`, the texts of the
        tab that only the owner's page shows. `more_models` is whether there is more to choose than the page's forms,
        and `more_inputs` has the model_ids of those forms whose model has more inputs at the service.
        """
        visitor = self._permissions.visitor(request)
        has_own_key = self._permissions.key_session(request) is not None
        read_quota = partial(self._spending.quota, visitor or NOBODY, has_own_key=has_own_key)
        quota = await run_in_threadpool(read_quota)
        is_owner, refused = self._permissions.is_owner(request), _refusal_of(quota)
        stopped = error_text(refused, language_of(request), for_owner=is_owner) if refused else ""
        action = error_action(refused, for_owner=is_owner) if refused else "none"
        can_generate = refused is None or (is_owner and quota.stopped in ("auth", "balance"))
        response = vars(quota) | {"stopped": stopped, "action": action, "can_generate": can_generate}
        response["is_owner"] = is_owner
        response["more_inputs"] = self._catalog.extended()
        response["more_models"] = self._catalog.has_more(is_owner=is_owner, has_key=has_own_key)
        if is_owner:
            language = language_of(request)
            response["owner_words"] = {key: translate(language, key) for key in OWNER_TAB_TEXTS}
        response["requester"] = self._permissions.requester_tag(request)
        identity = {} if visitor else {"identity": new_visitor_secret()}
        return JSONResponse(response | identity, headers=NO_STORE)

    async def events(self, request: Request) -> Response:
        """The visitor's jobs, then each change, until none is active: events `jobs`, `rest`, and `ping` in silence."""
        return _EventStream(partial(self._stream, request))

    async def _stream(self, request: Request, changes: _Changes) -> AsyncGenerator[str]:
        visitor = self._permissions.visitor(request)
        loop = asyncio.get_running_loop()
        unsubscribe = self._reader.changes.subscribe(
            visitor or NOBODY, lambda job: loop.call_soon_threadsafe(changes.put_nowait, job)
        )
        try:
            changed = await self._recent_jobs(request)
            known: dict[str, Job] = {}
            while True:
                # Two threads may publish two versions of one job in the wrong order.
                changed = [job for job in changed if job.job_id not in known or known[job.job_id].version < job.version]
                known |= {job.job_id: job for job in changed}
                if changed:
                    yield _event("jobs", await self._cards(request, changed))
                if not any(self._reader.is_active(job) for job in known.values()):
                    break
                latest = await _next_changes(changes)
                if latest is None:
                    return  # the page is gone, or the program stops; then the browser will ask again
                if not (changed := latest):
                    yield _event("ping", {})
            yield _event("rest", {})
        finally:
            unsubscribe()

    async def details(self, request: Request) -> Response:
        """Everything about one job."""
        try:
            job = await self._own_job(request)
        except DreaminaError as exc:
            return refusal(exc, language_of(request), for_owner=self._permissions.is_owner(request))
        is_owner = self._permissions.is_owner(request)
        details = await run_in_threadpool(self._presenter.details, job, language_of(request), for_owner=is_owner)
        return JSONResponse(details, headers=NO_STORE)

    async def act(self, request: Request) -> Response:
        """Do something with one job; responds with its card, or that of the job it led to."""
        action = request.path_params["action"]
        try:
            job = await self._own_job(request)
            if action not in self._actions:
                raise InputError("action", "enum", tuple(self._actions), action)
            job = await self._actions[action](request, job)
        except DreaminaError as exc:
            return refusal(exc, language_of(request), for_owner=self._permissions.is_owner(request))
        return await self._card_response(request, job)

    async def _cancel(self, _request: Request, job: Job) -> Job:
        return (await asyncio.wrap_future(self._jobs.cancel_soon(job.job_id))).job

    async def _fetch_again(self, _request: Request, job: Job) -> Job:
        return await run_in_threadpool(self._jobs.fetch_again, job.job_id)

    async def _archive(self, request: Request, job: Job) -> Job:
        restores = (await read_json(request)).get("back") is True
        return await run_in_threadpool(self._jobs.restore if restores else self._jobs.archive, job.job_id)

    async def _attach(self, request: Request, job: Job) -> Job:
        # In the owner's account any visitor's request could be named; in that of an own key only one's own.
        if job.key_fingerprint is None and not self._permissions.is_owner(request):
            raise StateError("Only the owner may attach requests of the owner's account.")
        attach = partial(self._attacher.attach, await _request_id(request), job_id=job.job_id)
        return await run_in_threadpool(attach)

    async def _submit_again(self, request: Request, job: Job) -> Job:
        self._permissions.ensure_same_requester(request)
        self._catalog.ensure_usable(
            job.model_id, is_owner=self._permissions.is_owner(request), has_key=self._permissions.has_key(request)
        )
        body = await read_json(request)
        submit_again = partial(
            self._jobs.submit_again,
            job.job_id,
            visitor_id=self._permissions.visitor(request),
            client_hash=hashed_client_ip(request),
            press_id=read_press_id(body),
            may_charge_twice=body.get("may_charge_twice") is True,
            lifts_stop=self._permissions.is_owner(request),
        )
        return await run_in_threadpool(submit_again)

    async def attach_new(self, request: Request) -> Response:
        """Bring in any request of the account: `{"request_id": str}`. Owner only: it may be anybody's."""
        try:
            if self._permissions.scope(request) is not None:
                raise StateError("Only the owner may bring in requests: at the machine itself, or by the command line.")
            account = self._accounts.account(self._permissions.key_session(request))
            visitor = self._permissions.visitor(request)
            attach = partial(self._attacher.attach, await _request_id(request), visitor_id=visitor, account=account)
            job = await run_in_threadpool(attach)
        except DreaminaError as exc:
            return refusal(exc, language_of(request), for_owner=self._permissions.is_owner(request))
        return await self._card_response(request, job)

    async def _own_job(self, request: Request) -> Job:
        job_id = request.path_params["job_id"]
        job = await run_in_threadpool(self._reader.job, job_id)
        if not self._permissions.may_see(request, job):
            raise JobNotFoundError(f"No job {job_id[:64]!r} is known here.")
        return job

    async def _recent_jobs(self, request: Request) -> list[Job]:
        visitor = self._permissions.visitor(request)
        return await run_in_threadpool(self._reader.recent, visitor) if visitor else []

    async def _card_response(self, request: Request, job: Job) -> Response:
        return JSONResponse((await self._cards(request, [job]))[0], headers=NO_STORE)

    async def _cards(self, request: Request, jobs: list[Job]) -> list[dict[str, Any]]:
        language, is_owner = language_of(request), self._permissions.is_owner(request)

        def make() -> list[dict[str, Any]]:
            return self._presenter.cards(jobs, language, for_owner=is_owner)

        if len(jobs) == 1 and not self._presenter.has_given_files(jobs[0]):
            return make()  # takes less time than to wait for a thread
        return await run_in_threadpool(make)


def _refusal_of(quota: Quota) -> DreaminaError | None:
    """What a new job would be refused with; None if there is nothing against it."""
    if quota.stopped:
        return StoppedError(quota.stopped)
    if quota.jobs_today == 0 and quota.jobs_per_day is not None:
        return LimitError("visitor_per_day", quota.jobs_per_day, quota.renewed_at)
    return None


async def _request_id(request: Request) -> str:
    request_id = (await read_json(request)).get("request_id")
    return request_id if isinstance(request_id, str) else ""


async def _next_changes(changes: _Changes) -> list[Job] | None:
    """Wait for changes; several changes of one job become its latest.

    Returns:
        The changed jobs, none after `PING_INTERVAL_S` seconds of silence; None when the stream ends.
    """
    silence = asyncio.get_running_loop().call_later(PING_INTERVAL_S, changes.put_nowait, _SILENCE)
    try:
        news = [await changes.get()]
    finally:
        silence.cancel()
    while not changes.empty():
        news.append(changes.get_nowait())
    return None if None in news else list({job.job_id: job for job in news if isinstance(job, Job)}.values())


class _EventStream(Response):
    """A response that lasts until its events end or the page is gone.

    Starlette's own starts a group of tasks for each stream, which a crowd of pages pays for.

    Args:
        events: gives the events; what it is called with gets None when the page is gone.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Callable[[_Changes], AsyncGenerator[str]]) -> None:
        super().__init__(headers={**NO_STORE, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes: _Changes = asyncio.Queue()
        leaving = asyncio.create_task(_until_gone(receive))
        leaving.add_done_callback(lambda _: changes.put_nowait(None))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with aclosing(self._events(changes)) as events:
                async for event in events:
                    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
