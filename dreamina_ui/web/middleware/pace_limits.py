"""Refuses the requests of whoever hurries, before anything else looks at them: nothing but this is spent on a flood."""

from __future__ import annotations

import math
import re

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.ledger.job import networks_of
from dreamina_ui.settings import is_loopback
from dreamina_ui.web.auth.visitor import visitor_id
from dreamina_ui.web.http import client_ip_hash, path_below_root, send_refusal
from dreamina_ui.web.middleware.concurrency_limit import ConcurrencyLimit
from dreamina_ui.web.middleware.request_limits import kind_of
from dreamina_ui.web.middleware.request_pace import RequestPace
from dreamina_ui.web.paths import HEALTHZ, READYZ

MAX_PER_SECOND_OF_VISITOR, MAX_PER_SECOND_OF_CLIENT, MAX_PER_SECOND_OF_UNKNOWN = 30.0, 100.0, 300.0
"""How many requests may come per second, for long. The last one is for all that come from this machine without an
identity: a proxy that nobody declared may stand between."""

MAX_FILES_PER_SECOND_OF_VISITOR, MAX_FILES_PER_SECOND_OF_CLIENT, MAX_FILES_PER_SECOND_OF_UNKNOWN = 200.0, 600.0, 800.0
"""The same for small files, which are counted apart: a page loads dozens of them at once."""

DELAY_S = 1.0
"""How long a refusal waits. Meanwhile nothing more is read from its connection, so a flood comes at the pace of its
connections and costs little; it would take many of them to be quick."""

_CLIENT = re.compile("(?:files of )?(?:client|unknown) ")
MAX_WAITING = 300
"""How many refusals wait at the same time; further ones are sent at once."""


class PaceLimits:
    """ASGI middleware that counts each request for its visitor and its client, see `RequestPace`.

    Those that come in time wait for a slot, see `ConcurrencyLimit`: a burst of one client delays nobody else.

    Args:
        pace: counts.
        delay_s: how long a refusal waits, in seconds.
    """

    def __init__(self, app: ASGIApp, pace: RequestPace | None = None, delay_s: float = DELAY_S) -> None:
        self.app = app
        self._pace = pace or RequestPace()
        self._delay_s = delay_s
        self._waiting = 0
        self._concurrency = ConcurrencyLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rates = _rates_of(scope, self._pace) if scope["type"] == "http" else {}
        wait_s = self._pace.wait_s(rates)
        if wait_s:
            await self._refuse(send, wait_s)
        elif rates:
            await self._in_slot(_client_of(rates), scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _in_slot(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request in a slot, which is free again when the response begins."""
        async with self._concurrency.slot(client) as end:
            if end is None:
                await send_refusal(send, 429, _TEXT, retry_after_s=1)
                return

            async def send_and_end(message: Message) -> None:
                end()
                await send(message)

            await self.app(scope, receive, send_and_end)

    async def _refuse(self, send: Send, wait_s: float) -> None:
        if self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                await anyio.sleep(self._delay_s)
            finally:
                self._waiting -= 1
        await send_refusal(send, 429, _TEXT, retry_after_s=math.ceil(wait_s))


_TEXT = "Too many requests. Try again in a moment."


def _client_of(rates: dict[str, float]) -> str:
    """Who is counted: the client, or the visitor where a proxy may stand between."""
    return list(rates)[-1] if len(rates) == 1 else next(name for name in rates if _CLIENT.match(name))


def _rates_of(scope: Scope, pace: RequestPace) -> dict[str, float]:
    """The names that a request counts for, each with its requests per second.

    From this machine, a visitor counts as unknown at first: a new cookie with each request is no way around. What
    monitors this machine from here is not counted.
    """
    host = scope["client"][0] if scope.get("client") else ""
    is_local = is_loopback(host)
    if is_local and path_below_root(scope) in (HEALTHZ, READYZ):
        return {}
    is_file = kind_of(scope) is None
    of_visitor, of_client, of_unknown = _FILE_RATES if is_file else _RATES
    prefix = "files of " if is_file else ""
    visitor = visitor_id(Headers(scope=scope).get("cookie"))
    rates = {f"{prefix}{visitor}": of_visitor} if visitor else {}
    if not is_local:
        networks = networks_of(client_ip_hash(host))
        return rates | {f"{prefix}client {network}": factor * of_client for network, factor in networks}
    is_known = any(pace.knows(name) for name in rates)
    return rates if is_known else rates | {f"{prefix}unknown {host}": of_unknown}


_RATES = (MAX_PER_SECOND_OF_VISITOR, MAX_PER_SECOND_OF_CLIENT, MAX_PER_SECOND_OF_UNKNOWN)
_FILE_RATES = (
    MAX_FILES_PER_SECOND_OF_VISITOR,
    MAX_FILES_PER_SECOND_OF_CLIENT,
    MAX_FILES_PER_SECOND_OF_UNKNOWN,
)
