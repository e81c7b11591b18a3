"""A guard for URLs that come from outside: only public HTTPS hosts are ever connected to.

The promise holds where it counts, at the connection: each new one resolves the name once, checks every IP address and
connects to exactly the IP addresses that were checked. So a name that resolves differently the second time (DNS
rebinding) gains nothing, and neither does a URL that two parsers read in two ways.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from dreamina_ui.errors import UrlError, shorten

Resolver = Callable[..., Sequence[tuple[Any, ...]]]

_MAX_URL_CHARACTERS = 8192
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")

_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")
_IPV6_6TO4 = ipaddress.IPv6Network("2002::/16")
_IPV6_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Azure answers machines with their own secrets here, though the IP address is public.
_IPV4_METADATA = ipaddress.IPv4Address("168.63.129.16")
_FAKE_IP_NETWORKS = (ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("fc00::/18"))
"""What DNS answers for every name where a VPN client runs in fake-IP mode; the client then connects to the real one."""


class Origin(NamedTuple):
    """Where a URL leads: a scheme, a canonical host and a port."""

    scheme: str
    host: str
    port: int


class UrlGuard:
    """Decides which URLs may be fetched, and which IP addresses may be connected to for them.

    Args:
        exempt_origin: a URL of the Model API, or several; its origin (scheme, host, port) may be plain HTTP and
            private.
        allowed_hosts: if not empty, all other hosts must be one of these or a subdomain of one.
        named_hosts: hosts that the owner named, with their subdomains; they may have IP addresses of the kind that VPN
            clients make up (fake-IP mode).
        resolve: a function with the arguments and results of `socket.getaddrinfo`.

    Raises:
        ValueError: `exempt_origin` is no URL.
    """

    def __init__(
        self,
        *,
        exempt_origin: str | Sequence[str] = (),
        allowed_hosts: frozenset[str] = frozenset(),
        named_hosts: frozenset[str] = frozenset(),
        resolve: Resolver = socket.getaddrinfo,
    ) -> None:
        try:
            several = [exempt_origin] if isinstance(exempt_origin, str) else exempt_origin
            self._exempt = frozenset(map(_parse, several))
        except UrlError as exc:
            raise ValueError(f"The exempt origin is no URL: {exc}") from exc
        self._allowed_hosts = frozenset(_canonical(host.lstrip(".")) for host in allowed_hosts)
        self._named_hosts = frozenset(_canonical(host.lstrip(".")) for host in named_hosts)
        self._resolve = resolve

    def ensure_allowed(self, url: str) -> Origin:
        """Check that a URL may be fetched, the IP addresses of its host included, and return its origin.

        Raises:
            UrlError: it may not; the message names the rule and the host, never the query.
            OSError: its host does not resolve now; a second try may help.
        """
        origin = _parse(url)
        self.resolve_checked(origin)
        return origin

    def parse(self, url: str) -> Origin:
        """The origin of a URL; nothing is resolved. Raises UrlError if it cannot be one."""
        return _parse(url)

    def is_exempt(self, origin: Origin) -> bool:
        """Whether this is an exempt origin."""
        return origin in self._exempt

    def is_named(self, origin: Origin) -> bool:
        """Whether the owner named this host."""
        return _is_below(origin.host, self._named_hosts)

    def resolve_checked(self, origin: Origin) -> list[str]:
        """The IP addresses that may be connected to for an origin, best first; an exempt one is given unresolved.

        Raises:
            UrlError: the origin breaks a rule, or any one of its IP addresses is not public.
            OSError: the host does not resolve.
        """
        _, host, port = origin
        if origin in self._exempt:
            return [host]
        self.check_rules(origin)
        if _is_literal(host):
            return [host]
        rows = self._resolve(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        ip_addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        for ip_address in ip_addresses:
            if not (self.is_named(origin) and is_fake_ip(ip_address)):
                _check_public(ip_address, host)
        if not ip_addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no IP addresses")
        return ip_addresses

    def check_rules(self, origin: Origin) -> None:
        """Check all that can be known of an origin without resolving its host; raises UrlError."""
        scheme, host, _ = origin
        if origin in self._exempt:
            return
        if scheme != "https":
            _refuse(host, "only https is fetched", "https")
        if self._allowed_hosts and not _is_below(host, self._allowed_hosts):
            _refuse(host, "it is not one of the allowed hosts", "host")
        if _is_literal(host):
            _check_public(host, host)
            return
        if not _NAME.fullmatch(host):
            _refuse(host, "it is no host name")
        if "." not in host or _is_below(host, _LOCAL_NAMES):
            _refuse(host, "it is a name of a local network", "public")


def is_fake_ip(ip_address: str) -> bool:
    """Whether an IP address is of the kind that VPN clients in fake-IP mode make up for every name."""
    ip = ipaddress.ip_address(ip_address.partition("%")[0])
    return any(ip in network for network in _FAKE_IP_NETWORKS if network.version == ip.version)


def is_public_ip(ip_address: str) -> bool:
    """Whether an IP address lies on the public internet."""
    try:
        return _is_public(ipaddress.ip_address(ip_address))
    except ValueError:
        return False


def _is_literal(host: str) -> bool:
    return ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def _parse(url: Any) -> Origin:
    """The origin of a URL; UrlError if it cannot be a clean one."""
    if not isinstance(url, str):
        raise UrlError(f"A URL must be a text, not {type(url).__name__}.")
    if len(url) > _MAX_URL_CHARACTERS:
        raise UrlError(f"A URL of {len(url)} characters is too long.")
    if not url.isprintable() or "\\" in url or " " in url:
        raise UrlError("A URL must not hold spaces, backslashes or control characters.")
    try:
        parts = parse_url(url)
    except (ValueError, HTTPError):
        parts = None
    if parts is None or parts.scheme not in _PORTS or not parts.host:
        raise UrlError("A URL must look like https://host/path.")
    if parts.auth is not None:
        _refuse(parts.host, "it holds a user name")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    if port < 1:
        _refuse(parts.host, "its port is 0")
    return Origin(parts.scheme, _canonical(parts.host), port)


def _canonical(host: str) -> str:
    host = host.lower().strip("[]").rstrip(".")
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return host


def _is_below(host: str, domains: Sequence[str] | frozenset[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _check_public(ip_address: str, host: str) -> None:
    """Refuse an IP address that is not public, and every odd spelling of one (`0x7f.1`, `2130706433`)."""
    try:
        ip = ipaddress.ip_address(ip_address)
    except ValueError:
        _refuse(host, "it is an IP address in an odd spelling", "public")
    if not _is_public(ip):
        if is_fake_ip(ip_address) and ip_address != host:
            _refuse(
                host,
                f"its IP address {ip} is not public but made up, as VPN clients do in fake-IP mode; name the host in "
                "DREAMINA_MEDIA_HOSTS to allow that",
                "public",
            )
        where = "it is not on the public internet" if ip_address == host else f"its IP address {ip} is not public"
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
    raise UrlError(f"The URL at {shorten(host)} is not fetched: {reason}.", rule)
