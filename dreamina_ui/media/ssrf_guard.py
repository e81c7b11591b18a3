"""A guard for addresses that come from outside: only public HTTPS hosts are ever connected to.

The promise holds where it counts, at the connection: each new one resolves the name once, checks every answer and dials
exactly the address that was checked. So a name that answers differently the second time (DNS rebinding) gains nothing,
and neither does an address that two parsers read in two ways.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any, ClassVar, NamedTuple, NoReturn

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.util import parse_url

from dreamina_ui.errors import UrlError, shorten

Resolver = Callable[..., Sequence[tuple[Any, ...]]]

_MAX_URL_CHARACTERS = 8192
_MAX_HANDLES = 4
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")

_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")
_IPV6_6TO4 = ipaddress.IPv6Network("2002::/16")
_IPV6_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Azure answers machines with their own secrets here, though the address is public.
_IPV4_METADATA = ipaddress.IPv4Address("168.63.129.16")


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


class UrlGuard:
    """Says which addresses may be fetched, and opens connections to those only.

    Args:
        exempt_origin: an address of the Model API, or several; its origin (scheme, host, port) may be plain HTTP and
            private.
        allowed_hosts: if not empty, all other hosts must be one of these or a subdomain of one.
        resolve: a function that is called and answers like `socket.getaddrinfo`.

    Raises:
        ValueError: `exempt_origin` is no address.
    """

    def __init__(
        self,
        *,
        exempt_origin: str | Sequence[str] = (),
        allowed_hosts: frozenset[str] = frozenset(),
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        try:
            several = [exempt_origin] if isinstance(exempt_origin, str) else exempt_origin
            self._exempt = frozenset(map(_read, several))
        except UrlError as exc:
            raise ValueError(f"The exempt origin is no address: {exc}") from exc
        self._allowed_hosts = frozenset(_canonical(host.lstrip(".")) for host in allowed_hosts)
        self._resolve = resolve

    def check(self, url: str) -> None:
        """Check that an address may be fetched, its name's DNS answers included.

        Raises:
            AddressError: it may not; the message names the rule and the host, never the query.
            requests.ConnectionError: its name does not resolve now; asking again may help.
        """
        origin = _read(url)
        try:
            self.vetted(*origin)
        except OSError as exc:
            raise requests.ConnectionError(f"The name {shorten(origin.host)} does not resolve now.") from exc

    def is_exempt(self, url: str) -> bool:
        """Whether an address lies at an exempt origin.

        Raises:
            AddressError: it cannot be read.
        """
        return _read(url) in self._exempt

    def vetted(self, scheme: str, host: str, port: int) -> list[str]:
        """Give the IP addresses that may be dialled for an origin, best first; an exempt origin is given unresolved.

        Raises:
            AddressError: the origin breaks a rule, or any one of its IP addresses is not public.
            OSError: the name does not resolve.
        """
        host = _canonical(host)
        if _Origin(scheme, host, port) in self._exempt:
            return [host]
        if scheme != "https":
            _refuse(host, "only https is fetched", "https")
        if self._allowed_hosts and not _is_below(host, self._allowed_hosts):
            _refuse(host, "it is not one of the allowed hosts", "host")
        if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
            _check_public(host, host)
            return [host]
        if not _NAME.fullmatch(host):
            _refuse(host, "it is no host name")
        if "." not in host or _is_below(host, _LOCAL_NAMES):
            _refuse(host, "it is a name of a local network", "public")
        answers = self._resolve(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        for address in addresses:
            _check_public(address, host)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no addresses")
        return addresses

    def session(self) -> GuardedSession:
        """Open a session whose every connection goes to vetted addresses only.

        It sends no credentials, keeps no cookies, uses no proxy (one would resolve names out of the guard's sight) and
        follows no redirects by itself: those come back as the answer. `AddressError` comes out of its calls as it is.
        """
        session = GuardedSession(self)
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session


class _ConnectionRegistry:
    """A second handle of every connection of a session, so that another thread can end it wherever it waits."""

    def __init__(self) -> None:
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_cut = False

    def hold(self, connection: socket.socket) -> None:
        with self._lock:
            self._handles.append(connection.dup())
            if self._is_cut:
                self._cut()

    @property
    def is_worn(self) -> bool:
        """Whether it was cut, or holds so many that most are of connections that ended."""
        return self._is_cut or len(self._handles) > _MAX_HANDLES

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._cut()

    def close(self) -> None:
        with self._lock:
            while self._handles:
                self._handles.pop().close()

    def _cut(self) -> None:
        for handle in self._handles:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)


class GuardedSession(requests.Session):
    """What `UrlGuard.session` opens."""

    def __init__(self, guard: UrlGuard) -> None:
        super().__init__()
        self._leash = _ConnectionRegistry()
        adapter = _GuardedAdapter(guard, self._leash)
        for prefix in ("http://", "https://"):
            self.mount(prefix, adapter)

    @property
    def is_worn(self) -> bool:
        """Whether it should be closed instead of used again."""
        return self._leash.is_worn

    def hang_up(self) -> None:
        """End all its connections, and each new one: a time-out bounds one silence, and a host may trickle headers."""
        self._leash.cut()

    def close(self) -> None:
        """Close everything."""
        super().close()
        self._leash.close()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # `allow_redirects=False` is not enough: requests would still read the redirect's whole body, however long.
        return None


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, guard: UrlGuard, leash: _ConnectionRegistry) -> None:
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = _guarded_pools(guard, leash)

    def proxy_manager_for(self, proxy: Any, **proxy_kwargs: Any) -> Any:
        raise ValueError("The guarded session takes no proxy: it would resolve names out of the guard's sight.")


class _GuardedConnection(HTTPConnection):
    guard: ClassVar[UrlGuard]
    scheme: ClassVar[str]
    leash: ClassVar[_ConnectionRegistry]

    def _new_conn(self) -> socket.socket:
        try:
            *others, last = self.guard.vetted(self.scheme, self._dns_host, self.port)
        except OSError as exc:
            raise NewConnectionError(self, "the name does not resolve") from exc
        for address in others:
            with contextlib.suppress(HTTPError):
                return self._dial(address)
        return self._dial(last)

    def _dial(self, address: str) -> socket.socket:
        # urllib3 dials `_dns_host`; TLS and the Host header use the same attribute later, so it gets its name back.
        name = self._dns_host
        self._dns_host = address
        try:
            connection = super()._new_conn()
        finally:
            self._dns_host = name
        self.leash.hold(connection)
        return connection


def _guarded_pools(its_guard: UrlGuard, its_leash: _ConnectionRegistry) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(_GuardedConnection):
        guard = its_guard
        scheme = "http"
        leash = its_leash

    class Secure(_GuardedConnection, HTTPSConnection):
        guard = its_guard
        scheme = "https"
        leash = its_leash

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _read(url: Any) -> _Origin:
    """Read the origin of an address with the parser that will fetch it; AddressError if it cannot be clean."""
    if not isinstance(url, str):
        raise UrlError(f"An address must be a text, not {type(url).__name__}.")
    if len(url) > _MAX_URL_CHARACTERS:
        raise UrlError(f"An address of {len(url)} characters is too long.")
    if not url.isprintable() or "\\" in url or " " in url:
        raise UrlError("An address must not hold spaces, backslashes or control characters.")
    try:
        parts = parse_url(url)
    except (ValueError, HTTPError):
        parts = None
    if parts is None or parts.scheme not in _PORTS or not parts.host:
        raise UrlError("An address must look like https://host/path.")
    if parts.auth is not None:
        _refuse(parts.host, "it holds a user name")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if port < 1:
        _refuse(parts.host, "its port is 0")
    return _Origin(parts.scheme, _canonical(parts.host), port)


def _canonical(host: str) -> str:
    host = host.lower().strip("[]").rstrip(".")
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return host


def _is_below(host: str, domains: Sequence[str] | frozenset[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _check_public(address: str, host: str) -> None:
    """Refuse an IP address that is not public, and every odd spelling of one (`0x7f.1`, `2130706433`)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        _refuse(host, "it is an IP address in an odd spelling", "public")
    if not _is_public(ip):
        where = "it is not on the public internet" if address == host else f"its address {ip} is not public"
        _refuse(host, where, "public")


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _IPV6_NAT64:
            return _is_public(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
        if ip.ipv4_mapped is not None:
            return _is_public(ip.ipv4_mapped)
        # Python's own table of special IPv6 blocks grew over the versions; this is narrower than all of them.
        if ip not in _IPV6_PUBLIC or ip in _IPV6_6TO4:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and ip != _IPV4_METADATA


def _refuse(host: str, reason: str, rule: str = "shape") -> NoReturn:
    raise UrlError(f"The address at {shorten(host)} is not fetched: {reason}.", rule)
