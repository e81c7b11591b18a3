"""A batch's HTTP routes: the table before anything is sent, the start, and how far it is.

The plan writes nothing. The start takes the same wishes with the digest of the table that the person saw, and is
refused if they would lead to other jobs, another price or another payer now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.batches.dispatcher import Dispatcher
from dreamina_ui.batches.expansion import BatchRequest, expand, prompt_field
from dreamina_ui.batches.line_notices import find_notices
from dreamina_ui.batches.store import Batch, BatchStore
from dreamina_ui.errors import BatchError, DreaminaError, InputError, JobNotFoundError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.library.naming import prompt_of
from dreamina_ui.models.schema import Model
from dreamina_ui.models.sizes import choice_label
from dreamina_ui.spending.accounts import Account
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.auth.visitor import client_ip_hash
from dreamina_ui.web.gradio_page.form import read_form
from dreamina_ui.web.http import language_of, read_json, refusal
from dreamina_ui.web.i18n.translate import error_text, field_titles, pause_text, translate
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.presenters import JobPresenter

ACTIONS = ("pause", "resume", "cancel")
COUNTS = ("done", "running", "waiting", "failed", "unclear", "cancelled", "refused")
TOKEN_CHARACTERS = (16, 200)
MAX_REFUSALS = 10


def build_batch_routes(
    services: JobServices,
    presenter: JobPresenter,
    batches: BatchStore,
    dispatcher: Dispatcher,
    access: Permissions,
    *,
    uses_sandbox: bool = False,
) -> list[BaseRoute]:
    """The routes of batches; `uses_sandbox` if the owner's jobs cost nothing."""
    routes = _BatchRoutes(services, presenter, batches, dispatcher, access, uses_sandbox=uses_sandbox)
    return [
        Route(f"/{PREFIX}/batch/fields", routes.fields),
        Route(f"/{PREFIX}/batch/plan", routes.plan, methods=["POST"]),
        Route(f"/{PREFIX}/batches", routes.list),
        Route(f"/{PREFIX}/batches", routes.begin, methods=["POST"]),
        Route(f"/{PREFIX}/batches/{{batch_id}}/{{action}}", routes.act, methods=["POST"]),
    ]


@dataclass(frozen=True)
class _Plan:
    """What a person's wishes lead to now; `digest` changes with any of it."""

    model: Model
    account: Account
    inputs: list[dict[str, Any]]
    file_usd: float | None
    prices_usd: list[float | None]

    @property
    def expected_usd(self) -> float | None:
        known = [price for price in self.prices_usd if price is not None]
        return sum(known) if len(known) == len(self.prices_usd) else None

    @property
    def digest(self) -> str:
        all_of_it = [
            self.model.model_id,
            self.inputs,
            self.prices_usd,
            self.account.api_origin,
            self.account.key_fingerprint,
        ]
        return hashlib.sha256(json.dumps(all_of_it).encode()).hexdigest()


class _BatchRoutes:
    def __init__(
        self,
        services: JobServices,
        presenter: JobPresenter,
        batches: BatchStore,
        dispatcher: Dispatcher,
        access: Permissions,
        *,
        uses_sandbox: bool,
    ) -> None:
        self._uses_sandbox = uses_sandbox
        self._models = services.models
        self._accounts = services.accounts
        self._guard = services.guard
        self._spending = services.spending
        self._presenter = presenter
        self._batches = batches
        self._dispatcher = dispatcher
        self._access = access

    async def fields(self, request: Request) -> Response:
        """What can be varied of a model: `{"prompt": key | null, "fields": [{"key", "title", "kind", "choices"}]}`."""
        language = language_of(request)
        try:
            model = self._model(request.query_params.get("model_id"))
        except DreaminaError as exc:
            return _refusal(exc, language)
        prompt = prompt_field(model)
        titles = field_titles(model, language)
        varied = [
            {
                "key": field.key,
                "title": titles[field.key],
                "kind": field.kind.name,
                "choices": [{"value": choice, "label": choice_label(choice)} for choice in field.choices],
            }
            for field in model.fields
            if field.kind.can_vary
        ]
        return JSONResponse({"prompt": prompt.key if prompt else None, "fields": varied})

    async def plan(self, request: Request) -> Response:
        """The table: how many jobs, each with its inputs and price, and the digest that a start must carry.

        `notices` names the odd lines of the text: `[{"line": int, "kind": str, "excerpt": str, "message": str}]`.
        """
        language, body = language_of(request), await read_json(request)
        visitor = self._access.visitor(request) or NOBODY
        has_own_key = self._access.key_session(request) is not None

        def answer() -> dict[str, Any]:
            plan = self._plan(body, request)
            return {
                "count": len(plan.inputs),
                "expected_usd": plan.expected_usd,
                "play_money": self._uses_sandbox and plan.account.key_fingerprint is None,
                "own_key": plan.account.key_fingerprint is not None,
                "jobs_today": self._spending.quota(visitor, has_own_key=has_own_key).jobs_today,
                "digest": plan.digest,
                "notices": _notices(body.get("text"), language),
                "jobs": [
                    {"inputs": inputs, "expected_usd": price, **self._words(plan.model.model_id, inputs, language)}
                    for inputs, price in zip(plan.inputs, plan.prices_usd, strict=True)
                ],
            }

        return await self._answer(answer, body, language)

    async def begin(self, request: Request) -> Response:
        """Start what was planned: the same wishes, the table's `digest`, and a `token` made for this one start."""
        language, body = language_of(request), await read_json(request)
        visitor = self._access.visitor(request)
        if visitor is None:
            return JSONResponse({"message": translate(language, "error_no_cookie")}, 403)
        address = client_ip_hash(request.client.host if request.client else None)

        def answer() -> dict[str, Any]:
            token = body.get("token")
            if not isinstance(token, str) or not TOKEN_CHARACTERS[0] <= len(token) <= TOKEN_CHARACTERS[1]:
                raise InputError("token", "minLength", TOKEN_CHARACTERS[0], token)
            plan = self._plan(body, request)
            if body.get("digest") != plan.digest:
                raise BatchError("changed")
            batch = self._batches.begin(
                plan.model.model_id,
                plan.inputs,
                visitor_id=visitor,
                account=plan.account,
                token=token,
                address=address,
                price_usd=plan.file_usd,
            )
            return self._card(batch, language)

        return await self._answer(answer, body, language)

    async def list(self, request: Request) -> Response:
        """The visitor's batches: those first that go on."""
        language, visitor = language_of(request), self._access.visitor(request)

        def answer() -> Any:
            return [self._card(batch, language) for batch in self._batches.recent(visitor)] if visitor else []

        return await self._answer(answer, {}, language)

    async def act(self, request: Request) -> Response:
        """Pause, resume or cancel what is not sent; the answer is the batch, for a cancel with `not_sent: int`."""
        language = language_of(request)
        batch_id, action = request.path_params["batch_id"], request.path_params["action"]
        scope = self._access.scope(request)

        def answer() -> dict[str, Any]:
            if scope not in (None, self._batches.batch(batch_id).visitor_id):
                raise JobNotFoundError(f"No batch {batch_id[:64]!r} is known here.")
            more: dict[str, Any] = {}
            if action == "pause":
                self._batches.pause(batch_id)
            elif action == "resume":
                self._batches.resume(batch_id)
            elif action == "cancel":
                more = {"not_sent": self._batches.cancel(batch_id)}
            else:
                raise InputError("action", "enum", ACTIONS, action)
            return self._card(self._batches.batch(batch_id), language) | more

        return await self._answer(answer, {}, language)

    async def _answer(self, answer: Callable[[], Any], body: dict[str, Any], language: str) -> Response:
        try:
            found = await run_in_threadpool(answer)
        except DreaminaError as exc:
            model = self._models.get(str(body.get("model_id")))
            return _refusal(exc, language, model)
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    def _plan(self, body: dict[str, Any], request: Request) -> _Plan:
        model = self._model(body.get("model_id"))
        account = self._accounts.account(self._access.key_session(request))
        given, values, text = body.get("inputs"), body.get("values"), body.get("text")
        wishes = BatchRequest(
            text=text if isinstance(text, str) else "",
            inputs=read_form(model, given) if isinstance(given, dict) else {},
            values=values if isinstance(values, dict) else {},
            repeats=body.get("repeats", 1),
        )
        inputs = expand(model, wishes)
        guard, origin = self._guard, account.api_origin
        file_usd = guard.file_usd(model.model_id, origin)
        is_known = file_usd is not None
        prices = [guard.expected_usd(model.model_id, each, origin) if is_known else None for each in inputs]
        return _Plan(model, account, inputs, file_usd, prices)

    def _model(self, model_id: Any) -> Model:
        models = self._models
        if not isinstance(model_id, str) or model_id not in models:
            raise InputError("model_id", "enum", sorted(models), model_id)
        return models[model_id]

    def _words(self, model_id: str, inputs: Mapping[str, Any], language: str) -> dict[str, str]:
        job = Job(job_id="", model_id=model_id, api_origin="", inputs=inputs, created_at=0, updated_at=0)
        return {"prompt": prompt_of(job), "settings": self._presenter.settings_text(model_id, inputs, language)}

    def _card(self, batch: Batch, language: str) -> dict[str, Any]:
        total = sum(batch.counts.values())
        counts = {name: batch.counts.get(name, 0) for name in COUNTS}
        told = [name for name in COUNTS if counts[name] or name == "done"]
        model = self._models.get(batch.model_id)
        titles = field_titles(model, language) if model else {}
        message = ""
        if batch.state == "paused":
            message = (
                pause_text(batch.problem, language, titles) if batch.problem else translate(language, "batch_paused")
            )
        elif batch.state == "running" and not self._dispatcher.is_here(batch):
            message = translate(language, "batch_elsewhere", origin=batch.api_origin, model=batch.model_id)
        return {
            "batch_id": batch.batch_id,
            "state": batch.state,
            "active": batch.state != "ended" or counts["running"] > 0,
            "created_at": batch.created_at,
            "total": total,
            "counts": counts,
            "summary": " · ".join(
                translate(language, f"batch_count_{name}", count=counts[name], total=total) for name in told
            ),
            "message": message,
            "refusals": [
                self._words(batch.model_id, refusal.inputs, language)
                | {"reason": error_text(refusal.problem, language, titles)}
                for refusal in batch.refusals[:MAX_REFUSALS]
            ],
        }


def _notices(text: Any, language: str) -> list[dict[str, Any]]:
    """The odd lines of a batch's text, as JSON."""
    notices = []
    for notice in find_notices(text if isinstance(text, str) else ""):
        problem = translate(language, f"batch_notice_{notice.kind}")
        sentence = translate(language, "batch_notice", line=notice.line, excerpt=notice.excerpt, text=problem)
        notices.append(asdict(notice) | {"message": sentence})
    return notices


def _refusal(exc: DreaminaError, language: str, model: Model | None = None) -> Response:
    return refusal(exc, language, field_titles(model, language) if model else None)
