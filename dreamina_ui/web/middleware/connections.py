"""Bounds connections: how many a client has, how many there are, and how long and how large a head may come.

uvicorn (0.54) accepts all of them, waits for the first line of a request forever, and by its quick parser reads heads
without end: a stranger who opens connections and says nothing takes every file descriptor, and nobody else gets in. Can
be deleted when it has such limits itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from dreamina_ui.settings import is_loopback
from dreamina_ui.web.http import client_ip_hash

MAX_PER_CLIENT = 300
"""How many connections an IP address has; a browser has six. Where one is too many, the oldest idle one is closed."""

HEAD_TIMEOUT_S = 30.0
"""How long a connection may be idle; uvicorn itself closes one that has had a response after five seconds."""

MAX_HEAD_BYTES = 65_536
"""How much may come that is no body: a head, what stands between the chunks of a body, and what follows it."""

_SWEEP_INTERVAL_S = 5.0
_KNOWN_CLASSES = ("H11Protocol", "HttpToolsProtocol")

log = logging.getLogger(__name__)


class Connection(Protocol):
    """What is used of uvicorn's protocols: `cycle` is the current or last request, None before the first."""

    cycle: Any
    client: tuple[str, int] | None
    transport: Any


class ConnectionLimits:
    """The open connections of one server; used only in its event loop.

    Args:
        max_connections: how many there may be altogether.
        proxies: IP addresses and networks that many clients come from. So do those of this machine.
        clock: seconds.
    """

    def __init__(
        self, max_connections: int, proxies: Iterable[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_connections = max_connections
        self._proxies = [ipaddress.ip_network(name) for name in proxies]
        self._clock = clock
        self._open: dict[Connection, tuple[Any, float]] = {}  # its last request, and since when it is idle
        self._by_client: dict[str, dict[Connection, None]] = {}
        self._is_watching = False

    def apply(self, server: Any) -> None:
        """Watch the connections that a running uvicorn server accepts from now on; it takes no web sockets any more."""
        config = server.config
        config.ws_protocol_class = None
        if config.http_protocol_class.__name__ in _KNOWN_CLASSES:
            config.http_protocol_class = _limited(config.http_protocol_class, self)
        else:
            log.warning("Connections have no limits: uvicorn uses %s", config.http_protocol_class.__name__)

    def add(self, connection: Connection) -> None:
        """Count a new connection; an idle one, or else this one, is closed if there are too many."""
        client = self._client(connection)
        own = self._by_client.get(client, {}) if client else {}
        has_room = len(own) < MAX_PER_CLIENT or self._close_idle(own)
        if not has_room or (len(self._open) >= self._max_connections and not self._close_idle(self._open)):
            connection.transport.abort()
            return
        if client:
            self._by_client.setdefault(client, {})[connection] = None
        self._open[connection] = (connection.cycle, self._clock())
        self._watch()

    def remove(self, connection: Connection) -> None:
        """Forget a connection, if it was counted."""
        if self._open.pop(connection, None) is None or (client := self._client(connection)) is None:
            return
        own = self._by_client.get(client, {})
        own.pop(connection, None)
        if not own:
            self._by_client.pop(client, None)

    def close_silent(self) -> None:
        """Close the connections that have been idle for too long, whatever they sent meanwhile."""
        now = self._clock()
        for connection, (cycle, since) in list(self._open.items()):
            if connection.cycle is not cycle or not _is_idle(connection):
                self._open[connection] = (connection.cycle, now)
            elif now - since >= HEAD_TIMEOUT_S:
                connection.transport.abort()

    def _client(self, connection: Connection) -> str | None:
        """Whose connection it is; None where a proxy brings many clients."""
        host = connection.client[0] if connection.client else ""
        if is_loopback(host):
            return None
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return None  # a Unix socket
        return None if any(ip in network for network in self._proxies) else client_ip_hash(host)

    def _close_idle(self, connections: Iterable[Connection]) -> bool:
        """Close the oldest idle one; False if there is none."""
        idle = next(filter(_is_idle, connections), None)
        if idle is None:
            return False
        self.remove(idle)
        idle.transport.abort()
        return True

    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            asyncio.get_running_loop().call_later(_SWEEP_INTERVAL_S, self._sweep)

    def _sweep(self) -> None:
        self._is_watching = False
        self.close_silent()
        if self._open:
            self._watch()


def _is_idle(connection: Connection) -> bool:
    return connection.cycle is None or bool(connection.cycle.response_complete)


def _limited(protocol_class: type[Any], limits: ConnectionLimits) -> type[Any]:
    """A class of uvicorn's that reports its connections."""

    def connection_made(self: Any, transport: Any) -> None:
        protocol_class.connection_made(self, transport)
        limits.add(self)

    def connection_lost(self: Any, exc: Exception | None) -> None:
        limits.remove(self)
        protocol_class.connection_lost(self, exc)

    methods = {"connection_made": connection_made, "connection_lost": connection_lost}
    if protocol_class.__name__ == "HttpToolsProtocol":  # the other one has a bound of its own
        methods |= _bounded_heads(protocol_class)
    return type("LimitedProtocol", (protocol_class,), methods)


def _bounded_heads(protocol_class: type[Any]) -> dict[str, Callable[..., None]]:
    """Methods that close a connection on which too much comes that is no body."""

    def data_received(self: Any, data: bytes) -> None:
        self.bytes_without_body = getattr(self, "bytes_without_body", 0) + len(data)
        protocol_class.data_received(self, data)
        if self.bytes_without_body > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self: Any) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise ValueError("The head is too large.")  # the parser responds with 400
        self.bytes_without_body = 0
        protocol_class.on_headers_complete(self)

    def on_body(self: Any, body: bytes) -> None:
        self.bytes_without_body = 0
        protocol_class.on_body(self, body)

    def on_message_complete(self: Any) -> None:
        self.bytes_without_body = 0
        protocol_class.on_message_complete(self)

    return {
        "data_received": data_received,
        "on_headers_complete": on_headers_complete,
        "on_body": on_body,
        "on_message_complete": on_message_complete,
    }
