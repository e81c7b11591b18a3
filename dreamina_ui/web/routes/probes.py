"""Routes for monitoring: `/healthz`, `/readyz` and, if the owner wants it, `/metrics`.

They are at the root and need no login. The first two tell strangers nothing but which part is not ready.
"""

from __future__ import annotations

import hmac
import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import LedgerError
from dreamina_ui.ops.health import Health
from dreamina_ui.ops.metrics import Metrics
from dreamina_ui.web.paths import HEALTHZ, METRICS, READYZ

_NO_STORE = {"Cache-Control": "no-store"}


def build_probe_routes(
    health: Health,
    metrics: Metrics | None,
    metrics_token: str | None,
    is_owner: Callable[[Request], bool] = lambda _request: False,
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
            allowed = is_owner(request)
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


class ProbeServer:
    """Answers at a port and on a thread of its own, for a server without a page.

    Args:
        port: 0 for any that is free.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, routes: Sequence[BaseRoute], host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, access_log=False, server_header=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="probes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more."""
        self._server.should_exit = True
        self._thread.join(5.0)
