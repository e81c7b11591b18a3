"""Tunnels through the proxy that the environment names, over HTTP or SOCKS5."""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote
from urllib.request import getproxies

import socks  # type: ignore[import-untyped]
from urllib3.exceptions import ProxyError
from urllib3.util import parse_url

_MAX_RESPONSE_BYTES = 16_384
_PORTS = {"http": 80, "socks5": 1080}
_NOT_ALLOWED = "0x02"
"""A SOCKS5 proxy's number for a connection that its rules forbid; RFC 1928, section 6."""


@dataclass(frozen=True)
class Proxy:
    """A proxy that makes tunnels; user name and password are "" where it asks for none."""

    host: str
    port: int
    kind: Literal["http", "socks5"] = "http"
    username: str = ""
    password: str = field(default="", repr=False)


def environment_proxy() -> Proxy | None:
    """The proxy for https that the environment names; None if it names none.

    Raises:
        ValueError: it names one of a kind that is not supported: neither `http://` nor `socks5://`, or not a URL at
            all.
    """
    proxies = getproxies()
    text = proxies.get("https") or proxies.get("all")  # as the library that calls the API
    if not text:
        return None
    url = parse_url(text if "://" in text else f"http://{text}")
    kind: Literal["http", "socks5"] = "http" if url.scheme == "http" else "socks5"
    if url.scheme not in ("http", "socks5", "socks5h") or not url.host:
        raise ValueError(f"HTTPS_PROXY is a proxy of the kind {url.scheme}://")
    username, _, password = (url.auth or "").partition(":")
    return Proxy(url.host.strip("[]"), url.port or _PORTS[kind], kind, unquote(username), unquote(password))


def open_tunnel(proxy: Proxy, host: str, port: int, timeout_s: float) -> socket.socket:
    """Connect to a host through a proxy.

    Args:
        host: an IP address, or a name that the proxy resolves.

    Raises:
        ProxyError: the proxy does not let us.
        OSError: it cannot be reached, or does not reach the host.
    """
    if proxy.kind == "socks5":
        return _open_socks_tunnel(proxy, host, port, timeout_s)
    made = socket.create_connection((proxy.host, proxy.port), timeout_s)
    try:
        status = _ask_for_tunnel(made, proxy, host, port)
        if status[:1] == b"4":
            raise ProxyError(f"the proxy refuses with {status!r}", OSError("refused"))
        if status[:1] != b"2":
            raise OSError(f"the proxy answers {status!r}")
    except BaseException:
        made.close()
        raise
    return made


def _ask_for_tunnel(made: socket.socket, proxy: Proxy, host: str, port: int) -> bytes:
    """The status with which a proxy answers the wish for a tunnel, such as `200`."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username or proxy.password:
        credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    made.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head:
        byte = made.recv(1)  # one at a time: what follows is TLS
        head += byte
        if not byte or len(head) > _MAX_RESPONSE_BYTES:
            raise OSError("the proxy closed the connection")
    return head.split(None, 2)[1][:3]


def _open_socks_tunnel(proxy: Proxy, host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        made: socket.socket = socks.create_connection(
            (host, port),
            timeout_s,
            proxy_type=socks.SOCKS5,
            proxy_addr=proxy.host,
            proxy_port=proxy.port,
            proxy_rdns=True,  # the host is an IP address, unless the proxy is to resolve it
            proxy_username=proxy.username or None,
            proxy_password=proxy.password or None,
        )
    except socks.ProxyError as exc:  # an OSError, with the real one inside
        reason = exc.socket_err or exc
        if isinstance(reason, socks.SOCKS5AuthError) or str(reason).startswith(_NOT_ALLOWED):
            raise ProxyError(f"the proxy refuses: {reason}", exc) from exc
        raise
    return made
