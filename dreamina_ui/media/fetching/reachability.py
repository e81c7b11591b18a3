"""Whether result files could be fetched from this machine; found out before money is spent.

The Model API's own host stands for the hosts of files: its name must resolve to a public IP address, and its
certificate must be accepted. Nothing is sent there. Where the API is on this machine, as the sandbox is, nothing is
checked.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from urllib3.exceptions import HTTPError, NameResolutionError, ProxyError, SSLError

from dreamina_ui.errors import FilesUnreachableError, UrlError
from dreamina_ui.media.fetching.connection import GuardedConnection, dial
from dreamina_ui.media.fetching.proxies import Proxy
from dreamina_ui.media.fetching.ssrf_guard import Resolver, UrlGuard, is_fake_ip

log = logging.getLogger(__name__)

GOOD_TTL_S = 600.0
BAD_TTL_S = 15.0
"""How long a result counts; a bad one is checked again soon, as somebody may be repairing it."""

FIRST_CHECK_S = 5.0
"""How long the first job waits for the first result."""

_FAKE_IP_ADVICE = (
    "as VPN clients in fake-IP mode do. Set DREAMINA_MEDIA_HOSTS=runcomfy.net,runcomfy.com, or switch that mode off."
)


class Reachability:
    """Checks what fetching a file needs. Safe to call from many threads.

    Args:
        api_base_url: where the Model API is; its host is checked.
        media_hosts: the hosts of files that the owner named.
        certificates, proxy: as for the downloads.
        unused_proxy: why files are fetched without the proxy through which the API is called, as the beginning of a
            sentence; "" if they are not.
        resolve: a function with the arguments and results of `socket.getaddrinfo`.
        clock: gives a time in seconds that only grows.
    """

    def __init__(
        self,
        api_base_url: str,
        *,
        media_hosts: frozenset[str],
        certificates: ssl.SSLContext,
        proxy: Proxy | None,
        unused_proxy: str = "",
        resolve: Resolver = socket.getaddrinfo,
        connect_timeout_s: float = 4.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # The host is named here, so that a made-up IP address does not stop the check before the certificate.
        host = UrlGuard().parse(api_base_url).host
        self._guard = UrlGuard(named_hosts=media_hosts | {host}, resolve=resolve)
        self._origin = self._guard.parse(api_base_url)
        self._media_hosts = media_hosts
        self._certificates = certificates
        self._proxy = proxy
        self._unused_proxy = unused_proxy
        self._resolve = resolve
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock
        self._problem: str | None = None
        self._checked_at: float | None = None
        self._lock = threading.Lock()
        self._first_result = threading.Event()

    def start(self) -> None:
        """Check in the background, and log what is wrong."""
        threading.Thread(target=self._check_if_due, name="reachability", daemon=True).start()

    def problem(self) -> str | None:
        """What stands in the way of fetching files, as a sentence that names the setting; None if nothing is known to.

        The first call waits for at most `FIRST_CHECK_S` seconds; later ones check again when the result is old.
        """
        if self._origin.scheme != "https":
            return None
        if self._checked_at is None:
            self.start()
            self._first_result.wait(FIRST_CHECK_S)
        elif self._is_due():
            if self._problem is None:
                self.start()  # nobody need wait for what is good
            else:
                self._check_if_due()
        return self._problem

    def require(self) -> None:
        """Raise FilesUnreachableError if files could not be fetched; call it before money is spent."""
        if problem := self.problem():
            raise FilesUnreachableError(f"{problem} Nothing was submitted.")

    def _is_due(self) -> bool:
        ttl_s = GOOD_TTL_S if self._problem is None else BAD_TTL_S
        return self._checked_at is None or self._clock() - self._checked_at >= ttl_s

    def _check_if_due(self) -> None:
        with self._lock:
            if not self._is_due():
                return
            before = self._problem
            try:
                self._problem = self._find_problem() if self._origin.scheme == "https" else None
            except Exception:
                log.exception("Whether files can be fetched could not be checked")
                self._problem = None
            self._checked_at = self._clock()
            self._first_result.set()
            if self._problem and self._problem != before:
                log.warning("%s No job is submitted until then.", self._problem)
            elif before and not self._problem:
                log.info("Files can be fetched again")

    def _find_problem(self) -> str | None:
        host = self._origin.host
        try:
            ip_addresses = self._guard.resolve_checked(self._origin)
        except UrlError as exc:
            return f"Result files could not be fetched: {exc} Check the DNS server of this machine."
        except OSError as exc:
            if self._proxy and not self._media_hosts:
                return (
                    "Result files could not be fetched: names do not resolve here, and through a proxy only hosts are "
                    "fetched from that the owner named. Set DREAMINA_MEDIA_HOSTS=runcomfy.net,runcomfy.com."
                )
            log.info("%s does not resolve now: %s", host, exc)
            return None  # the API cannot be reached either: the submit will say so, and costs nothing
        made_up = next((ip_address for ip_address in ip_addresses if is_fake_ip(ip_address)), None)
        if made_up and not self._media_hosts:
            return f"Result files could not be fetched: DNS answers {made_up} for {host}, {_FAKE_IP_ADVICE}"
        self._log_dead_ipv6(ip_addresses)
        return self._certificate_problem()

    def _certificate_problem(self) -> str | None:
        connection = GuardedConnection(
            self._guard if self._media_hosts else UrlGuard(resolve=self._resolve),  # none is named for the downloads
            self._origin,
            certificates=self._certificates,
            proxy=self._proxy,
            connect_timeout_s=self._connect_timeout_s,
            read_timeout_s=self._connect_timeout_s,
        )
        try:
            with connection:
                connection.connect()
        except (SSLError, ssl.SSLError) as exc:
            reason = getattr(exc, "verify_message", "") or type(exc).__name__
            return (
                f"Result files could not be fetched: the certificate of {self._origin.host} is not accepted "
                f"({reason}). Set REQUESTS_CA_BUNDLE to the CA certificates of your network."
            )
        except ProxyError as exc:
            log.info("The proxy does not let us connect to %s: %s", self._origin.host, exc)
            advice = (
                "" if self._media_hosts else " set DREAMINA_MEDIA_HOSTS=runcomfy.net,runcomfy.com if it knows names;"
            )
            return f"Result files could not be fetched: the proxy refuses to connect;{advice} check HTTPS_PROXY."
        except (NameResolutionError, HTTPError, OSError) as exc:
            if self._unused_proxy:
                return (
                    f"Result files could not be fetched: {self._unused_proxy}, which only the API is called through, "
                    f"and without it {self._origin.host} cannot be connected to. Use an http:// or a socks5:// proxy."
                )
            log.info("%s cannot be connected to now: %s", self._origin.host, type(exc).__name__)
        return None

    def _log_dead_ipv6(self, ip_addresses: list[str]) -> None:
        """Say it if IPv6 goes nowhere; files are fetched over IPv4 then, a quarter of a second later."""
        ipv6 = [ip_address for ip_address in ip_addresses if ":" in ip_address]
        if not ipv6 or len(ipv6) == len(ip_addresses) or self._proxy:
            return
        try:
            dial(ipv6[:1], self._origin.port, 2.0).close()
        except OSError:
            log.info("IPv6 goes nowhere from this machine; IPv4 is used. That costs 0.25 s for each connection.")
