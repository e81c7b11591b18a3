"""One call over HTTP: sent once, never redirected, its response read whole, within a size and a time.

The token travels in the header of a call to the API's own origin and nowhere else: no redirect is followed, no netrc
or cookie is used, and no message, log line or `repr` holds it.
"""

from __future__ import annotations

import io
import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import MaxRetryError
from urllib3.response import BaseHTTPResponse

from dreamina_ui import errors
from dreamina_ui.api.body import read_body
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.responses import ApiResponse
from dreamina_ui.http_responses import FinalResponse

_log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "dreamina-ui"}

# Strict on purpose: with one odd character, two libraries may read two different hosts out of one URL.
_BASE_URL = re.compile(
    r"(?:https?://(?P<local>localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])|https://(?:[a-z0-9.-]+|\[[0-9a-f:]+\]))"
    r"(?::[0-9]{1,5})?(?:/[\w.~%/-]*)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Call:
    """One call of the API.

    Attributes:
        path: behind the base URL, with its query.
        what: for messages, such as `the status of request abc`.
        name: for counting, such as `status`.
        advice: the last sentence of a message about a lost response.
    """

    method: str
    path: str
    what: str
    name: str
    request_id: str | None = None
    advice: str = " Ask again later."


class Payload(io.BytesIO):
    """A submit's body that knows whether sending it has begun; until then the service cannot have the inputs.

    Args:
        before_send: is called then, once the connection is open; what it raises ends the call.

    Attributes:
        withheld: what that raised.
    """

    def __init__(self, content: bytes, before_send: Callable[[], object] = lambda: None) -> None:
        super().__init__(content)
        self._before_send = before_send
        self.touched = False
        self.withheld: Exception | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.touched:
            try:
                self._before_send()
            except Exception as exc:
                self.withheld = exc
                raise
            self.touched = True
        return super().read(size)


class _Connection(HTTPConnection):
    response_class = FinalResponse


class _SecureConnection(HTTPSConnection):
    response_class = FinalResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Reads the final response; SOCKS proxies keep connections of their own kind."""

    def init_poolmanager(self, *args: Any, **named: Any) -> None:
        super().init_poolmanager(*args, **named)
        self._use_own_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):
            self._use_own_pools(manager)
        return manager

    def _use_own_pools(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _ServiceHost:
    """Connections to one host, through the proxy and with the certificates that the environment names.

    requests knows how to read both, and opens the connections. The calls themselves go straight to urllib3: what
    requests does for each one takes as long as the call.
    """

    def __init__(self, url: str, environment: Mapping[str, Any]) -> None:
        verify, cert = environment["verify"], environment["cert"]
        self._adapter = _Adapter(pool_connections=1, pool_maxsize=MAX_CONNECTIONS)
        request = requests.Request("GET", url).prepare()
        proxies = environment["proxies"]
        self._pool: Any = self._adapter.get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        self._adapter.cert_verify(self._pool, url, verify, cert)  # type: ignore[no-untyped-call]

    def request(
        self, method: str, target: str, headers: dict[str, str], payload: Payload | None, timeout: Timeout
    ) -> BaseHTTPResponse:
        response: BaseHTTPResponse = self._pool.urlopen(
            method,
            target,
            payload,
            headers,
            retries=Retry(0, read=False),
            redirect=False,
            timeout=timeout,
            preload_content=False,
            decode_content=False,
        )
        return response

    def close(self) -> None:
        self._adapter.close()


class HttpSession:
    """Sends calls to one base URL with one token; safe to use from up to `MAX_CONNECTIONS` threads.

    Args:
        base_url: https; or http, to this machine only. It may have a path.
        token: visible ASCII.
        connect_timeout_s: seconds until an attempt to connect has failed.

    Raises:
        SettingsError: the base URL or the token cannot be used.
    """

    def __init__(self, base_url: str, token: str, *, connect_timeout_s: float) -> None:
        url = _BASE_URL.fullmatch(base_url)
        if url is None:
            raise errors.SettingsError("The API's base URL must be https://host, or http:// on this machine only.")
        if not re.fullmatch(r"[!-~]+", token):
            raise errors.SettingsError("The API token is empty, or has a space, a line break or a non-ASCII character.")
        self.base_url = base_url.rstrip("/")
        self.origin = "/".join(self.base_url.split("/")[:3])
        self._token = token
        self._redactor = Redactor(token)
        self._connect_timeout_s = connect_timeout_s
        self._environment = self._read_environment(is_local=url["local"] is not None)
        self._base_path = urlsplit(self.base_url).path
        self._shared: _ServiceHost | None = None
        self._opening = threading.Lock()

    def close(self) -> None:
        """Close the idle connections."""
        if self._shared:
            self._shared.close()

    def exchange(self, call: Call, timeout_s: float, payload: Payload | None = None) -> ApiResponse:
        """Send one call once and read its whole response.

        Args:
            timeout_s: seconds of silence, or of reading the body, until the response counts as lost.
            payload: a submit's JSON. It gets a connection of its own: an idle one that the service has just closed
                would lose the response for nothing.

        Raises:
            TransportError: whatever went wrong.
        """
        started, status_code = time.monotonic(), 0
        try:
            with (
                self._connections(payload) as connections,
                self._send(connections, call, timeout_s, payload) as response,
            ):
                status_code = response.status
                body = read_body(response, time.monotonic() + timeout_s)
                return ApiResponse.parse(status_code, response.headers.get("Retry-After"), body, self._redactor.redact)
        except Exception as caught:  # noqa: BLE001 - whatever a library raises once a submit is sent, it is unclear
            exc = (caught.reason or caught) if isinstance(caught, MaxRetryError) else caught
        finally:
            spent_ms = (time.monotonic() - started) * 1000
            _log.debug("%s %s %d %.0f ms", call.method, self._redactor.redact(call.path), status_code, spent_ms)
        text = f"There was no usable response about {call.what} ({type(exc).__name__}).{call.advice}"
        # The libraries quote a garbled response, and it may echo the token.
        cause = None if self._token in "".join(traceback.format_exception(exc)) else exc
        raise errors.TransportError(self._redactor.redact(text), request_id=call.request_id) from cause

    def _send(
        self, connections: _ServiceHost, call: Call, timeout_s: float, payload: Payload | None
    ) -> BaseHTTPResponse:
        headers = {**_HEADERS, "Authorization": f"Bearer {self._token}"}
        if payload is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(payload.getbuffer().nbytes)}
        timeout = Timeout(connect=self._connect_timeout_s, read=timeout_s)
        return connections.request(call.method, self._base_path + call.path, headers, payload, timeout)

    @contextmanager
    def _connections(self, payload: Payload | None) -> Iterator[_ServiceHost]:
        if payload is not None:
            connections = _ServiceHost(self.base_url, self._environment)
            try:
                yield connections
            finally:
                connections.close()
            return
        with self._opening:
            self._shared = self._shared or _ServiceHost(self.base_url, self._environment)
        yield self._shared

    def _read_environment(self, *, is_local: bool) -> dict[str, Any]:
        """The proxy and the certificates that the environment names; no proxy reaches this machine's loopback."""
        with requests.Session() as session:
            session.trust_env = not is_local
            return dict(session.merge_environment_settings(self.base_url, {}, None, None, None))
