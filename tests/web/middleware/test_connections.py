"""Connections that say nothing, or that one client has hundreds of."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from dreamina_ui.web.middleware import connections
from dreamina_ui.web.middleware.connections import HEAD_TIMEOUT_S, MAX_PER_CLIENT, ConnectionLimits
from tests.support.browser import wait_for


class _Connection:
    """A connection without a server; idle until it gets a request."""

    def __init__(self, host: str) -> None:
        self.client: tuple[str, int] | None = (host, 1)
        self.cycle: Any = None
        self.is_open = True
        self.transport = SimpleNamespace(abort=lambda: setattr(self, "is_open", False))

    def begin_request(self) -> None:
        self.cycle = SimpleNamespace(response_complete=False)


def _story(limits: ConnectionLimits, hosts: list[str]) -> list[_Connection]:
    """Open a connection from each host, one after another."""

    async def open_all() -> list[_Connection]:
        opened = [_Connection(host) for host in hosts]
        for connection in opened:
            limits.add(connection)
        return opened

    return asyncio.run(open_all())


def test_a_client_that_opens_too_many_loses_its_oldest_idle_ones() -> None:
    """File descriptors are few, and a stranger opens thousands of connections in a second."""
    opened = _story(ConnectionLimits(10_000), ["203.0.113.7"] * (MAX_PER_CLIENT + 5) + ["203.0.113.8"])
    assert [connection.is_open for connection in opened] == [False] * 5 + [True] * (MAX_PER_CLIENT + 1)


def test_connections_at_work_are_not_closed_for_new_ones() -> None:
    """Whoever follows a job keeps its events."""
    limits = ConnectionLimits(10_000)
    first = _story(limits, ["203.0.113.7"] * MAX_PER_CLIENT)
    for connection in first:
        connection.begin_request()
    (late,) = _story(limits, ["203.0.113.7"])
    assert all(connection.is_open for connection in first)
    assert not late.is_open
    limits.remove(first[0])
    (later,) = _story(limits, ["203.0.113.7"])
    assert later.is_open, "a place that is free again"


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3"])
def test_a_proxy_brings_many_clients(host: str) -> None:
    """Behind one, everybody would share the limit of a single client."""
    opened = _story(ConnectionLimits(10_000, ["10.0.0.0/8"]), [host] * (MAX_PER_CLIENT + 5))
    assert all(connection.is_open for connection in opened)


def test_all_together_are_bounded() -> None:
    """The ledger and the files need file descriptors, too."""
    opened = _story(ConnectionLimits(3), [f"203.0.113.{number}" for number in range(5)])
    assert [connection.is_open for connection in opened] == [False, False, True, True, True]


def test_who_never_finishes_the_head_of_a_request_is_given_up() -> None:
    """A byte now and then would hold a connection forever; a response that lasts is no silence."""
    now = SimpleNamespace(s=0.0)
    limits = ConnectionLimits(100, clock=lambda: now.s)
    silent, streaming, ended = _story(limits, ["203.0.113.7"] * 3)
    streaming.begin_request()
    ended.begin_request()
    now.s = HEAD_TIMEOUT_S - 1
    limits.close_silent()
    ended.cycle.response_complete = True
    limits.close_silent()
    now.s = HEAD_TIMEOUT_S + 1
    limits.close_silent()
    assert [item.is_open for item in (silent, streaming, ended)] == [False, True, True]
    now.s += HEAD_TIMEOUT_S
    limits.close_silent()
    assert [item.is_open for item in (streaming, ended)] == [True, False]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a uvicorn server with these limits, at which silence is too long at once."""
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.0)
    monkeypatch.setattr(connections, "_SWEEP_INTERVAL_S", 0.01)
    with _server() as port:
        yield port


@pytest.fixture(scope="module")
def endless() -> Iterator[int]:
    """The port of such a server, which waits as long as it always does."""
    with _server() as port:
        yield port


@contextmanager
def _server() -> Iterator[int]:
    async def hello(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    server = uvicorn.Server(uvicorn.Config(hello, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    ConnectionLimits(100).apply(server)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"], ids=["nothing", "half a head"])
def test_uvicorn_itself_closes_silent_connections(port: int, sent: bytes) -> None:
    """The limits rest on uvicorn's own classes, which may change."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(sent)
        assert client.recv(1) == b""


@pytest.mark.parametrize("beginning", [b"", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"])
def test_a_head_without_end_is_not_read(endless: int, beginning: bytes) -> None:
    """A single connection would fill the memory, with headers before a body or after it."""
    line = b"X-Header: " + b"x" * 1000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", endless), timeout=30) as client:
        client.sendall(beginning or b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"reset|Broken|abort|closed"):
            client.sendall(line * 20_000)


def test_a_large_body_is_no_head(endless: int) -> None:
    """An upload has many times the bytes of a head, in chunks of any size."""
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", endless), timeout=30) as client:
        client.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 100 + b"0\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
