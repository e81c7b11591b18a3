"""Nothing is submitted while its files could not be fetched, and the message names the setting that helps."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from dreamina_ui.errors import FilesUnreachableError
from dreamina_ui.media.fetching import reachability
from dreamina_ui.media.fetching.connection import trusted_certificates
from dreamina_ui.media.fetching.proxies import Proxy
from dreamina_ui.media.fetching.reachability import BAD_TTL_S, GOOD_TTL_S, Reachability
from tests.media.fetching.test_connection import TlsHost, TunnelProxy, certificate, host  # noqa: F401  fixtures
from tests.support.harness import Harness, ScriptedApi

API = "https://model-api.runcomfy.net"
CERTIFICATES = trusted_certificates(None)


class Resolver:
    """Stands in for DNS; what it answers can be changed."""

    def __init__(self, *ip_addresses: str) -> None:
        self.ip_addresses = ip_addresses
        self.hosts: list[str] = []

    def __call__(self, name: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        self.hosts.append(name)
        if not self.ip_addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip_address, port)) for ip_address in self.ip_addresses]


class StoppedClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Make = Callable[..., Reachability]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a check that connects to nothing unless it gets a port of this machine."""

    def make_one(resolve: Resolver, url: str = API, hosts: tuple[str, ...] = (), **options: Any) -> Reachability:
        def connect_here(_ip_addresses: list[str], port: int, timeout_s: float) -> socket.socket:
            if port == 443:
                raise ConnectionRefusedError
            return socket.create_connection(("127.0.0.1", port), timeout_s)

        monkeypatch.setattr("dreamina_ui.media.fetching.connection.dial", connect_here)
        monkeypatch.setattr(reachability, "dial", connect_here)
        defaults = {"certificates": CERTIFICATES, "proxy": None, "clock": StoppedClock()}
        return Reachability(url, media_hosts=frozenset(hosts), resolve=resolve, **defaults | options)

    return make_one


@pytest.mark.parametrize("ip_address", ["198.18.0.7", "fc00::7"])
def test_made_up_ip_addresses_are_found_before_money_is_spent(make: Make, ip_address: str) -> None:
    """Common VPN clients answer every name like this, and every paid file would be refused."""
    problem = make(Resolver(ip_address)).problem()
    assert problem
    assert ip_address in problem
    assert "DREAMINA_MEDIA_HOSTS=runcomfy.net,runcomfy.com" in problem
    with pytest.raises(FilesUnreachableError, match="Nothing was submitted"):
        make(Resolver(ip_address)).require()
    assert make(Resolver(ip_address), hosts=("runcomfy.net",)).problem() is None


@pytest.mark.parametrize("ip_address", ["10.0.0.7", "127.0.0.1", "0.0.0.0"])
def test_private_ip_addresses_are_found_too(make: Make, ip_address: str) -> None:
    """Filters that block a name answer like this, and naming the host would not help."""
    problem = make(Resolver(ip_address), hosts=("runcomfy.net",)).problem()
    assert problem
    assert "DNS" in problem


def test_a_machine_that_is_offline_is_no_problem_of_files(make: Make) -> None:
    """The submit cannot be sent then, and costs nothing; it says what is wrong."""
    for resolve in (Resolver(), Resolver("93.184.216.34")):
        assert make(resolve).problem() is None


def test_behind_a_proxy_that_alone_can_resolve_the_hosts_must_be_named(make: Make) -> None:
    """The proxy's word on a name cannot be checked, so the owner says whom that is fine for."""
    proxy = Proxy("127.0.0.1", 1)
    problem = make(Resolver(), proxy=proxy).problem()
    assert problem
    assert "DREAMINA_MEDIA_HOSTS" in problem
    assert make(Resolver(), proxy=proxy, hosts=("runcomfy.net",)).problem() is None


def test_a_proxy_that_knows_names_only_is_found_before_money_is_spent(
    make: Make,
    host: TlsHost,  # noqa: F811
    certificate: Any,  # noqa: F811
) -> None:
    """The API is called through the same proxy by its name: it would be paid, and every file refused."""
    url = f"https://files.example:{host.port}"
    trusted = trusted_certificates(str(certificate[0]))
    with closing(TunnelProxy(refuses_ip_addresses=True)) as tunnel:
        options = {"proxy": Proxy("127.0.0.1", tunnel.port), "certificates": trusted}
        problem = make(Resolver("93.184.216.34"), url, **options).problem()
        assert problem
        assert "DREAMINA_MEDIA_HOSTS" in problem
        assert make(Resolver("93.184.216.34"), url, ("files.example",), **options).problem() is None
        assert tunnel.requests[-1].split()[1] == f"files.example:{host.port}"


def test_a_proxy_that_only_the_api_can_use_is_named(make: Make) -> None:
    """Behind a firewall nothing is reached without it, and the files would be lost."""
    reason = "HTTPS_PROXY is a proxy of the kind https://"
    problem = make(Resolver("93.184.216.34"), unused_proxy=reason).problem()
    assert problem
    assert reason in problem


def test_a_certificate_that_is_not_accepted_is_found(make: Make, host: TlsHost, certificate: Any) -> None:  # noqa: F811
    """A company's network replaces it, and submits would pass while every file fails."""
    url = f"https://files.example:{host.port}"
    problem = make(Resolver("93.184.216.34"), url).problem()
    assert problem
    assert "REQUESTS_CA_BUNDLE" in problem
    trusted: ssl.SSLContext = trusted_certificates(str(certificate[0]))
    assert make(Resolver("93.184.216.34"), url, certificates=trusted).problem() is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:1/v1", "http://[::1]:9"])
def test_an_api_on_this_machine_is_not_checked(make: Make, url: str) -> None:
    """The sandbox needs no network, and looks up no name."""
    resolve = Resolver("198.18.0.7")
    assert make(resolve, url).problem() is None
    assert resolve.hosts == []


def test_a_result_is_used_again_and_a_bad_one_is_checked_again_soon(make: Make) -> None:
    """Every submit asks, and who repairs the network does not want to restart the program."""
    resolve, clock = Resolver("198.18.0.7"), StoppedClock()
    check = make(resolve, clock=clock)
    assert all(check.problem() for _ in range(5))
    assert len(resolve.hosts) == 1
    resolve.ip_addresses = ("93.184.216.34",)
    clock.now += BAD_TTL_S
    assert check.problem() is None
    before = len(resolve.hosts)
    clock.now += GOOD_TTL_S - 1
    assert check.problem() is None
    assert len(resolve.hosts) == before


def test_no_job_is_made_while_files_could_not_be_fetched(harness: Harness, service: ScriptedApi, make: Make) -> None:
    """The request would be paid, and its result lost."""
    harness.reachability = make(Resolver("198.18.0.7"))
    harness.rebuild()
    harness.start()
    with pytest.raises(FilesUnreachableError):
        harness.generate()
    assert service.posts == 0
    assert harness.ledger.unfinished(harness.origin, harness.base_url) == []
