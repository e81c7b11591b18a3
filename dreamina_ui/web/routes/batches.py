"""HTTP routes of batches: the table before anything is sent, the start, and how far it is.

The plan writes nothing. The start takes the same request with the digest of the table that the person saw, and is
refused if it would lead to other jobs, another price or another payer now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.batches.dispatcher import MAX_ACTIVE_JOBS
from dreamina_ui.batches.expansion import BatchRequest, PlannedItem, expand_items, prompt_field
from dreamina_ui.batches.layout import Layout, arrange, axes_of, default_columns
from dreamina_ui.batches.store import Batch, BatchGrid, BatchStore
from dreamina_ui.errors import BatchError, DreaminaError, InputError, JobNotFoundError
from dreamina_ui.jobs.services import JobServices
from dreamina_ui.ledger.job import Job
from dreamina_ui.library.prompt_tools import PromptTools
from dreamina_ui.models.schema import Model
from dreamina_ui.models.sizes import choice_label
from dreamina_ui.spending.accounts import Account
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.batch_presenter import BatchPresenter, line_notices
from dreamina_ui.web.batch_retry import Retry, plan_retry
from dreamina_ui.web.gradio_page.form import read_form
from dreamina_ui.web.http import NO_STORE, hashed_client_ip, language_of, message_response, read_json, refusal
from dreamina_ui.web.i18n.error_texts import field_titles
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.press_id import read_press_id

ACTIONS = ("pause", "resume", "cancel")

MAX_REQUEST_CHARACTERS = 20_000
"""How long a request may be to be stored with its batch: its items have all prompts, too."""


def build_batch_routes(
    services: JobServices,
    presenter: BatchPresenter,
    batches: BatchStore,
    prompt_tools: PromptTools,
    permissions: Permissions,
    *,
    uses_sandbox: bool = False,
) -> list[BaseRoute]:
    """The routes of batches; `uses_sandbox` if the owner's jobs cost nothing."""
    handlers = _BatchRoutes(services, presenter, batches, prompt_tools, permissions, uses_sandbox=uses_sandbox)
    return [
        Route(f"/{PREFIX}/batch/fields", handlers.fields),
        Route(f"/{PREFIX}/batch/plan", handlers.plan, methods=["POST"]),
        Route(f"/{PREFIX}/batches", handlers.recent),
        Route(f"/{PREFIX}/batches", handlers.begin, methods=["POST"]),
        Route(f"/{PREFIX}/batches/{{batch_id}}", handlers.grid),
        Route(f"/{PREFIX}/batches/{{batch_id}}/retry", handlers.retry, methods=["POST"]),
        Route(f"/{PREFIX}/batches/{{batch_id}}/{{action}}", handlers.act, methods=["POST"]),
    ]


@dataclass(frozen=True)
class _Plan:
    """What a batch request leads to now; `digest` changes with any of it."""

    model: Model
    account: Account
    items: list[PlannedItem]
    layout: Layout
    file_usd: float | None
    prices_usd: list[float | None]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return [item.inputs for item in self.items]

    @property
    def expected_usd(self) -> float | None:
        known = [price for price in self.prices_usd if price is not None]
        return sum(known) if len(known) == len(self.prices_usd) else None

    @property
    def digest(self) -> str:
        account = [self.account.api_origin, self.account.key_fingerprint]
        content = [self.model.model_id, self.inputs, self.prices_usd, *account]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class _BatchRoutes:
    def __init__(
        self,
        services: JobServices,
        presenter: BatchPresenter,
        batches: BatchStore,
        prompt_tools: PromptTools,
        permissions: Permissions,
        *,
        uses_sandbox: bool,
    ) -> None:
        self._models = services.models
        self._catalog = services.catalog
        self._reader = services.reader
        self._accounts = services.accounts
        self._guard = services.guard
        self._spending = services.spending
        self._presenter = presenter
        self._batches = batches
        self._prompt_tools = prompt_tools
        self._permissions = permissions
        self._uses_sandbox = uses_sandbox

    async def fields(self, request: Request) -> Response:
        """What can be varied of a model: `{"prompt": key | null, "fields": [{"key", "title", "kind", "choices"}]}`."""
        language = language_of(request)
        try:
            model_id = request.query_params.get("model_id")
            self._catalog.ensure_usable(
                model_id, is_owner=self._permissions.is_owner(request), has_key=self._permissions.has_key(request)
            )
            model = await run_in_threadpool(self._models.require, model_id)
        except DreaminaError as exc:
            return refusal(exc, language)
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
        """The matrix: how many jobs, each with its inputs and price, and the digest that a start must carry.

        `rows` and `columns` are labels (`{"title": str, "detail": str}`), `cells` the row and column of each job,
        `axes` what varies and whether it stands above the columns, `expected_s` about how long all of it takes.
        `notices` names the odd lines of the text: `[{"line": int, "kind": str, "excerpt": str, "message": str}]`.
        """
        language, body = language_of(request), await read_json(request)
        visitor = self._permissions.visitor(request) or NOBODY
        key_session = self._permissions.key_session(request)

        is_owner, has_key = self._permissions.is_owner(request), self._permissions.has_key(request)

        def make() -> dict[str, Any]:
            self._catalog.ensure_usable(body.get("model_id"), is_owner=is_owner, has_key=has_key)
            plan = self._plan(body, visitor, key_session)
            has_own_key = plan.account.key_fingerprint is not None
            return {
                "count": len(plan.inputs),
                "expected_usd": plan.expected_usd,
                "play_money": self._uses_sandbox and not has_own_key,
                "own_key": has_own_key,
                "jobs_today": self._spending.quota(visitor, has_own_key=has_own_key).jobs_today,
                "digest": plan.digest,
                "notices": line_notices(body.get("text"), language),
                "expected_s": self._expected_s(plan),
                **self._presenter.labels(plan.model.model_id, plan.layout, language),
                "cells": plan.layout.cells,
                "axes": self._presenter.axes(
                    plan.model.model_id, axes_of(plan.items), _columns(body, plan.items), language
                ),
                "jobs": [
                    {
                        "inputs": item.inputs,
                        "expected_usd": price,
                        "drawn": item.drawn,
                        **self._presenter.item(plan.model.model_id, item.inputs, language),
                    }
                    for item, price in zip(plan.items, plan.prices_usd, strict=True)
                ],
            }

        return await self._respond(make, request, body)

    async def begin(self, request: Request) -> Response:
        """Start what was planned: the same request, the table's `digest`, and a `press_id` made for this one start."""
        language, body = language_of(request), await read_json(request)
        visitor = self._permissions.visitor(request)
        if visitor is None:
            return message_response(translate(language, "error_no_cookie"), 403)
        client_hash, key_session = hashed_client_ip(request), self._permissions.key_session(request)
        is_owner, has_key = self._permissions.is_owner(request), self._permissions.has_key(request)

        def begin() -> dict[str, Any]:
            self._permissions.ensure_same_requester(request)
            press_id = read_press_id(body, is_required=True)
            self._catalog.ensure_usable(body.get("model_id"), is_owner=is_owner, has_key=has_key)
            model, items = self._expand(body, visitor)
            begun = self._batches.begun(
                model.model_id, [item.inputs for item in items], visitor_id=visitor, press_id=press_id
            )
            if begun is not None:  # repeated: the price and the payer were agreed on then
                return self._presenter.card(begun, language)
            plan = self._plan(body, visitor, key_session)
            if body.get("digest") != plan.digest:
                raise BatchError("changed")
            batch = self._batches.begin(
                plan.model.model_id,
                plan.inputs,
                visitor_id=visitor,
                account=plan.account,
                press_id=press_id,
                client_hash=client_hash,
                price_usd=plan.file_usd,
                lifts_stop=is_owner,
                layout=plan.layout,
                request=_request_text(body),
            )
            return self._presenter.card(batch, language)

        return await self._respond(begin, request, body)

    async def recent(self, request: Request) -> Response:
        """The visitor's batches, those that are not ended first."""
        language, visitor = language_of(request), self._permissions.visitor(request)

        def read() -> list[dict[str, Any]]:
            batches = self._batches.recent(visitor) if visitor else []
            return [self._presenter.card(batch, language) for batch in batches]

        return await self._respond(read, request)

    async def grid(self, request: Request) -> Response:
        """One batch with its rows, columns, and cells; `since` leaves out jobs that did not change since then.

        `{"batch": card, "rows", "columns", "cells": [{"position", "row", "column", "state", "job"?}], "read_at": float,
        "request": {...} | null, "retry": {"count", "expected_usd", "digest", ...} | null}`.
        """
        language, scope = language_of(request), self._permissions.scope(request)
        try:
            since = float(request.query_params.get("since") or 0)
        except ValueError:
            since = 0.0

        def read() -> dict[str, Any]:
            self._own_batch(request.path_params["batch_id"], scope)
            grid = self._batches.grid(request.path_params["batch_id"])
            retry = self._retry(grid)
            facts = {"retry": retry.facts(uses_sandbox=self._uses_sandbox) if retry else None}
            return self._presenter.grid(grid, language, since=since, for_owner=scope is None) | facts

        return await self._respond(read, request)

    async def retry(self, request: Request) -> Response:
        """Plan the failed jobs of a batch anew, if `digest` is that of what the person saw; responds with its card.

        Repeated with the same `press_id`, also after a restart or at another server, it plans nothing and responds the
        same.
        """
        language, body = language_of(request), await read_json(request)
        press_id = read_press_id(body)
        batch_id, scope = request.path_params["batch_id"], self._permissions.scope(request)
        is_owner = self._permissions.is_owner(request)

        def retry() -> dict[str, Any]:
            self._permissions.ensure_same_requester(request)
            batch = self._own_batch(batch_id, scope)
            self._catalog.ensure_usable(batch.model_id, is_owner=is_owner)
            planned = self._retry(self._batches.grid(batch_id))
            if planned is not None and body.get("digest") == planned.digest:
                self._batches.retry(
                    batch_id, planned.failed, price_usd=planned.file_usd, press_id=press_id, lifts_stop=is_owner
                )
            elif press_id is None or not self._batches.is_retried(batch_id, press_id):
                raise BatchError("changed")
            return self._presenter.card(self._batches.batch(batch_id), language)

        return await self._respond(retry, request)

    async def act(self, request: Request) -> Response:
        """Pause, resume or cancel what is not sent; responds with the batch, and `not_sent: int` for a cancel."""
        language = language_of(request)
        batch_id, action = request.path_params["batch_id"], request.path_params["action"]
        scope = self._permissions.scope(request)

        def act() -> dict[str, Any]:
            batch = self._own_batch(batch_id, scope)
            facts = self._act(batch, action, is_owner=scope is None)
            return self._presenter.card(self._batches.batch(batch_id), language) | facts

        return await self._respond(act, request)

    def _act(self, batch: Batch, action: str, *, is_owner: bool) -> dict[str, int]:
        if action == "cancel":
            return {"not_sent": self._batches.cancel(batch.batch_id)}
        if action == "pause":
            self._batches.pause(batch.batch_id)
        elif action == "resume":
            self._batches.resume(batch.batch_id, lifts_stop=is_owner)
        else:
            raise InputError("action", "enum", ACTIONS, action)
        return {}

    def _own_batch(self, batch_id: str, scope: str | None) -> Batch:
        batch = self._batches.batch(batch_id)
        if scope not in (None, batch.visitor_id):
            raise JobNotFoundError(f"No batch {batch_id[:64]!r} is known here.")
        return batch

    async def _respond(self, make: Callable[[], Any], request: Request, body: dict[str, Any] | None = None) -> Response:
        """What `make` gives, as JSON; it runs on a thread, and its errors become refusals."""
        try:
            response = await run_in_threadpool(make)
        except DreaminaError as exc:
            model_id, language = (body or {}).get("model_id"), language_of(request)
            is_usable = self._catalog.may_use(model_id, is_owner=self._permissions.is_owner(request))
            model = await run_in_threadpool(self._models.require, model_id) if is_usable else None
            titles = field_titles(model, language) if model else None
            return refusal(exc, language, titles, for_owner=self._permissions.is_owner(request))
        return JSONResponse(response, headers=NO_STORE)

    def _plan(self, body: dict[str, Any], visitor: str, key_session: str | None) -> _Plan:
        model, items = self._expand(body, visitor)
        account = self._accounts.account(key_session)
        file_usd = self._guard.file_usd(model.model_id, account.api_origin)
        prices = [self._expected_usd(model.model_id, item.inputs, account.api_origin, file_usd) for item in items]
        return _Plan(model, account, items, arrange(items, _columns(body, items)), file_usd, prices)

    def _expected_s(self, plan: _Plan) -> float:
        """About how long a batch takes, in seconds, if nothing else runs."""
        size_keys = [field.key for field in plan.model.fields if field.kind.name == "size"]
        total_s = 0.0
        for item in plan.items:
            size = next((str(item.inputs[key]) for key in size_keys if key in item.inputs), None)
            job = Job("", plan.model.model_id, plan.account.api_origin, item.inputs, 0.0, 0.0, size=size)
            total_s += self._reader.run_time_model(job).median_s
        return total_s / min(MAX_ACTIVE_JOBS, len(plan.items))

    def _retry(self, grid: BatchGrid) -> Retry | None:
        batch = grid.batch
        file_usd = self._guard.file_usd(batch.model_id, batch.api_origin)
        return plan_retry(
            grid, file_usd, lambda inputs: self._expected_usd(batch.model_id, inputs, batch.api_origin, file_usd)
        )

    def _expand(self, body: dict[str, Any], visitor: str) -> tuple[Model, list[PlannedItem]]:
        """The model, and each job."""
        model = self._models.require(body.get("model_id"))
        inputs, values, text = body.get("inputs"), body.get("values"), body.get("text")
        batch_request = BatchRequest(
            text=text if isinstance(text, str) else "",
            inputs=read_form(model, inputs) if isinstance(inputs, dict) else {},
            values=values if isinstance(values, dict) else {},
            repeats=body.get("repeats", 1),
            seed=body.get("seed", 0),
            wildcards=self._prompt_tools.wildcards(visitor) if "__" in str(text) else {},
        )
        return model, expand_items(model, batch_request)

    def _expected_usd(
        self, model_id: str, inputs: Mapping[str, Any], api_origin: str, file_usd: float | None
    ) -> float | None:
        return None if file_usd is None else self._guard.expected_usd(model_id, inputs, api_origin)


def _columns(body: dict[str, Any], items: list[PlannedItem]) -> list[str]:
    """The axes above the columns, as the person chose them."""
    columns = body.get("columns")
    return [str(axis) for axis in columns] if isinstance(columns, list) else default_columns(items)


def _request_text(body: dict[str, Any]) -> str | None:
    """What the person typed, to edit it and start again; None if it is too long to be stored."""
    text = json.dumps({name: body.get(name) for name in ("text", "inputs", "values", "repeats", "columns", "seed")})
    return text if len(text) <= MAX_REQUEST_CHARACTERS else None
