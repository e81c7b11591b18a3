"""The client of the Model API, against a misbehaving server."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from email.utils import formatdate
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui import errors
from dreamina_ui.api.client import RunComfy
from dreamina_ui.api.model_api import CancelResponse, OutputFile, Price, ResultResponse, StatusResponse
from tests.support.bad_server import BadServer, ScriptedResponse, closed_port, json_response
from tests.support.fuzzing import fuzz

TOKEN = "tok-3f9c2a7be1d84c55"  # not a real one
MODEL = "bytedance/dreamina-4-0/text-to-image"
SUBMIT = f"/v1/models/{MODEL}"
STATUS, RESULT, CANCEL = (f"/v1/requests/r-1/{word}" for word in ("status", "result", "cancel"))
INPUTS = {"prompt": "a fox", "width×height": "2048x2048(1:1)"}


class Client(RunComfy):
    """The client with short timeouts, and with a record of the pauses in place of sleep."""

    def __init__(self, base_url: str, token: str = TOKEN, **more: Any) -> None:
        self.pauses: list[float] = []
        timeouts = {"connect_timeout_s": 2.0, "read_timeout_s": 2.0, "submit_timeout_s": 2.0}
        super().__init__(base_url, token, **(timeouts | {"pause": self.pauses.append} | more))


@pytest.fixture
def client(server: BadServer) -> Iterator[Client]:
    made = Client(server.url)
    yield made
    made.close()


def raised(call: Callable[[], object]) -> errors.DreaminaError:
    """The error of ours that a call ends with; neither it nor what led to it may hold the token."""
    with pytest.raises(errors.DreaminaError) as caught:
        call()
    exc = caught.value
    chain: list[BaseException] = [exc]
    for link in chain:
        chain.extend(more for more in (link.__cause__, link.__context__) if more is not None and more not in chain)
        assert TOKEN not in f"{link} {link!r} {link.args} {getattr(link, 'detail', '')}"
    assert TOKEN not in "".join(traceback.format_exception(exc))
    return exc


class TlsServer:
    """Says `in_progress` over TLS, with a certificate of its own making for the host `127.1`."""

    def __init__(self, folder: Path) -> None:
        key, self.certificate = folder / "api.key", folder / "api.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-subj", "/CN=127.1", "-addext", "subjectAltName=DNS:127.1", "-days", "2",
                   "-keyout", str(key), "-out", str(self.certificate)]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.1:{self._listener.getsockname()[1]}"  # this machine, and not by one of its known names
        self.seen = b""

    def respond_once(self) -> threading.Thread:
        thread = threading.Thread(target=self._respond, daemon=True)
        thread.start()
        return thread

    def _respond(self) -> None:
        try:
            with self._context.wrap_socket(self._listener.accept()[0], server_side=True) as connection:
                self.seen = connection.recv(65_536)
                body = b'{"status": "in_progress"}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        except OSError:  # the client did not like what it saw
            pass


# What goes over the wire


def test_submit_sends_the_inputs_unchanged_and_once(server: BadServer, client: Client) -> None:
    """The size key has a multiplication sign; an escaped or renamed key is another request than the one paid for."""
    server.script(SUBMIT, json_response({"request_id": "r-1", "status_url": "http://elsewhere.example/"}, 201))
    assert client.submit(MODEL, INPUTS) == "r-1"
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("POST", SUBMIT)
    assert seen.body == json.dumps(INPUTS, ensure_ascii=False).encode()
    assert seen.header("content-type") == "application/json"
    assert seen.header("content-length") == str(len(seen.body))
    assert [value for name, value in seen.headers if TOKEN in value] == [f"Bearer {TOKEN}"]


def test_a_number_as_request_id_becomes_text(server: BadServer, client: Client) -> None:
    """A paid request must not be lost over the type of its name."""
    server.script(SUBMIT, json_response({"request_id": 123}))
    assert client.submit(MODEL, INPUTS) == "123"


def test_responses_carry_what_the_service_said(server: BadServer, client: Client) -> None:
    """These four responses are all that the rest of the program knows of the service."""
    server.script(STATUS, json_response({"status": "in_queue", "queue_position": "3", "instance_id": None}))
    server.script(
        RESULT,
        json_response(
            {
                "status": "completed",
                "output": {"images": ["https://files.example/1.png"]},
                "cost": "0.03",
                "created_at": "2025-01-01T00:00:00Z",
                "finished_at": "2025-01-01T00:00:09Z",
                "error": None,
                "error_code": 0,
            }
        ),
    )
    server.script(CANCEL, json_response({"outcome": "cancelled", "status": "cancelled"}))
    schema = {"type": "object", "properties": {"prompt": {"type": "string"}}}
    price = {"base_price_usd": 0.03, "price_unit": "image", "pricing_note": "each", "input_schema": schema}
    server.script(SUBMIT, json_response(price))
    assert client.status("r-1") == StatusResponse("queued", "in_queue", 3)
    assert client.result("r-1") == ResultResponse(
        phase="completed",
        status="completed",
        files=(OutputFile("image", "https://files.example/1.png"),),
        cost_usd=0.03,
        created_at="2025-01-01T00:00:00Z",
        finished_at="2025-01-01T00:00:09Z",
    )
    assert client.cancel("r-1") == CancelResponse("accepted")
    assert client.price(MODEL) == Price(0.03, "image", "each", schema)
    assert [seen.target for seen in server.requests] == [STATUS, RESULT + "?include_cost=true", CANCEL, SUBMIT]


def test_reads_share_one_connection(server: BadServer, client: Client) -> None:
    """Sixty polls with sixty TLS handshakes would be slow for us and rude to the service."""
    server.script(STATUS, json_response({"status": "in_queue"}), json_response({"status": "x"}, chunked=True))
    for _ in range(5):
        client.status("r-1")
    assert server.connections == 1


def test_many_threads_share_one_client(server: BadServer, client: Client) -> None:
    """Every visitor's jobs are polled through the same client."""
    for number in range(64):
        server.script(f"/v1/requests/r-{number}/status", json_response({"status": f"s-{number}"}, delay_s=0.02))
    result: dict[int, str] = {}

    def poll(number: int) -> None:
        for _ in range(2):
            result[number] = client.status(f"r-{number}").status

    threads = [threading.Thread(target=poll, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert result == {number: f"s-{number}" for number in range(64)}
    assert server.connections <= 64


def test_a_proxy_and_a_cookie_change_nothing_on_this_machine(
    server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token for the sandbox must not pass through a proxy, and no call may depend on the one before."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    server.script(STATUS, ScriptedResponse(body=b'{"status": "x"}', headers={"Set-Cookie": "who=me; Path=/"}))
    client = Client(server.url)
    client.status("r-1")
    client.status("r-1")
    assert [seen.header("authorization") for seen in server.requests] == [f"Bearer {TOKEN}"] * 2
    assert [seen.header("cookie") for seen in server.requests] == [None, None]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing; on Debian: apt-get install openssl")
def test_only_a_certificate_that_is_vouched_for_gets_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stands between must not read the token; a company's own authority can be named, as for any tool."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    api = TlsServer(tmp_path)
    refused = api.respond_once()
    assert type(raised(lambda: Client(api.url).status("r-1", attempts=1))) is errors.TransportError
    refused.join()
    assert api.seen == b""

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(api.certificate))
    trusted = api.respond_once()
    assert Client(api.url).status("r-1", attempts=1).status == "in_progress"
    trusted.join()
    assert TOKEN.encode() in api.seen


def test_a_proxy_on_the_way_out_never_sees_the_token(server: BadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy may be needed to get out, and may only carry what it cannot read."""
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    monkeypatch.setenv("NO_PROXY", "")
    exc = raised(lambda: Client("https://h.example").submit(MODEL, INPUTS))
    assert type(exc) is errors.TransportError
    assert "Nothing was sent" in str(exc)
    (seen,) = server.requests
    assert seen.method == "CONNECT"
    assert TOKEN not in str(seen.headers)


# Settings and ids


@pytest.mark.parametrize(
    "base_url",
    [
        "https://model-api.runcomfy.net",
        "https://h.example:8443/prefix/",
        "http://127.0.0.9:1",
        "http://[::1]:80/x",
        "http://localhost",
        "https://127.0.0.1",
        "HTTPS://H.example",
        "https://[2001:db8::1]/",
    ],
)
def test_good_urls_are_accepted(base_url: str) -> None:
    """The real service, a gateway with a path, and the sandbox on this machine are all wanted."""
    assert RunComfy(base_url, TOKEN)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "model-api.runcomfy.net",
        "http://model-api.runcomfy.net",
        "ftp://127.0.0.1",
        "https://",
        "https:///x",
        "https://user:pw@h.example",
        "https://h.example/?a=b",
        "https://h.example/#f",
        "https://h.example/?",
        "http://localhost@h.example",
        "http://127.0.0.1.h.example",
        "http://localhost.h.example",
        "http://1270.0.0.1",
        "http://127.0.0.1\\@h.example",
        "https://h.example\n",
        " https://h.example",
        "https://h.example:port",
        "http://127.0.0.1:80:80",
        "https://h.exa mple",
        "https://h.example/a b",
        "https://hé.example",
    ],
)
def test_a_url_that_could_leak_the_token_is_refused(base_url: str) -> None:
    """A token sent over plain http, or to a host that only looks right, is a token given away."""
    exc = raised(lambda: RunComfy(base_url, TOKEN))
    assert isinstance(exc, errors.SettingsError)
    assert "pw" not in str(exc)


@pytest.mark.parametrize("token", ["", f" {TOKEN}", f"{TOKEN}\n", f"{TOKEN}é", f"a {TOKEN}", f"{TOKEN}\x00"])
def test_a_token_that_cannot_be_sent_is_refused_unseen(token: str) -> None:
    """A pasted line break breaks the header; the message about it must not print the secret."""
    assert isinstance(raised(lambda: RunComfy("https://h.example", token)), errors.SettingsError)


def test_the_client_does_not_show_its_token() -> None:
    """A client ends up in tracebacks and debuggers."""
    assert repr(RunComfy("https://h.example/x/", TOKEN)) == "RunComfy('https://h.example/x')"


@pytest.mark.parametrize("word", ["status", "result", "cancel"])
@pytest.mark.parametrize(
    "request_id", ["", ".", "..", "a/b", "../x", "a\\b", "a b", "a\n", "a\x7f", "a\u2028b", "\ud800", "x" * 201, TOKEN]
)
def test_a_pasted_id_that_is_none_is_refused_unsent(
    server: BadServer, client: Client, word: str, request_id: str
) -> None:
    """An id with a slash in it could reach another call of the API, with the owner's token."""
    exc = raised(lambda: getattr(client, word)(request_id))
    assert isinstance(exc, errors.InputError)
    assert exc.field == "request_id"
    assert server.requests == []


@pytest.mark.parametrize(
    ("request_id", "segment"),
    [("a?b=c#d", "a%3Fb%3Dc%23d"), ("%2e%2e%2f", "%252e%252e%252f"), ("…é", "%E2%80%A6%C3%A9"), ("...", "...")],
)
def test_an_odd_id_stays_one_segment_of_the_path(
    server: BadServer, client: Client, request_id: str, segment: str
) -> None:
    """Whatever is pasted, it can only ever name a request."""
    path = f"/v1/requests/{segment}/status"
    server.script(path, json_response({"status": "completed"}))
    assert client.status(request_id).status == "completed"
    assert server.requests[0].target == path


@pytest.mark.parametrize("model_id", ["", "/", "a//b", "../requests", "a/../b", "a/.", "a b", "a\nb"])
def test_a_model_id_that_leaves_its_place_is_refused(server: BadServer, client: Client, model_id: str) -> None:
    """A broken model file must not turn a submit into some other call."""
    assert isinstance(raised(lambda: client.submit(model_id, INPUTS)), errors.InputError)
    assert isinstance(raised(lambda: client.price(model_id)), errors.InputError)
    assert server.requests == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, "\ud800", b"x"])
def test_inputs_that_are_no_json_are_refused_unsent(server: BadServer, client: Client, value: object) -> None:
    """NaN in a body is a request that the service may read in its own way, and bill."""
    assert isinstance(raised(lambda: client.submit(MODEL, {"scale": value})), errors.InputError)
    assert server.requests == []


# A submit is never sent twice

UNCLEAR = {
    "hang up": ScriptedResponse(hang_up=True),
    "garbage": ScriptedResponse(raw=b"\x00\x01 nonsense\r\n\r\n"),
    "echo in the status line": ScriptedResponse(raw=f"Bearer {TOKEN}\r\n\r\n".encode()),
    "echo in a chunk": ScriptedResponse(
        raw=f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{TOKEN}\r\n".encode()
    ),
    "cut in the head": ScriptedResponse(raw=b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut in the body": json_response({"request_id": "r-1"}, cut_after=9),
    "cut in a chunk": json_response({"request_id": "r-1"}, cut_after=9, chunked=True),
    "claims too much": json_response({"request_id": "r-1"}, length=500, close=True, cut_after=20),
    # Its server closes the connection and says so: else the next call may meet it just before it is gone.
    "claims too little": ScriptedResponse(body=b'{"request_id": "r-1"}', headers={"Connection": "close"}, length=5),
    "html": ScriptedResponse(body=b"<html>hello</html>"),
    "empty": ScriptedResponse(204),
    "request_id not utf-8": ScriptedResponse(body=b'{"request_id": "\xff"}'),
    "no text": ScriptedResponse(body=b"\xff\xfa\x00{\x01"),
    "a list": json_response(["r-1"]),
    "a broken gzip": ScriptedResponse(body=b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"}),
    "no request_id": json_response({"status": "in_queue"}),
    "empty request_id": json_response({"request_id": ""}),
    "null request_id": json_response({"request_id": None}),
    "odd request_id": json_response({"request_id": {"id": 1}}),
    "huge request_id": json_response({"request_id": 10**300}),
    "true request_id": json_response({"request_id": True}),
    "path as request_id": json_response({"request_id": "../../models"}),
    "deep": ScriptedResponse(body=b'{"a":' * 100_000),
    "deep and whole": ScriptedResponse(body=b'{"a":' * 100 + b"1" + b"}" * 100),
    "500": ScriptedResponse(500),
    "502 html": ScriptedResponse(502, b"<html>bad gateway</html>"),
    "503 with Retry-After": ScriptedResponse(503, headers={"Retry-After": "1"}),
    "504 json": json_response({"message": f"timeout for {TOKEN}"}, 504),
    "internal error, 500": json_response({"error_code": 500001, "message": "internal"}, 500),
    "internal error, 200": json_response({"error_code": "500001", "message": "internal"}),
    "internal error, 400": json_response({"error_code": 500001}, 400),
    "odd error with an id": json_response({"error_code": 7, "request_id": "r-9"}),
    "408": ScriptedResponse(408),
    "600": ScriptedResponse(600),
    **{f"redirect {code}": ScriptedResponse(code, b"x", {"Location": SUBMIT}) for code in (301, 302, 303, 307, 308)},
    "304": ScriptedResponse(304),
    "redirect with an odd error": json_response({"error_code": 7}, 302),
}


@pytest.mark.parametrize("response", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_a_lost_response_is_unclear_and_never_submitted_again(
    server: BadServer, client: Client, response: ScriptedResponse
) -> None:
    """A second POST is a second bill, and calling a lost response a failure invites the person to press again."""
    server.script(SUBMIT, response)
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert isinstance(exc, errors.SubmitUnclearError)
    assert "billed" in str(exc)
    assert len(server.requests) == 1
    assert client.pauses == []


GOOD = json.dumps({"request_id": "r-1", "status": "completed", "outcome": "cancelled", "output": {}}).encode()
WHOLE = {
    "claims too much": ScriptedResponse(body=GOOD, length=500, close=True, cut_after=len(GOOD)),
    "no last chunk": ScriptedResponse(
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(GOOD), GOOD)
    ),
    "calls itself gzip": ScriptedResponse(body=GOOD, headers={"Content-Encoding": "gzip"}),
    "calls itself br": ScriptedResponse(body=GOOD, headers={"Content-Encoding": "br"}),
    "is gzip, unasked": ScriptedResponse(body=gzip.compress(GOOD)),
    "is deflate": ScriptedResponse(body=zlib.compress(GOOD), headers={"Content-Encoding": "deflate"}),
    "is br": ScriptedResponse(body=brotli.compress(GOOD), headers={"Content-Encoding": "br"}),
    "ends in NULs": ScriptedResponse(body=GOOD + b"\n\0\0"),
    "html by its header": ScriptedResponse(body=GOOD, headers={"Content-Type": "text/html"}),
}


@pytest.mark.parametrize("response", WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_response_is_read_whatever_its_headers_say(
    server: BadServer, client: Client, response: ScriptedResponse
) -> None:
    """The bytes say that the request was accepted: a doubt about it would tempt people to pay twice."""
    for path in (SUBMIT, STATUS, RESULT, CANCEL):
        server.script(path, response)
    assert client.submit(MODEL, INPUTS) == "r-1"
    assert (client.status("r-1").status, client.result("r-1").status) == ("completed", "completed")
    assert client.cancel("r-1") == CancelResponse("accepted")
    assert client.pauses == []


@pytest.mark.parametrize(
    "body",
    [
        {"request_id": " r-1\n"},
        {"requestId": "r-1"},
        {"status_url": "https://model-api.runcomfy.net/v1/requests/r-1/status?x=1"},
        {"request_id": None, "cancel_url": "https://model-api.runcomfy.net/v1/requests/r-1/cancel"},
    ],
)
def test_the_id_of_an_accepted_request_is_found(server: BadServer, client: Client, body: dict[str, Any]) -> None:
    """Without it nobody could ask for what is being paid for."""
    server.script(SUBMIT, json_response(body))
    assert client.submit(MODEL, INPUTS) == "r-1"


def test_an_unclear_submit_keeps_the_id_it_received(server: BadServer, client: Client) -> None:
    """With the id, the request can be looked up in place of being paid for twice."""
    server.script(SUBMIT, json_response({"error_code": 500001, "request_id": "r-9"}))
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert isinstance(exc, errors.SubmitUnclearError)
    assert exc.request_id == "r-9"
    assert "r-9" in str(exc)


@pytest.mark.parametrize(
    "response", [ScriptedResponse(silent=True), json_response({"request_id": "r-1"}, piece_bytes=1, piece_pause_s=0.02)]
)
def test_a_submit_that_takes_too_long_is_unclear(server: BadServer, response: ScriptedResponse) -> None:
    """Silence is no refusal: the request may be running."""
    server.script(SUBMIT, response)
    client = Client(server.url, submit_timeout_s=0.1)
    assert isinstance(raised(lambda: client.submit(MODEL, INPUTS)), errors.SubmitUnclearError)
    assert len(server.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_connection_nothing_was_sent(scheme: str) -> None:
    """A person may press again at once when it is certain that nothing runs."""
    client = Client(f"{scheme}://127.0.0.1:{closed_port()}")
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert type(exc) is errors.TransportError
    assert "Nothing was sent" in str(exc)


def test_without_a_tls_handshake_nothing_was_sent(server: BadServer) -> None:
    """A refused certificate is found out before the first byte of the inputs."""
    client = Client(server.url.replace("http:", "https:"))
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert type(exc) is errors.TransportError
    assert "Nothing was sent" in str(exc)
    assert server.requests == []


def test_a_stale_connection_never_makes_a_submit_unclear(server: BadServer, client: Client) -> None:
    """A service closes idle connections; a submit that falls on one would be lost for no reason."""
    server.cut_reused = True
    server.script(STATUS, json_response({"status": "in_queue"}))
    server.script(SUBMIT, json_response({"request_id": "r-2"}))
    client.status("r-1")
    assert client.submit(MODEL, INPUTS) == "r-2"
    assert client.submit(MODEL, INPUTS) == "r-2"
    assert len(server.requests_for("POST")) == 2


def test_a_stale_connection_only_costs_a_read_one_more_attempt(server: BadServer, client: Client) -> None:
    """Polling continues over a connection that the service has just closed."""
    server.cut_reused = True
    server.script(STATUS, json_response({"status": "in_queue"}))
    assert [client.status("r-1").status for _ in range(3)] == ["in_queue"] * 3


# Refusals

REFUSALS: dict[str, tuple[ScriptedResponse, type[errors.ResponseError]]] = {
    "401": (ScriptedResponse(401, b"<html>"), errors.AuthError),
    "403": (ScriptedResponse(403), errors.AuthError),
    "402": (ScriptedResponse(402), errors.BalanceError),
    "429": (ScriptedResponse(429), errors.RateLimitError),
    "422": (ScriptedResponse(422), errors.ResponseError),
    "409": (ScriptedResponse(409), errors.ResponseError),
    "425": (ScriptedResponse(425), errors.ResponseError),
    "413 html": (ScriptedResponse(413, b"<html>too large</html>"), errors.ResponseError),
    "401001": (json_response({"error_code": 401001}), errors.AuthError),
    "400004": (json_response({"error_code": 400004}, 400), errors.AuthError),
    "400002": (json_response({"error_code": "400002"}, 400), errors.BalanceError),
    "400001": (json_response({"error_code": 400001}), errors.ResponseError),
    "403001": (json_response({"error_code": 403001}, 403), errors.ForeignRequestError),
    "422001": (json_response({"error_code": 422001}), errors.ResponseError),
    "code before status": (json_response({"error_code": 400002}, 500), errors.BalanceError),
    "an odd code": (json_response({"error_code": "E_NO"}), errors.ResponseError),
}


@pytest.mark.parametrize(("response", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_submit_says_so(
    server: BadServer, client: Client, response: ScriptedResponse, kind: type[errors.ResponseError]
) -> None:
    """A clear no costs nothing, and the kind of it tells the person what to change."""
    server.script(SUBMIT, response)
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert type(exc) is (errors.ResponseError if kind is errors.ForeignRequestError else kind)
    assert len(server.requests) == 1


@pytest.mark.parametrize("word", ["status", "result", "cancel"])
@pytest.mark.parametrize(("response", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_question_says_so_and_keeps_the_id(
    server: BadServer, client: Client, word: str, response: ScriptedResponse, kind: type[errors.ResponseError]
) -> None:
    """The same no means the same for every call."""
    server.script(f"/v1/requests/r-1/{word}", response)
    exc = raised(lambda: getattr(client, word)("r-1"))
    is_page = response.status != 429 and not response.body.startswith(b"{")
    assert type(exc) is (errors.TransportError if is_page else kind)
    assert isinstance(exc, errors.ApiError)
    assert exc.request_id == "r-1"
    repeated = kind is errors.RateLimitError or is_page
    assert len(server.requests) == (4 if repeated else 1)


@pytest.mark.parametrize("status", [401, 402])
def test_only_the_services_own_words_refuse_the_token_or_the_balance(
    server: BadServer, client: Client, status: int
) -> None:
    """A gateway's login page or a paused deployment must not pause a shared page until its owner comes."""
    page, unnumbered = ScriptedResponse(status, b"<html>"), json_response({"message": "no"}, status)
    numbered = json_response({"error_code": {401: 400004, 402: 400002}[status], "message": "no"}, status)
    server.script(SUBMIT, page, unnumbered, numbered)
    server.script(STATUS, unnumbered, numbered)
    submits = [raised(lambda: client.submit(MODEL, INPUTS)) for _ in range(3)]
    polls = [raised(lambda: client.status("r-1")) for _ in range(2)]
    scope = {401: "token", 402: "balance"}[status]
    assert [exc.scope for exc in (*submits, *polls) if isinstance(exc, errors.ResponseError)] == [
        "request", scope, scope, "request", scope,
    ]  # fmt: skip


def test_only_a_request_can_be_not_found(server: BadServer, client: Client) -> None:
    """A model that is gone is another thing than a request that the service has forgotten."""
    for path in (STATUS, RESULT, CANCEL, SUBMIT):
        server.script(path, json_response({"error_code": 404001}))
    for call in (client.status, client.result, client.cancel):
        assert type(raised(lambda call=call: call("r-1"))) is errors.RequestNotFoundError  # type: ignore[misc]
    assert type(raised(lambda: client.submit(MODEL, INPUTS))) is errors.ResponseError
    assert type(raised(lambda: client.price(MODEL))) is errors.ResponseError


GATEWAY_PAGES = {
    "404 text": ScriptedResponse(404, b"404 page not found", {"Content-Type": "text/plain"}),
    "404 html": ScriptedResponse(404, b"<html>nothing here</html>"),
    "404 empty": ScriptedResponse(404),
    "404 json of a framework": json_response({"detail": "Not Found"}, 404),
    "404 json of a gateway": json_response({"message": "no Route matched with those values"}, 404),
    "400 html": ScriptedResponse(400, b"<html>bad request</html>"),
    "401 html": ScriptedResponse(401, b"<html>Authorization Required</html>", {"WWW-Authenticate": "Basic"}),
    "401 empty": ScriptedResponse(401),
    "402 text": ScriptedResponse(402, b"This deployment is paused."),
    "403 html": ScriptedResponse(403, b"<html>forbidden</html>"),
    "405 html": ScriptedResponse(405, b"<html>not allowed</html>"),
    "421 html": ScriptedResponse(421, b"<html>misdirected</html>"),
    "404 json with a status": json_response({"timestamp": "now", "status": 404, "error": "Not Found"}, 404),
    "404 json with a word as status": json_response({"status": "error", "message": "page not found"}, 404),
    "404 problem": ScriptedResponse(404, b'{"title": "Not Found"}', {"Content-Type": "application/problem+json"}),
    "404 json with an object": json_response({"error": {"code": 404, "status": "NOT_FOUND"}}, 404),
    "404 json with no error_code": json_response({"error_code": None, "message": "page not found"}, 404),
    "404 json with error_code 0": json_response({"error_code": 0, "message": "page not found"}, 404),
    "410 text": ScriptedResponse(410, b"gone"),
    "502 json that says failed": json_response({"status": "failed", "error": "bad gateway"}, 502),
    "520": ScriptedResponse(520, b"<html>"),
}


@pytest.mark.parametrize("response", GATEWAY_PAGES.values(), ids=GATEWAY_PAGES.keys())
@pytest.mark.parametrize("word", ["status", "result", "cancel"])
def test_a_gateways_page_says_nothing_about_a_request(
    server: BadServer, client: Client, word: str, response: ScriptedResponse
) -> None:
    """While the service is deployed anew, its gateway knows nothing; only JSON with an error_code is its word."""
    server.script(f"/v1/requests/r-1/{word}", response, json_response({"status": "in_progress"}))
    getattr(client, word)("r-1")
    assert len(server.requests) == 2


GOOD_LOOKING_PAGES = {
    "a failure of its own": {"success": False, "error": "upstream timeout"},
    "its own trace": {"message": "An unexpected error occurred", "error": "upstream", "request_id": "trace-77"},
    "a number as status": {"timestamp": "now", "status": 500, "error": "Internal Server Error"},
    "a code": {"code": 404, "message": "page not found"},
    "nothing": {},
}


@pytest.mark.parametrize("page", GOOD_LOOKING_PAGES.values(), ids=GOOD_LOOKING_PAGES.keys())
@pytest.mark.parametrize("word", ["status", "result"])
def test_a_gateways_json_in_a_good_response_says_nothing_either(
    server: BadServer, client: Client, word: str, page: dict[str, Any]
) -> None:
    """Some gateways send their errors with HTTP 200; a paid request does not fail over one."""
    server.script(f"/v1/requests/r-1/{word}", json_response(page))
    assert type(raised(lambda: getattr(client, word)("r-1"))) is errors.ProtocolError


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_response_in_another_encoding_is_read(server: BadServer, client: Client, encoding: str) -> None:
    """Gateways rewrite texts; a failure must not be asked about for a day because of an accent."""
    body = '{"status": "failed", "error": "Caf\u00e9 closed"}'.encode(encoding)
    server.script(STATUS, ScriptedResponse(200, body, {"Content-Type": f"application/json; charset={encoding}"}))
    response = client.status("r-1")
    assert response.phase == "failed"
    assert (response.reason or "").endswith(" closed")


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </a>; rel=preload"])
def test_an_interim_response_is_not_the_response(server: BadServer, client: Client, interim: str) -> None:
    """A submit that a gateway comments on first was accepted, and its id must not be lost."""
    body = b'{"request_id": "r-1"}'
    head = f"HTTP/1.1 {interim}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    server.script(SUBMIT, ScriptedResponse(raw=head.encode() + body))
    assert client.submit(MODEL, INPUTS) == "r-1"


def test_interim_responses_without_end_are_given_up(server: BadServer, client: Client) -> None:
    """They would hold a thread."""
    server.script(STATUS, ScriptedResponse(raw=b"HTTP/1.1 102 x\r\n\r\n" * 50), json_response({"status": "in_queue"}))
    assert client.status("r-1").phase == "queued"
    assert len(server.requests) == 2


def test_a_response_that_a_gateway_encoded_twice_is_read(server: BadServer, client: Client) -> None:
    """It puts the text of the service into a text of its own; the id in it is paid for."""
    server.script(SUBMIT, json_response(json.dumps({"request_id": "r-1"})))
    assert client.submit(MODEL, INPUTS) == "r-1"


def test_a_result_without_a_status_tells_why_there_is_none(server: BadServer, client: Client) -> None:
    """Asking again for half an hour would tell nothing more."""
    for body in ({"request_id": "r-1", "error": "The GPU was lost."}, {"output": None, "error": "The GPU was lost."}):
        server.script(RESULT, json_response(body))
        assert client.result("r-1").reason == "The GPU was lost."


@pytest.mark.parametrize("name", [name for name in GATEWAY_PAGES if name in ("404 text", "404 html", "404 empty")])
def test_a_submit_that_meets_a_gateways_404_is_unclear(server: BadServer, client: Client, name: str) -> None:
    """It is a lost response: nobody knows what stood behind the page when the inputs went through."""
    server.script(SUBMIT, GATEWAY_PAGES[name])
    assert isinstance(raised(lambda: client.submit(MODEL, INPUTS)), errors.SubmitUnclearError)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (ScriptedResponse(202), "accepted"),
        (ScriptedResponse(204), "accepted"),
        (ScriptedResponse(202, b"accepted"), "accepted"),
        (json_response({"status": "cancelled"}, 202), "accepted"),
        (json_response({"outcome": "pending"}, 202), "accepted"),
        (json_response({"outcome": "Cancel-Requested"}), "accepted"),
        (json_response({"outcome": "NOT_CANCELLABLE"}, 202), "refused"),
        (json_response({"success": True}), None),
    ],
    ids=str,
)
def test_a_cancel_that_was_accepted_is_known_in_every_form(
    server: BadServer, client: Client, response: ScriptedResponse, outcome: str | None
) -> None:
    """Else the wish is sent again and again; only a status tells whether it was carried out."""
    server.script(CANCEL, response)
    assert client.cancel("r-1") == CancelResponse(outcome)  # type: ignore[arg-type]
    assert len(server.requests) == 1


def test_a_result_that_is_not_ready_is_no_error(server: BadServer, client: Client) -> None:
    """The service says so by HTTP 400 with an error_code of its own; asking again is all there is to do."""
    server.script(RESULT, json_response({"error_code": 400005, "error_message": "not ready"}, 400))
    assert client.result("r-1") == ResultResponse(None, None, is_ready=False)
    assert len(server.requests) == 1


def test_a_refusal_carries_the_services_words_without_the_token(server: BadServer, client: Client) -> None:
    """The reason helps, the secret does not, and a novel or a control character would spoil the page."""
    words = f"bad\x1b[31m\nkey {TOKEN} " + "y" * 5000
    detail = [{"loc": ["scale"], "msg": f"got {TOKEN}", TOKEN: {"a": [TOKEN]}}]
    server.script(SUBMIT, json_response({"error_code": 422001, "error_message": words, "detail": detail}, 422))
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert isinstance(exc, errors.ResponseError)
    assert (exc.status_code, exc.error_code) == (422, 422001)
    assert exc.detail == [{"loc": ["scale"], "msg": "got ***", "***": {"a": ["***"]}}]
    assert "key ***" in str(exc)
    assert len(str(exc)) < 500
    assert str(exc).isprintable()


def test_a_token_with_a_quote_is_hidden_too(server: BadServer) -> None:
    """JSON writes such a character with a backslash, and a plain search would miss it."""
    token = 'tok"3f9c\\2a7b'
    server.script(SUBMIT, json_response({"error": {"key": token}, "detail": {"key": token}}, 400))
    with pytest.raises(errors.ResponseError) as caught:
        Client(server.url, token).submit(MODEL, INPUTS)
    assert caught.value.detail == {"key": "***"}
    assert "key: ***" in str(caught.value)


def test_a_flood_of_detail_is_cut(server: BadServer, client: Client) -> None:
    """A refusal is kept in memory and on disk; megabytes of it help nobody."""
    flood = {"error_code": 10**2000, "message": "m" * 100_000, "detail": [TOKEN + "z" * 100] * 1000}
    server.script(SUBMIT, json_response(flood, 422))
    exc = raised(lambda: client.submit(MODEL, INPUTS))
    assert isinstance(exc, errors.ResponseError)
    assert isinstance(exc.detail, str)
    assert len(exc.detail) <= 4000
    assert len(str(exc)) < 500


# Reads are repeated


BROKEN = {
    name: response
    for name, response in UNCLEAR.items()
    if "request_id" not in name and name not in ("odd error with an id", "redirect with an odd error")
}


@pytest.mark.parametrize(
    ("word", "response"),
    [
        pytest.param(word, response, id=f"{word} {name}")
        for word in ("status", "result", "cancel")
        for name, response in BROKEN.items()
        if (word, name) != ("cancel", "empty")  # a cancel needs no body
    ],
)
def test_a_read_survives_a_broken_response(
    server: BadServer, client: Client, response: ScriptedResponse, word: str
) -> None:
    """A picture already paid for is not lost over one bad moment of the network."""
    good = json_response({"status": "in_progress", "outcome": "cancelled"})
    server.script(f"/v1/requests/r-1/{word}", response, good)
    result = getattr(client, word)("r-1")
    assert result == CancelResponse("accepted") if word == "cancel" else result.status == "in_progress"
    assert len(client.pauses) == 1


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN.keys())
def test_a_read_gives_up_after_its_attempts(server: BadServer, client: Client, response: ScriptedResponse) -> None:
    """The caller has a timetable of its own, and must get its thread back."""
    server.script(STATUS, response)
    exc = raised(lambda: client.status("r-1", attempts=2))
    assert isinstance(exc, errors.TransportError | errors.ProtocolError)
    assert exc.request_id == "r-1"
    assert "r-1" in str(exc)
    assert "Ask again" in str(exc)
    assert len(server.requests) == 2


def test_pauses_grow_and_are_spread(server: BadServer) -> None:
    """A hundred clients that come back in step would hold a service down that is getting up."""
    server.script(STATUS, ScriptedResponse(503))
    item, other = Client(server.url, attempts=7), Client(server.url, attempts=7)
    for client in (item, other):
        assert isinstance(raised(lambda client=client: client.status("r-1")), errors.TransportError)  # type: ignore[misc]
        assert len(client.pauses) == 6
        for pause_s, limit_s in zip(client.pauses, [0.5, 1, 2, 4, 8, 8], strict=True):
            assert 0.25 <= pause_s <= limit_s
    assert item.pauses != other.pauses


@pytest.mark.parametrize(
    ("header", "reported", "paused"),
    [
        ("7", 7, 7),
        ("0", 0, 0.5),
        ("2.5", 2.5, 2.5),
        (" 7 ", 7, 7),
        ("3600", 3600, 60),
        ("soon", None, 0.5),
        ("nan", None, 0.5),
        ("-3", None, 0.5),
        ("Wed, 99 Foo 99999 99:99:99 GMT", None, 0.5),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0, 0.5),
    ],
)
def test_a_retry_after_is_honored(server: BadServer, header: str, reported: float | None, paused: float) -> None:
    """Coming back too soon is refused again; waiting an hour would look like a hang."""
    server.script(STATUS, ScriptedResponse(429, headers={"Retry-After": header}))
    client = Client(server.url, attempts=2)
    exc = raised(lambda: client.status("r-1"))
    assert isinstance(exc, errors.RateLimitError)
    assert exc.retry_after_s == reported
    (pause_s,) = client.pauses
    assert 0.25 <= pause_s <= 0.5 if paused == 0.5 else pause_s == paused


def test_a_retry_after_may_be_a_date(server: BadServer, client: Client) -> None:
    """HTTP allows both forms, and a gateway in between may choose."""
    server.script(STATUS, ScriptedResponse(429, headers={"Retry-After": formatdate(time.time() + 30, usegmt=True)}))
    exc = raised(lambda: client.status("r-1", attempts=1))
    assert isinstance(exc, errors.RateLimitError)
    assert exc.retry_after_s == pytest.approx(30, abs=5)


def test_no_redirect_is_followed(server: BadServer, client: Client) -> None:
    """A redirect is how a token would travel to a stranger; its body must not be read without a limit either."""
    with BadServer() as stranger:
        for code in (301, 302, 303, 307, 308):
            server.script(STATUS, ScriptedResponse(code, b"x" * 100, {"Location": f"{stranger.url}/steal"}))
            exc = raised(lambda: client.status("r-1", attempts=1))
            assert isinstance(exc, errors.ProtocolError)
            assert "redirect" in str(exc)
        server.script(STATUS, ScriptedResponse(302, b"x" * 5_000_000, {"Location": f"{stranger.url}/steal"}))
        assert isinstance(raised(lambda: client.status("r-1", attempts=1)), errors.TransportError)
        assert stranger.connections == 0


@pytest.mark.parametrize(
    "response",
    [
        ScriptedResponse(body=b'{"status": "' + b"x" * 5_000_000 + b'"}'),
        ScriptedResponse(body=b'{"status": "' + b"x" * 5_000_000 + b'"}', no_length=True),
        ScriptedResponse(body=b'{"status": "' + b"x" * 5_000_000 + b'"}', chunked=True),
        ScriptedResponse(
            body=gzip.compress(b'{"status": "' + b"x" * 50_000_000 + b'"}'), headers={"Content-Encoding": "gzip"}
        ),
    ],
    ids=["length", "no length", "chunked", "gzip"],
)
def test_a_huge_response_is_refused(server: BadServer, client: Client, response: ScriptedResponse) -> None:
    """Sixty-four threads that each read what they are sent would end the program."""
    server.script(STATUS, response)
    assert isinstance(raised(lambda: client.status("r-1", attempts=1)), errors.TransportError)


def test_a_gzipped_response_is_read(server: BadServer, client: Client) -> None:
    """Gateways compress when they like."""
    body = gzip.compress(json.dumps({"status": "in_queue", "note": "x" * 100_000}).encode())
    server.script(STATUS, ScriptedResponse(body=body, headers={"Content-Encoding": "gzip"}, piece_bytes=7))
    assert client.status("r-1").status == "in_queue"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_trickling_response_does_not_hold_a_thread(server: BadServer, chunked: bool) -> None:
    """One byte a second resets every timeout of the socket; only a deadline of our own ends it."""
    server.script(STATUS, ScriptedResponse(body=b" " * 1_000_000, piece_bytes=1, piece_pause_s=0.01, chunked=chunked))
    client = Client(server.url, read_timeout_s=0.1)
    assert isinstance(raised(lambda: client.status("r-1", attempts=1)), errors.TransportError)  # not after hours


# What answers mean


@pytest.mark.parametrize("status", ["succeeded", "paused_for_tea", "FAILED"])
def test_an_unknown_status_is_passed_on(server: BadServer, client: Client, status: str) -> None:
    """The service may add a status any day; that is no reason to lose a request."""
    server.script(STATUS, json_response({"status": status}))
    server.script(RESULT, json_response({"status": status}))
    assert client.status("r-1").status == status
    assert client.result("r-1").status == status


def test_a_status_is_safe_to_show(server: BadServer, client: Client) -> None:
    """It goes onto the page and into the ledger as it is."""
    server.script(
        STATUS, ScriptedResponse(body=b'{"status": "a\\u0000b\\n' + TOKEN.encode() + b"\\ud800" + b"z" * 99 + b'"}')
    )
    status = client.status("r-1").status
    assert status.startswith("a b ***?zzz")
    assert len(status) == 60


@pytest.mark.parametrize("response", [{}, {"status": None}, {"status": ""}, {"status": 5}, {"status": ["x"]}])
def test_a_response_without_a_status_is_an_error(
    server: BadServer, client: Client, response: dict[str, object]
) -> None:
    """A guessed status would move a job to where it is not."""
    server.script(STATUS, json_response(response))
    assert isinstance(raised(lambda: client.status("r-1")), errors.ProtocolError)


@pytest.mark.parametrize(
    ("value", "position"), [(0, 0), ("12", 12), (-1, None), (1.5, None), (True, None), ("²", None), ([], None)]
)
def test_a_queue_position_is_a_count_or_nothing(
    server: BadServer, client: Client, value: object, position: int | None
) -> None:
    """A place in the queue that is no number would be shown to people."""
    server.script(STATUS, json_response({"status": "in_queue", "queue_position": value}))
    assert client.status("r-1").queue_position == position


@pytest.mark.parametrize("output", ["x", 1, False, [], {}, {"seed": 7}])
def test_an_output_that_names_no_file_is_no_gallery(server: BadServer, client: Client, output: object) -> None:
    """Whoever reads the result sees that it is completed and has no files, and can ask again."""
    server.script(RESULT, json_response({"status": "completed", "output": output}))
    assert client.result("r-1") == ResultResponse("completed", "completed")


def test_a_result_of_nothing_is_not_as_documented(server: BadServer, client: Client) -> None:
    """An empty object says neither that the request is running nor that it ended."""
    server.script(RESULT, json_response({}))
    assert isinstance(raised(lambda: client.result("r-1")), errors.ProtocolError)


@pytest.mark.parametrize(
    ("cost", "usd"),
    [
        ("0.03", 0.03),
        ("2", 2),
        ("0", 0),
        ("-1", None),
        ("NaN", None),
        ("1e999", None),
        ("true", None),
        ("null", None),
        ('"0.5"', 0.5),
        ('"nan"', None),
        ('"free"', None),
        ("1" + "0" * 400, None),
        ("{}", None),
    ],
)
def test_a_cost_is_money_or_nothing(server: BadServer, client: Client, cost: str, usd: float | None) -> None:
    """Costs are added up; one NaN would spoil the sum forever."""
    server.script(
        RESULT,
        ScriptedResponse(
            body=b'{"status": "completed", "output": {"x": NaN, "y": -1e999}, "cost": %s}' % cost.encode()
        ),
    )
    assert client.result("r-1") == ResultResponse("completed", "completed", cost_usd=usd)
    server.script(RESULT, ScriptedResponse(body=b'{"status": "completed", "cost_usd": %s}' % cost.encode()))
    assert client.result("r-1").cost_usd == usd


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"error": "out of memory"}, "out of memory"),
        ({"error": {"code": "NSFW", "who": TOKEN}}, "NSFW"),
        ({"error": {"who": TOKEN}}, "who: ***"),
        ({"error": {"prompt": ["is too long"], "size": [{"msg": "is odd"}]}}, "prompt: is too long; size: is odd"),
        ({"error": {"exception_type": "OOM", "exception_message": "the GPU was lost"}}, "the GPU was lost"),
        ({"error": "<p>the GPU &amp; more</p>"}, "the GPU & more"),
        ({"status_details": {"error": {"message": "the GPU was lost"}}}, "the GPU was lost"),
        ({"error": {"type": "oom", "message": "out of memory", "details": {"gpu": 3}}}, "out of memory"),
        (
            {"error": {"message": "refused", "details": "It names a person."}},
            "refused. It names a person.",
        ),
        ({"error": '{"message": "refused"}'}, "refused"),
        (
            {"error": [{"loc": ["body", "scale"], "msg": "large"}, {"msg": "slow"}]},
            "scale: large; slow",
        ),
        ({"failure_reason": "The GPU was lost."}, "The GPU was lost."),
        ({"error": None, "failure_reason": {"reason": "moderated"}}, "moderated"),
        ({"message": "It did not work."}, "It did not work."),
        ({"error_code": 500001, "error_message": f"GPU lost {TOKEN}"}, "GPU lost ***"),
        ({"error_code": 422001, "error": "bad size"}, "bad size"),
        ({"error_code": "E7"}, "error E7"),
        ({"error": "é" * 5000}, "é" * 999 + "…"),
        ({}, None),
    ],
)
def test_a_failed_request_tells_its_own_error(
    server: BadServer, client: Client, response: dict[str, object], text: str | None
) -> None:
    """An `error_code` beside `failed` is the end of the request, not an error of the call to repeat."""
    for path in (RESULT, STATUS):
        server.script(path, json_response({"status": "failed", "output": None, **response}))
    assert client.result("r-1") == ResultResponse("failed", "failed", reason=text)
    assert client.status("r-1") == StatusResponse("failed", "failed", reason=text)


def test_a_server_error_does_not_fail_the_request(server: BadServer, client: Client) -> None:
    """`failed` in the error page of a gateway speaks of the call, not of the request."""
    server.script(RESULT, json_response({"status": "failed", "message": "try later"}, 502))
    assert type(raised(lambda: client.result("r-1"))) is errors.TransportError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401001, errors.AuthError),
        (400002, errors.BalanceError),
        (404001, errors.RequestNotFoundError),
        (403001, errors.ForeignRequestError),
        (400004, errors.AuthError),
        (429001, errors.RateLimitError),
    ],
)
def test_an_error_of_ours_does_not_fail_the_request(
    server: BadServer, client: Client, code: int, kind: type[Exception]
) -> None:
    """A revoked token says nothing about the picture; the job must wait for the new token, not fail."""
    server.script(RESULT, json_response({"status": "failed", "error_code": code}))
    assert type(raised(lambda: client.result("r-1"))) is kind


def test_a_cancel_may_say_little_or_no(server: BadServer, client: Client) -> None:
    """The page has three answers to a cancel: done, too late, not confirmed."""
    server.script(CANCEL, json_response({}), json_response({"message": "not cancellable"}, 409))
    assert client.cancel("r-1") == CancelResponse(None)
    assert type(raised(lambda: client.cancel("r-1"))) is errors.ResponseError
    assert [seen.body for seen in server.requests] == [b"", b""]


def test_a_missing_price_is_none(server: BadServer, client: Client) -> None:
    """No price is honest; a price of nothing is not."""
    server.script(SUBMIT, json_response({"base_price_usd": "call us", "price_unit": None}))
    assert client.price(MODEL) == Price(None, None, None)


def test_the_log_has_one_line_per_call_and_no_secret(
    server: BadServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs are pasted into bug reports."""
    caplog.set_level(logging.DEBUG)
    server.script(SUBMIT, json_response({"request_id": "r-1", "echo": TOKEN}), ScriptedResponse(hang_up=True))
    client.submit(MODEL, INPUTS)
    raised(lambda: client.submit(MODEL, INPUTS))
    ours = [record.getMessage() for record in caplog.records if record.name == "dreamina_ui.api.http_session"]
    assert [line.split()[:3] for line in ours] == [["POST", SUBMIT, "200"], ["POST", SUBMIT, "0"]]
    assert TOKEN not in caplog.text
    assert "a fox" not in caplog.text


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(TOKEN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("request_id", "status", "output", "error", "error_code", "message", "detail", "cost", "queue_position")
CODES = st.sampled_from([0, 400001, 400002, 400004, 401001, 403001, 404001, 422001, 429000, 500001, "500001", 10**30])
FACTS = st.dictionaries(st.sampled_from(KEYS), JSON | CODES | st.sampled_from(["failed", "completed"]), max_size=6)
BODIES = (FACTS | JSON).map(lambda value: json.dumps(value).encode("utf-8", "replace")) | st.binary(max_size=40)


@pytest.fixture(scope="module")
def steady() -> Iterator[BadServer]:
    with BadServer() as running:
        yield running


@fuzz(80)
@given(code=st.integers(200, 599) | st.sampled_from([200, 201]), body=BODIES)
def test_whatever_comes_it_is_a_response_or_one_of_our_errors(steady: BadServer, code: int, body: bytes) -> None:
    """A foreign exception would leave a job without a state, and a submit in doubt counted as refused."""
    steady.requests.clear()
    steady.default = ScriptedResponse(code, b"" if code in (204, 304) else body)
    client = Client(steady.url, attempts=2)
    try:
        assert client.submit(MODEL, INPUTS)
        assert 200 <= code < 300
    except errors.TransportError:
        pytest.fail("the inputs were sent")
    except (errors.ResponseError, errors.SubmitUnclearError) as exc:
        assert TOKEN not in f"{exc} {getattr(exc, 'detail', '')}"  # noqa: PT017 - both ends are good here
    assert len(steady.requests) == 1
    for call in (client.status, client.result, client.cancel):
        try:
            response = call("r-1")
        except errors.ApiError as exc:
            assert exc.request_id == "r-1"  # noqa: PT017
        else:
            json.dumps(asdict(response), ensure_ascii=False, allow_nan=False).encode()
    client.close()
