"""Only public HTTPS hosts are connected to, whatever a URL looks like."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui.errors import UrlError
from dreamina_ui.media.fetching.download import Downloader, DownloadError
from dreamina_ui.media.fetching.ssrf_guard import Origin, UrlGuard
from tests.support.file_server import FileServer, HostResponse

PUBLIC = "93.184.216.34"


def resolving_to(*ip_addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver that knows one set of IP addresses for every name."""

    def resolve(host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip_address, port)) for ip_address in ip_addresses]

    return resolve


def unresolvable(*_: Any) -> list[tuple[Any, ...]]:
    raise socket.gaierror(socket.EAI_AGAIN, "try again")


def get(guard: UrlGuard, url: str) -> bytes:
    """What a download through this guard brings."""
    file = io.BytesIO()
    downloader = Downloader(guard, max_bytes=10**6, connect_timeout_s=5, read_timeout_s=5)
    downloader.fetch(url, file, time.monotonic() + 10)
    return file.getvalue()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture(scope="module")
def watch() -> dict[int, list[str]]:
    """By thread: the IP addresses it tried to connect to. Threads not in it are left alone."""
    watched: dict[int, list[str]] = {}

    def stop_connects(event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.connect" and threading.get_ident() in watched:
            watched[threading.get_ident()].append(args[1][0])
            raise ConnectionRefusedError

    sys.addaudithook(stop_connects)
    return watched


@pytest.fixture
def dialled(watch: dict[int, list[str]]) -> Iterator[list[str]]:
    """The IP addresses this thread tried to connect to; none of the tries leaves the machine."""
    yield watch.setdefault(threading.get_ident(), [])
    watch.clear()


@pytest.mark.parametrize(
    "url",
    [
        "https://files.runcomfy.net/a.png?X-Signature=1",
        "https://files.runcomfy.net:8443/a.png",
        "HTTPS://FILES.RUNCOMFY.NET/a.png#part",
        "https://bücher.example/ä.png",
        "https://93.184.216.34/a.png",
        "https://[2606:4700::6810:84e5]/a.png",
        "https://[::ffff:93.184.216.34]/a.png",
        "https://[64:ff9b::5db8:d822]/a.png",
    ],
)
def test_public_https_urls_pass(url: str) -> None:
    """A guard that refuses real results would lose paid pictures."""
    UrlGuard(resolve=resolving_to(PUBLIC)).ensure_allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.runcomfy.net/a.png",
        "ftp://files.runcomfy.net/a.png",
        "file:///etc/passwd",
        "data:text/plain,x",
        "//files.runcomfy.net/a.png",
        "files.runcomfy.net/a.png",
        "https://",
        "https:///a.png",
        "https://user:word@files.runcomfy.net/a.png",
        "https://files.runcomfy.net@127.0.0.1/",
        "https://files.runcomfy.net\\@127.0.0.1/",
        "https://files.runcomfy.net:0/",
        "https://files.runcomfy.net:99999/",
        "https://files.run comfy.net/",
        " https://files.runcomfy.net/",
        "https://files.runcomfy.net/\n",
        "https://files.runcomfy.net/\x00",
        "https://files.runcomfy.net/\ud800",
        "https://files..runcomfy.net/",
        "https://127%2e0.0.1/",
        "https://" + "a" * 64 + ".net/",
        "https://files.runcomfy.net/" + "a" * 9000,
        "https://localhost/",
        "https://localhost./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127。0。0。1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://10.1.2.3/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://168.63.129.16/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://224.0.0.251/",
        "https://239.1.1.1/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::7f00:1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001::1]/",
        "https://[2001:db8::1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        None,
        b"https://files.runcomfy.net/",
        7,
    ],
)
def test_other_urls_are_refused(url: Any) -> None:
    """Whoever types a URL must not make this machine reach into its own network."""
    with pytest.raises(UrlError):
        UrlGuard(resolve=resolving_to(PUBLIC)).ensure_allowed(url)


@given(st.one_of(st.text(), st.from_regex(r"https?://[^/]{0,40}(/.*)?"), st.binary(), st.none(), st.integers()))
def test_any_garbage_is_refused_or_passes_and_never_crashes(url: Any) -> None:
    """People paste anything; the guard answers with its own error and no other."""
    with contextlib.suppress(UrlError):
        UrlGuard(resolve=resolving_to(PUBLIC)).ensure_allowed(url)


@given(st.ip_addresses())
def test_no_special_ip_address_ever_passes(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Hypothesis draws from all the special blocks that the registries list."""
    literal = f"[{ip}]" if ip.version == 6 else str(ip)
    for guard, url in (
        (UrlGuard(resolve=resolving_to(PUBLIC)), f"https://{literal}/"),
        (UrlGuard(resolve=resolving_to(PUBLIC, str(ip))), "https://a.example/"),
    ):
        if ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
            mapped = getattr(ip, "ipv4_mapped", None)
            if mapped is not None and mapped.is_global and not mapped.is_multicast:
                continue
            with pytest.raises(UrlError):
                guard.ensure_allowed(url)


def test_one_private_ip_address_among_public_ones_refuses_the_name() -> None:
    """A name with two answers would otherwise be a coin toss into the own network."""
    with pytest.raises(UrlError, match=r"a\.example.*10\.0\.0\.1"):
        UrlGuard(resolve=resolving_to(PUBLIC, "10.0.0.1")).ensure_allowed("https://a.example/")


def test_a_name_that_does_not_resolve_now_is_no_verdict() -> None:
    """Name servers fail for a moment, and a paid picture must not be given up for it."""
    guard = UrlGuard(resolve=unresolvable)
    with pytest.raises(OSError, match="try again"):
        guard.ensure_allowed("https://a.example/")
    with pytest.raises(DownloadError, match="does not resolve"):
        get(guard, "https://a.example/")
    with pytest.raises(OSError, match="no IP addresses"):
        UrlGuard(resolve=resolving_to()).ensure_allowed("https://a.example/")


@pytest.mark.parametrize("entry", ["runcomfy.net", ".runcomfy.net", "RunComfy.Net"])
def test_allowed_hosts_cover_their_subdomains_and_nothing_else(entry: str) -> None:
    """An instance that expects files from one place should fetch from there only."""
    guard = UrlGuard(allowed_hosts=frozenset({entry}), resolve=resolving_to(PUBLIC))
    guard.ensure_allowed("https://runcomfy.net/")
    guard.ensure_allowed("https://a.b.runcomfy.net/")
    for host in ("evilruncomfy.net", "runcomfy.net.evil.example", PUBLIC):
        with pytest.raises(UrlError, match="allowed hosts"):
            guard.ensure_allowed(f"https://{host}/")


def test_the_exempt_origin_is_one_scheme_host_and_port(server: FileServer) -> None:
    """The sandbox is on this machine; its neighbours on other ports are none of our business."""
    url = server.script("/a", HostResponse(b"hello"))
    guard = UrlGuard(exempt_origin=server.origin + "/v1/models", allowed_hosts=frozenset({"runcomfy.net"}))
    guard.ensure_allowed(url)
    assert get(guard, url) == b"hello"
    port = server.origin.rpartition(":")[2]
    for other in ("http://127.0.0.1:1/", f"https://127.0.0.1:{port}/", f"http://localhost:{port}/"):
        assert not guard.is_exempt(guard.parse(other))
        with pytest.raises(UrlError):
            guard.ensure_allowed(other)


def test_an_exempt_origin_that_is_no_url_is_refused_at_once() -> None:
    """A typing error in the settings shows at start, not at the first paid picture."""
    with pytest.raises(ValueError, match="exempt origin"):
        UrlGuard(exempt_origin="model-api.runcomfy.net")


def test_a_name_that_changes_its_ip_address_reaches_nothing(server: FileServer, dialled: list[str]) -> None:
    """DNS rebinding: public for the check, this machine for the connection."""
    responses = [resolving_to(PUBLIC), resolving_to("127.0.0.1")]
    guard = UrlGuard(resolve=lambda *args: responses.pop(0)(*args))
    url = f"https://a.example:{server.origin.rpartition(':')[2]}/secret"
    guard.ensure_allowed(url)
    with pytest.raises(UrlError, match=r"127\.0\.0\.1"):
        get(guard, url)
    assert dialled == []
    assert server.requests == []


def test_a_connection_dials_exactly_the_ip_addresses_that_were_checked(dialled: list[str]) -> None:
    """Between check and connect there is no second look-up that could be answered differently."""
    asked: list[str] = []

    def resolve(host: str, *args: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return resolving_to(PUBLIC, "1.1.1.1")(host, *args)

    with pytest.raises(DownloadError, match="connection failed"):
        get(UrlGuard(resolve=resolve), "https://a.example/")
    assert asked == ["a.example"]
    assert dialled == [PUBLIC, "1.1.1.1"]


def test_the_host_stays_the_name_though_its_ip_address_is_dialled(server: FileServer) -> None:
    """File hosts serve many names from one IP address, and a certificate is for the name."""

    class ToThisMachine(UrlGuard):
        def resolve_checked(self, origin: Origin) -> list[str]:
            return ["127.0.0.1"]

    server.script("/a", HostResponse(b"hello"))
    netloc = f"a.example:{server.origin.rpartition(':')[2]}"
    assert get(ToThisMachine(), f"http://{netloc}/a") == b"hello"
    assert server.requests[0][1]["Host"] == netloc


def test_the_connection_checks_by_itself(server: FileServer) -> None:
    """Code that forgets to call `ensure_allowed` is still kept out of the own network."""
    server.script("/a", HostResponse(b"secret"))
    for url in (server.origin + "/a", "https://127.0.0.1/", "https://localhost/"):
        with pytest.raises(UrlError):
            get(UrlGuard(), url)
    assert server.requests == []


def test_a_download_keeps_no_cookie_and_reads_no_environment(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cookie, a proxy or a netrc line would each carry something to where it does not belong."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    url = server.script("/a", HostResponse(b"hello", headers={"Set-Cookie": "a=b"}))
    guard = UrlGuard(exempt_origin=server.origin)
    get(guard, url)
    get(guard, url)
    assert [path for path, _ in server.requests] == ["/a", "/a"]
    assert all("Cookie" not in headers and "Authorization" not in headers for _, headers in server.requests)


def test_messages_show_the_host_and_never_the_query() -> None:
    """The query of a pre-signed URL is a secret."""
    with pytest.raises(UrlError) as caught:
        UrlGuard(resolve=resolving_to("10.0.0.1")).ensure_allowed("https://a.example/x.png?X-Signature=s3cret")
    assert "a.example" in str(caught.value)
    assert "s3cret" not in str(caught.value)
