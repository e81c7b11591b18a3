"""One guarded HTTP connection: it goes to checked IP addresses only, and another thread can end it at any moment.

The IP addresses of a host race each other (Happy Eyeballs, RFC 8305), so that a dead one costs a quarter of a second.
A proxy of the environment is asked to connect to the IP address that was checked, not to the name.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from functools import cache
from types import TracebackType
from typing import Any
from urllib.request import proxy_bypass

from aiohappyeyeballs import start_connection
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.response import BaseHTTPResponse
from urllib3.util import create_urllib3_context

from dreamina_ui.errors import SettingsError
from dreamina_ui.http_responses import FinalResponse
from dreamina_ui.media.fetching.proxies import Proxy, open_tunnel
from dreamina_ui.media.fetching.ssrf_guard import Origin, UrlGuard

RACE_DELAY_S = 0.25
"""How long one IP address may stay silent until the next is tried beside it; RFC 8305 recommends 250 ms."""

_MAX_TUNNELS = 4
"""To how many of a host's IP addresses a proxy is asked for a tunnel: it may reach some of them only."""


def trusted_certificates(ca_bundle: str | None) -> ssl.SSLContext:
    """What the certificates of hosts are verified with.

    Args:
        ca_bundle: a file or a folder of CA certificates; None for those that `requests` brings, as for the API.

    Raises:
        SettingsError: it cannot be read.
    """
    context = create_urllib3_context()
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    path = ca_bundle or DEFAULT_CA_BUNDLE_PATH
    try:
        try:
            context.load_verify_locations(cafile=path)
        except IsADirectoryError:
            context.load_verify_locations(capath=path)
    except OSError as exc:  # an SSLError is one, too
        reason = exc.strerror if exc.errno else "no certificates in it"
        raise SettingsError(
            f"The CA certificates in {path} cannot be read: {reason}. Check REQUESTS_CA_BUNDLE or SSL_CERT_FILE."
        ) from exc
    return context


@cache
def default_certificates() -> ssl.SSLContext:
    """What hosts are verified with where nothing else is given; read once."""
    return trusted_certificates(None)


class GuardedConnection:
    """A connection to one origin; it connects when it is first used.

    Args:
        connect_timeout_s: bounds resolving aside, until TLS is set up.
        read_timeout_s: bounds each silence afterwards.
    """

    def __init__(
        self,
        guard: UrlGuard,
        origin: Origin,
        *,
        certificates: ssl.SSLContext,
        proxy: Proxy | None,
        connect_timeout_s: float,
        read_timeout_s: float,
    ) -> None:
        self.origin = origin
        self._guard = guard
        self._proxy = proxy
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._handle: socket.socket | None = None  # a second one: TLS closes the first while another thread reads
        self._lock = threading.Lock()
        self._is_cut = False
        self._http: _Plain
        if origin.scheme == "https":
            self._http = _Secure(origin.host, origin.port, timeout=connect_timeout_s, ssl_context=certificates)
        else:
            self._http = _Plain(origin.host, origin.port, timeout=connect_timeout_s)
        self._http.dial = self._dial

    @property
    def is_open(self) -> bool:
        """Whether it is connected, and can carry one more request."""
        return not self._is_cut and self._http.sock is not None and self._http.is_connected

    def get(self, target: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send one GET request and return its response, with the body unread.

        Raises:
            UrlError: the origin must not be connected to.
            urllib3.exceptions.HTTPError, http.client.HTTPException, OSError: the network refuses.
        """
        if self._http.sock is None:
            self.connect()
        self._http.timeout = self._read_timeout_s
        self._http.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        return self._http.getresponse()

    def connect(self) -> None:
        """Connect, with TLS if that is meant; raises the errors of `get`."""
        self._http.timeout = self._connect_timeout_s
        self._http.connect()

    def cut(self) -> None:
        """End it from another thread, wherever it waits; it is never used again."""
        with self._lock:
            self._is_cut = True
            if self._handle:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()
        with self._lock:
            if self._handle:
                self._handle.close()
            self._handle = None

    def __enter__(self) -> GuardedConnection:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _dial(self, connection: HTTPConnection) -> socket.socket:
        origin = self.origin
        is_exempt = self._guard.is_exempt(origin)
        proxy = None if is_exempt or proxy_bypass(origin.host) else self._proxy
        try:
            ip_addresses = self._guard.resolve_checked(origin)
        except OSError as exc:
            if proxy is None or not self._guard.is_named(origin):
                raise NameResolutionError(origin.host, connection, socket.gaierror(*exc.args[:2])) from exc
            ip_addresses = [origin.host]  # where only the proxy can resolve, it may, for hosts that the owner named
        try:
            if proxy:
                made = _with_no_delay(self._open_tunnel(proxy, ip_addresses))
            else:
                made = dial(ip_addresses, origin.port, self._connect_timeout_s)
        except (TimeoutError, asyncio.TimeoutError) as exc:
            raise ConnectTimeoutError(connection, "no IP address answered") from exc
        except OSError as exc:
            raise NewConnectionError(connection, f"no IP address could be connected to: {exc}") from exc
        with self._lock:
            if self._handle:
                self._handle.close()
            self._handle = made.dup()
        if self._is_cut:
            self.cut()
        return made

    def _open_tunnel(self, proxy: Proxy, ip_addresses: list[str]) -> socket.socket:
        """A tunnel to an IP address that was checked; for hosts that the owner named also to the name.

        Some proxies know names only: they have a list of those that may be visited.
        """
        is_named = self._guard.is_named(self.origin) and self.origin.host not in ip_addresses
        targets = [*ip_addresses[:_MAX_TUNNELS], *([self.origin.host] if is_named else [])]
        for target in targets[:-1]:
            with contextlib.suppress(OSError, ProxyError):
                return open_tunnel(proxy, target, self.origin.port, self._connect_timeout_s)
        return open_tunnel(proxy, targets[-1], self.origin.port, self._connect_timeout_s)


class _Plain(HTTPConnection):
    response_class = FinalResponse
    dial: Any

    def _new_conn(self) -> socket.socket:
        made: socket.socket = self.dial(self)
        return made


class _Secure(_Plain, HTTPSConnection):
    pass


def dial(ip_addresses: list[str], port: int, timeout_s: float) -> socket.socket:
    """Connect to the IP address that answers first; the next one is tried after `RACE_DELAY_S` or at a refusal.

    Raises:
        TimeoutError, asyncio.TimeoutError: none answered within `timeout_s` seconds.
        OSError: all refused.
    """
    rows = [row for ip_address in ip_addresses for row in socket.getaddrinfo(ip_address, port, type=socket.SOCK_STREAM)]

    if len(rows) == 1:
        return _with_no_delay(socket.create_connection((str(rows[0][4][0]), port), timeout_s))

    async def race() -> socket.socket:
        return await asyncio.wait_for(
            start_connection(rows, happy_eyeballs_delay=RACE_DELAY_S, interleave=1), timeout_s
        )

    made = asyncio.run(race())
    made.settimeout(timeout_s)
    return _with_no_delay(made)


def _with_no_delay(made: socket.socket) -> socket.socket:
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
