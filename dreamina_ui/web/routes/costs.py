"""The HTTP route of the spending totals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import LedgerError
from dreamina_ui.spending.costs import Costs
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.http import language_of, refusal
from dreamina_ui.web.paths import PREFIX


def build_cost_routes(costs: Costs, permissions: Permissions, clock: Callable[[], float]) -> list[BaseRoute]:
    """The route `/dreamina/costs`."""

    async def read(request: Request) -> Response:
        """`{"today": "2026-11-23", "is_owner": bool, "money": {...}, "play": {...}}`; see `CostReport.to_json`."""
        is_owner = permissions.is_owner(request)
        try:
            reports = await run_in_threadpool(costs.read, permissions.visitor(request), all_of_owner=is_owner)
        except LedgerError as exc:
            return refusal(exc, language_of(request))
        totals = {name: report.to_json() for name, report in reports.items()}
        today = f"{datetime.fromtimestamp(clock(), timezone.utc):%Y-%m-%d}"
        return JSONResponse({"today": today, "is_owner": is_owner, **totals}, headers={"Cache-Control": "no-store"})

    return [Route(f"/{PREFIX}/costs", read)]
