"""The endpoints for programs: `/generate`, `/job` and `/cancel`, stable from their first version on.

Another model than the page's first has a `/generate` of its own, named after its model_id.

A program has no cookie: the job_id is its key to that one job. One that signed in is the person it signed in as.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import gradio as gr
from gradio.route_utils import get_root_url
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from dreamina_ui.errors import DreaminaError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.models.schema import Model
from dreamina_ui.spending.accounts import Account
from dreamina_ui.web.auth.login_throttle import LoginThrottle
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import hashed_client_ip
from dreamina_ui.web.i18n.error_texts import program_error_text
from dreamina_ui.web.presenters import JobPresenter
from dreamina_ui.web.press_id import read_idempotency_key

log = logging.getLogger(__name__)

KEY_HEADER = "x-runcomfy-token"
"""How a program gives its own RunComfy key, with any call."""

IDEMPOTENCY_ARGUMENT = "idempotency_key"
"""The last argument of each `/generate`: what a program names the request, so that it can repeat it."""

T = TypeVar("T")


def add_endpoints(endpoints: Endpoints, models: Mapping[str, Model], first: Model) -> None:
    """Add the endpoints to the Blocks that are being built; `/generate` runs the first model."""
    functions = {"generate": endpoints.generate(first), "job": endpoints.job, "cancel": endpoints.cancel}
    for model in models.values():
        if model is not first:
            functions[endpoint_name(model)] = endpoints.generate(model)
    for name, function in functions.items():
        gr.api(function, api_name=name, concurrency_limit=None)  # type: ignore[attr-defined]


def endpoint_name(model: Model) -> str:
    """Such as `generate_bytedance_dreamina_4_0_edit`."""
    return "generate_" + re.sub(r"[^a-z0-9]+", "_", model.model_id.lower()).strip("_")


class Endpoints:
    """What the endpoints do, for whichever protocol.

    Every error that a caller should read is a `gr.Error`.
    """

    def __init__(
        self,
        services: JobServices,
        presenter: JobPresenter,
        permissions: Permissions,
        throttle: LoginThrottle | None = None,
    ) -> None:
        self._jobs = services.jobs
        self._reader = services.reader
        self._accounts = services.accounts
        self._api_keys = services.api_keys
        self._presenter = presenter
        self._permissions = permissions
        self._throttle = throttle or LoginThrottle()

    def generate(self, model: Model) -> Callable[..., AsyncIterator[dict[str, Any]]]:
        """`/generate` with the parameters of a model's schema, in its order."""
        # Required ones first: Python wants parameters with defaults behind those without.
        fields = sorted(model.fields, key=lambda field: not field.required)

        async def generate(request: gr.Request, *values: Any) -> AsyncIterator[dict[str, Any]]:
            """Make pictures. One object for each change of the job; the last one when it has ended. It costs money."""
            inputs = {field.key: value for field, value in zip(fields, values, strict=False)}
            job = await self.begin(model, inputs, request, *values[len(fields) :])
            async for job_object in self.follow(job.job_id, request):
                yield job_object

        # Gradio reads an endpoint's parameters from its signature.
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter("request", kind, annotation=gr.Request)] + [
            inspect.Parameter(
                field.parameter,
                kind,
                annotation=field.kind.annotation,
                default=inspect.Parameter.empty if field.required else field.default,
            )
            for field in fields
        ]
        parameters.append(inspect.Parameter(IDEMPOTENCY_ARGUMENT, kind, annotation=str, default=""))
        annotations = {parameter.name: parameter.annotation for parameter in parameters}
        generate.__signature__ = inspect.Signature(parameters, return_annotation=dict)  # type: ignore[attr-defined]
        generate.__annotations__ = annotations | {"return": dict}
        return generate

    def is_owner(self, request: gr.Request) -> bool:
        """Whether the owner calls."""
        return self._permissions.is_owner(_http(request))

    async def has_key(self, request: gr.Request) -> bool:
        """Whether a key of the caller's own pays; a new one is checked. Raises gr.Error for one that is none."""
        return await self._account(request) is not None

    async def begin(
        self, model: Model, inputs: dict[str, Any], request: gr.Request, idempotency_key: Any = None
    ) -> Job:
        """Begin a paid job with inputs by schema key; repeated with its idempotency key, it is the same job.

        Args:
            idempotency_key: None for that of the header, if there is one.
        """
        http, account = _http(request), await self._account(request)
        person = self._permissions.person(http)
        is_alone = account is not None or person is not None or self._permissions.is_owner(http)

        async def begin() -> Job:
            generated = self._jobs.generate_soon(
                model.model_id,
                inputs,
                visitor_id=person,
                client_hash=hashed_client_ip(http),
                account=account,
                press_id=read_idempotency_key(http, idempotency_key, is_alone=is_alone),
                is_click=False,
            )
            return await asyncio.wrap_future(generated)

        return await _with_gradio_errors(begin())

    async def follow(self, job_id: str, request: gr.Request) -> AsyncGenerator[dict[str, Any], None]:
        """A job as `/job` gives it, now and after each visible change, until nothing more will happen by itself."""
        last: dict[str, Any] = {}
        async for version in self._versions(job_id):
            job_object = self._presenter.to_object(version, _root(request))
            content = job_object | {"updated_at": None, "elapsed_s": None}
            if content != last:  # not every change of the row shows in the object
                yield job_object
            last = content

    async def _account(self, request: gr.Request) -> Account | None:
        """That of the key in the call's header, which from now on serves all jobs made with it; None without one.

        A new key is checked first: otherwise anybody could write rows with what is no key. An empty one is refused: a
        program that wants to pay by itself must not spend the owner's money because a variable was not set.
        """
        key = _http(request).headers.get(KEY_HEADER)
        if key is None:
            return None
        client = hashed_client_ip(_http(request)) or "local"
        try:
            if not self._accounts.has_key(key):
                if wait_s := await self._throttle.begin_attempt(client):
                    raise gr.Error(f"Too many new keys. Try again in {wait_s:.0f} s.", print_exception=False)
                if await asyncio.wrap_future(self._api_keys.check_soon(key)):
                    await self._throttle.forgive_attempt(client)
            return await run_in_threadpool(self._api_keys.give, key, None)
        except DreaminaError as exc:
            raise gr.Error(program_error_text(exc), print_exception=False) from exc

    async def _versions(self, job_id: str) -> AsyncIterator[Job]:
        """A job and each later version of it, until nothing more will happen without a person."""
        loop = asyncio.get_running_loop()
        changes: asyncio.Queue[Job | None] = asyncio.Queue()
        unsubscribe = self._reader.changes.subscribe(
            job_id, lambda change: loop.call_soon_threadsafe(changes.put_nowait, change)
        )
        try:
            job = await run_in_threadpool(self._reader.job, job_id)
            yield job
            while self._reader.is_active(job):
                change = await changes.get()
                if change is None:
                    return  # the program stops; the job resumes at the next start
                if change.version > job.version:
                    job = change
                    yield job
        finally:
            unsubscribe()

    async def job(self, job_id: str, request: gr.Request) -> dict:  # type: ignore[type-arg]
        """One job as it is now."""
        await self._account(request)
        job = await self._read(job_id)
        return self._presenter.to_object(job, _root(request))

    async def cancel(self, job_id: str, request: gr.Request) -> dict:  # type: ignore[type-arg]
        """Cancel one job: the outcome is `cancelled`, `too_late` or `unconfirmed`."""
        await self._account(request)
        job = await self._read(job_id)
        verdict = await _with_gradio_errors(asyncio.wrap_future(self._jobs.cancel_soon(job.job_id)))
        return {"outcome": verdict.outcome, "job": self._presenter.to_object(verdict.job, _root(request))}

    async def _read(self, job_id: Any) -> Job:
        return await _with_gradio_errors(run_in_threadpool(self._reader.job, job_id if isinstance(job_id, str) else ""))


async def _with_gradio_errors(result: Awaitable[T]) -> T:
    """Await a result; what we raise on purpose reaches the caller as text, anything else as a stub."""
    try:
        return await result
    except DreaminaError as exc:
        raise gr.Error(program_error_text(exc), print_exception=False) from exc
    except Exception as exc:
        log.exception("An endpoint failed")
        raise gr.Error("Something went wrong here; it is in the log.", print_exception=False) from exc


def _root(request: gr.Request) -> str:
    """The URL of the page, without a slash at the end."""
    http = _http(request)
    return get_root_url(http, http.url.path, http.app.root_path or None)


def _http(request: gr.Request) -> Request:
    assert request.request is not None  # only a call from our own process has none
    return request.request
