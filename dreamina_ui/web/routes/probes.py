"""Routes for monitoring: `/healthz`, `/readyz` and, if the owner wants it, `/metrics`.

They are at the root and need no login. The first two tell strangers nothing but which part is not ready.
"""

from __future__ import annotations

import hmac

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import LedgerError
from dreamina_ui.ops.health import Health
from dreamina_ui.ops.metrics import Metrics
from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.paths import HEALTHZ, METRICS, READYZ

_NO_STORE = {"Cache-Control": "no-store"}


def build_probe_routes(
    health: Health, metrics: Metrics | None, permissions: Permissions, metrics_token: str | None
) -> list[BaseRoute]:
    """The routes; without `metrics` there is no `/metrics`.

    Args:
        metrics_token: the bearer token that `/metrics` requires; without one only the owner may read it.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n", headers=_NO_STORE)

    async def readyz(request: Request) -> Response:
        missing = await run_in_threadpool(health.not_ready)
        status = {"ready": not missing, "not_ready": missing}
        return JSONResponse(status, 503 if missing else 200, headers=_NO_STORE)

    async def show_metrics(request: Request) -> Response:
        assert metrics is not None
        if metrics_token is None:
            allowed = permissions.is_owner(request)
        else:
            header = request.headers.get("authorization", "").encode("latin-1")
            allowed = hmac.compare_digest(header, f"Bearer {metrics_token}".encode())
        if not allowed:
            return PlainTextResponse("Not without the token.\n", 401, headers={"WWW-Authenticate": "Bearer"})
        try:
            text = await run_in_threadpool(metrics.render)
        except LedgerError:
            return PlainTextResponse("The ledger cannot be read.\n", 503)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST, **_NO_STORE})

    routes: list[BaseRoute] = [Route(HEALTHZ, healthz), Route(READYZ, readyz)]
    return [*routes, Route(METRICS, show_metrics)] if metrics else routes
