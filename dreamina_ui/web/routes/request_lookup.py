"""The HTTP route that says what a request made whose response was lost."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.batches.store import BatchStore
from dreamina_ui.errors import DreaminaError
from dreamina_ui.jobs.reader import JobReader
from dreamina_ui.web.auth.permissions import NOBODY, Permissions
from dreamina_ui.web.batch_presenter import BatchPresenter
from dreamina_ui.web.http import NO_STORE, language_of, refusal
from dreamina_ui.web.paths import PREFIX
from dreamina_ui.web.presenters import JobPresenter


def build_request_lookup_routes(
    reader: JobReader,
    presenter: JobPresenter,
    batches: BatchStore,
    batch_presenter: BatchPresenter,
    permissions: Permissions,
) -> list[BaseRoute]:
    """The route `/dreamina/presses/{press_id}`."""

    async def read(request: Request) -> Response:
        """`{"job": card | null, "batch": card | null}` of the visitor's request with this id.

        Neither: it did not arrive, or it was refused. Sending it again with the same `press_id` pays once at most.
        """
        visitor, language = permissions.visitor(request) or NOBODY, language_of(request)
        press_id, is_owner = request.path_params["press_id"], permissions.is_owner(request)

        def make() -> dict[str, Any]:
            job, batch = reader.by_press_id(visitor, press_id), batches.by_press_id(visitor, press_id)
            return {
                "job": presenter.card(job, language, for_owner=is_owner) if job else None,
                "batch": batch_presenter.card(batch, language) if batch else None,
            }

        try:
            return JSONResponse(await run_in_threadpool(make), headers=NO_STORE)
        except DreaminaError as exc:
            return refusal(exc, language)

    return [Route(f"/{PREFIX}/presses/{{press_id}}", read)]
