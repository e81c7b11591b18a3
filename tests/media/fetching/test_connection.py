"""Connections go to checked IP addresses, quickly if one is dead, with the certificates and proxy of the owner."""

from __future__ import annotations

import io
import socket
import ssl
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.errors import SettingsError, UrlError
from dreamina_ui.media.fetching.connection import dial, trusted_certificates
from dreamina_ui.media.fetching.download import Downloader, DownloadError
from dreamina_ui.media.fetching.proxies import Proxy, environment_proxy
from dreamina_ui.media.fetching.ssrf_guard import Origin, UrlGuard

Resolve = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes no connection and refuses none, as an IP address that goes nowhere."""
    with socket.socket() as full:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):
            connection = socket.socket()
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(full.getsockname())
            waiting.append(connection)
        yield full.getsockname()[1]
        for connection in waiting:
            connection.close()


def test_a_dead_ip_address_costs_a_quarter_of_a_second(silent_port: int) -> None:
    """Networks announce IPv6 that goes nowhere, and results came 10 to 20 seconds late."""
    hosts = ["127.0.0.2", "127.0.0.2", "127.0.0.3"]
    # Neither of the silent ones is waited for until its end.
    with socket.create_server(("127.0.0.3", silent_port)), closing(dial(hosts, silent_port, 3600.0)) as made:
        assert made.getpeername()[0] == "127.0.0.3"


def test_a_dead_ipv6_is_raced_by_ipv4(listener: socket.socket) -> None:
    """Where IPv6 is refused at once, nothing is lost at all."""
    port = listener.getsockname()[1]
    with closing(dial(["100::1", "100::2", "127.0.0.1"], port, 5.0)) as made:
        assert made.getpeername()[0] == "127.0.0.1"


def test_no_ip_address_at_all_is_an_error_in_time(silent_port: int) -> None:
    """A worker must not wait for as long as the system does, which is minutes."""
    with pytest.raises((TimeoutError, OSError)):
        dial(["127.0.0.2"], silent_port, 0.2)
    with pytest.raises((TimeoutError, OSError)):
        dial(["127.0.0.2", "127.0.0.2"], silent_port, 0.2)


# --- fake-IP mode


def resolving_to(ip_address: str) -> Resolve:
    return lambda host, port, *_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip_address, port))]


@pytest.mark.parametrize("ip_address", ["198.18.0.7", "198.19.255.255", "fc00::7"])
def test_made_up_ip_addresses_are_allowed_for_named_hosts_only(ip_address: str) -> None:
    """VPN clients answer every name with one of these, and the owner can say whom that is fine for."""
    guard = UrlGuard(named_hosts=frozenset({"runcomfy.net"}), resolve=resolving_to(ip_address))
    guard.ensure_allowed("https://files.runcomfy.net/a.png")
    with pytest.raises(UrlError, match="DREAMINA_MEDIA_HOSTS"):
        guard.ensure_allowed("https://other.example/a.png")
    with pytest.raises(UrlError):
        guard.ensure_allowed(f"https://{f'[{ip_address}]' if ':' in ip_address else ip_address}/a.png")


@pytest.mark.parametrize("ip_address", ["10.0.0.7", "127.0.0.1", "169.254.169.254", "fd00::1"])
def test_a_named_host_may_not_lie_in_the_own_network(ip_address: str) -> None:
    """Only what is made up is allowed, not what is there."""
    guard = UrlGuard(named_hosts=frozenset({"runcomfy.net"}), resolve=resolving_to(ip_address))
    with pytest.raises(UrlError, match="public"):
        guard.ensure_allowed("https://files.runcomfy.net/a.png")


# --- certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A company's certificate for `files.example`, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    chain, key = folder / "ca.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=files.example"]
    command += ["-addext", "subjectAltName=DNS:files.example", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


class TlsHost:
    """Answers one request after the other over TLS with a text, and remembers the names that were asked for."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(chain, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def host(certificate: tuple[Path, Path]) -> Iterator[TlsHost]:
    made = TlsHost(*certificate)
    yield made
    made.close()


class ToThisMachine(UrlGuard):
    """Stands in for DNS: every host lies here."""

    def resolve_checked(self, origin: Origin) -> list[str]:
        return ["127.0.0.1"]


def download(port: int, **options: Any) -> bytes:
    file = io.BytesIO()
    downloader = Downloader(ToThisMachine(), max_bytes=1000, connect_timeout_s=5, read_timeout_s=5, **options)
    downloader.fetch(f"https://files.example:{port}/a", file, time.monotonic() + 10)
    return file.getvalue()


def test_files_are_fetched_with_the_certificates_of_the_owner(host: TlsHost, certificate: tuple[Path, Path]) -> None:
    """A company's network shows certificates of its own, for the files as for the API."""
    assert download(host.port, certificates=trusted_certificates(str(certificate[0]))) == b"hello"
    with pytest.raises(DownloadError, match="REQUESTS_CA_BUNDLE") as caught:
        download(host.port)
    assert caught.value.rule == "certificate"


@pytest.mark.parametrize("name", ["no such file", "a file of another kind"])
def test_certificates_that_cannot_be_read_are_refused_at_start(tmp_path: Path, name: str) -> None:
    """A typing error in the setting must not show at the first paid file."""
    (tmp_path / "a file of another kind").write_text("hello")
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
        trusted_certificates(str(tmp_path / name))


# --- proxies


class ConnectingProxy(ABC):
    """A proxy that connects to this machine, whatever it is asked for."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            port = self._handle(client)
            if port is None:
                client.close()
                continue
            upstream = socket.create_connection(("127.0.0.1", port))
            for source, target in ((client, upstream), (upstream, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()

    @abstractmethod
    def _handle(self, client: socket.socket) -> int | None:
        """Read a request and respond; returns the port to connect to, None if it is refused."""

    def close(self) -> None:
        self._listener.close()


class TunnelProxy(ConnectingProxy):
    """It makes tunnels by HTTP, and remembers what was asked for."""

    def __init__(self, status: str = "200 Connection established", *, refuses_ip_addresses: bool = False) -> None:
        self._status = status
        self._refuses_ip_addresses = refuses_ip_addresses
        self.requests: list[str] = []
        super().__init__()

    def _handle(self, client: socket.socket) -> int | None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        self.requests.append(head.decode())
        is_refused = self._refuses_ip_addresses and head.split()[1][:1].isdigit()
        status = "403 Forbidden" if is_refused else self._status
        client.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        return int(head.split()[1].rpartition(b":")[2]) if status.startswith("2") else None


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_a_proxy_is_asked_for_the_ip_address_that_was_checked(host: TlsHost, certificate: tuple[Path, Path]) -> None:
    """If it resolved the name by itself, the guard would guard nothing."""
    with closing(TunnelProxy()) as proxy:
        options = {"certificates": trusted_certificates(str(certificate[0]))}
        as_user = Proxy("127.0.0.1", proxy.port, username="x", password="y")
        assert download(host.port, proxy=as_user, **options) == b"hello"
        assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{host.port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic eDp5\r\n" in proxy.requests[0]


def test_only_for_named_hosts_a_proxy_may_resolve(certificate: tuple[Path, Path], host: TlsHost) -> None:
    """Behind some proxies nothing else can, and then the owner says whom that is fine for."""

    def resolve(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with closing(TunnelProxy()) as proxy:
        for named, outcome in ((frozenset({"files.example"}), b"hello"), (frozenset[str](), b"")):
            file = io.BytesIO()
            downloader = Downloader(
                UrlGuard(named_hosts=named, resolve=resolve),
                max_bytes=1000,
                connect_timeout_s=5,
                read_timeout_s=5,
                certificates=trusted_certificates(str(certificate[0])),
                proxy=Proxy("127.0.0.1", proxy.port),
            )
            with suppress(DownloadError):
                downloader.fetch(f"https://files.example:{host.port}/a", file, time.monotonic() + 10)
            assert file.getvalue() == outcome
        assert [line.split()[1] for line in proxy.requests] == [f"files.example:{host.port}"]


def test_a_proxy_that_refuses_is_an_error(host: TlsHost) -> None:
    """Its page about that is not the file."""
    refuses = TunnelProxy("407 Proxy Authentication Required")
    with closing(refuses) as proxy, pytest.raises(DownloadError, match="HTTPS_PROXY"):
        download(host.port, proxy=Proxy("127.0.0.1", proxy.port))


class SocksProxy(ConnectingProxy):
    """It speaks SOCKS5, and remembers what was asked for."""

    def __init__(self, status: int = 0) -> None:
        self._status = status
        self.requests: list[bytes] = []
        super().__init__()

    def _handle(self, client: socket.socket) -> int | None:
        reader = client.makefile("rb")
        methods = reader.read(reader.read(2)[1])
        client.sendall(b"\x05\x02" if b"\x02" in methods else b"\x05\x00")
        if b"\x02" in methods:
            user = reader.read(reader.read(2)[1])
            self.requests.append(user + b":" + reader.read(reader.read(1)[0]))
            client.sendall(b"\x01\x00")
        kind = reader.read(4)[3]
        self.requests.append(reader.read({1: 4, 4: 16}.get(kind) or reader.read(1)[0]))
        port = int.from_bytes(reader.read(2), "big")
        client.sendall(bytes([5, self._status, 0, 1, 0, 0, 0, 0, 0, 0]))
        return None if self._status else port


def test_a_socks_proxy_is_asked_for_the_ip_address_that_was_checked(
    host: TlsHost, certificate: tuple[Path, Path]
) -> None:
    """Many people reach the internet through one on their machine, and the API is called through it."""
    with closing(SocksProxy()) as proxy:
        options = {"certificates": trusted_certificates(str(certificate[0]))}
        as_user = Proxy("127.0.0.1", proxy.port, "socks5", "x", "y")
        assert download(host.port, proxy=as_user, **options) == b"hello"
        assert proxy.requests == [b"x:y", bytes([127, 0, 0, 1])]


def test_a_socks_proxy_that_refuses_is_an_error(host: TlsHost) -> None:
    """Its rules may allow the API's host only."""
    with closing(SocksProxy(status=2)) as proxy, pytest.raises(DownloadError, match="HTTPS_PROXY"):
        download(host.port, proxy=Proxy("127.0.0.1", proxy.port, "socks5"))


def test_the_proxy_of_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be used is said at start, not at the first file."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert environment_proxy() is None
    monkeypatch.setenv("https_proxy", "http://user:p%40ss@proxy.example:3128")
    proxy = environment_proxy()
    assert proxy == Proxy("proxy.example", 3128, username="user", password="p@ss")
    assert "p@ss" not in repr(proxy)
    monkeypatch.setenv("https_proxy", "socks5h://proxy.example")
    assert environment_proxy() == Proxy("proxy.example", 1080, "socks5")
    for unsupported in ("socks4://proxy.example:1080", "https://proxy.example"):
        monkeypatch.setenv("https_proxy", unsupported)
        with pytest.raises(ValueError, match="HTTPS_PROXY"):
            environment_proxy()
    monkeypatch.delenv("https_proxy")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:8080")
    assert environment_proxy() == Proxy("proxy.example", 8080), "the API is called through it, too"
